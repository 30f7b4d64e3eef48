//! One request, one answer, and the end of the connection.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::certificates::Answers;

/// Longest head of a request, bytes; HAProxy's own limit is 16 KiB unless it is told otherwise.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// How long a connection may last. HAProxy sends a head at once, and takes an answer at once.
const TIMEOUT: Duration = Duration::from_secs(5);

const PREFIX: &[u8] = b"/.well-known/acme-challenge/";

const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Answers the first request of a connection. A body is not read: its request has been answered before.
pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(stream: S, answers: &Answers) {
    answer_within(TIMEOUT, stream, answers).await;
}

async fn answer_within<S: AsyncRead + AsyncWrite + Unpin>(limit: Duration, mut stream: S, answers: &Answers) {
    let exchange = async {
        let head = head(&mut stream).await?;
        let validation = token(&head).and_then(|token| answers.get(token));
        let answer = validation.map_or_else(|| NOT_FOUND.to_vec(), |text| found(&text));
        stream.write_all(&answer).await?;
        stream.shutdown().await
    };
    // A client that is slow, or has gone away, gets no answer.
    let _ = timeout(limit, exchange).await;
}

/// The head of a request, or what there is of it.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") && head.len() < MAX_HEAD_BYTES {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(head)
}

/// The token that is asked for: by `GET`, the path in origin form, and nothing else in the target.
fn token(head: &[u8]) -> Option<&str> {
    let end = head.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let line = head[..end].split(|byte| *byte == b'\r').next()?;
    let target = line.strip_prefix(b"GET ")?;
    let target = target.strip_suffix(b" HTTP/1.1").or_else(|| target.strip_suffix(b" HTTP/1.0"))?;
    let token = target.strip_prefix(PREFIX)?;
    // RFC 8555, section 8.3: only characters of base64url.
    let is_token = !token.is_empty()
        && token.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    is_token.then(|| str::from_utf8(token).ok()).flatten()
}

fn found(text: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        text.len()
    );
    [head.as_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_get_for_one_token_in_origin_form_is_one() {
        let asks = |line: &str| token(format!("{line}\r\nHost: x\r\n\r\n").as_bytes()).map(str::to_owned);
        let path = "/.well-known/acme-challenge/Ab_-9";
        for version in ["1.0", "1.1"] {
            assert_eq!(asks(&format!("GET {path} HTTP/{version}")).as_deref(), Some("Ab_-9"));
        }
        for line in [
            format!("HEAD {path} HTTP/1.1"),
            format!("POST {path} HTTP/1.1"),
            format!("get {path} HTTP/1.1"),
            format!("GET http://shop.example{path} HTTP/1.1"),
            format!("GET http://127.0.0.1?x@localhost{path} HTTP/1.1"),
            format!("GET /{path} HTTP/1.1"),
            format!("GET {path}? HTTP/1.1"),
            format!("GET {path}?x HTTP/1.1"),
            format!("GET {path}#x HTTP/1.1"),
            format!("GET {path}/ HTTP/1.1"),
            format!("GET {path}%41 HTTP/1.1"),
            format!("GET {path} x HTTP/1.1"),
            format!("GET {path} HTTP/2.0"),
            format!("GET {path}"),
            format!(" GET {path} HTTP/1.1"),
            format!("GET  {path} HTTP/1.1"),
            format!("GET {path}\n HTTP/1.1"),
            "GET /.well-known/acme-challenge/ HTTP/1.1".to_owned(),
            "GET /.well-known/./acme-challenge/Ab HTTP/1.1".to_owned(),
            "GET /api/rules HTTP/1.1".to_owned(),
            "GET * HTTP/1.1".to_owned(),
            "CONNECT shop.example:443 HTTP/1.1".to_owned(),
            String::new(),
        ] {
            assert_eq!(asks(&line), None, "{line:?}");
        }
        assert_eq!(token(format!("GET {path} HTTP/1.1\r\nHost: x\r\n").as_bytes()), None, "no whole head");
    }

    #[tokio::test]
    async fn an_answer_needs_no_body_and_a_silent_client_no_place_for_long() {
        let (answers, (mut client, server)) = (Answers::default(), tokio::io::duplex(1 << 10));
        let given = answers.give("token", "token.thumb");
        let ask = "GET /.well-known/acme-challenge/token HTTP/1.1\r\nContent-Length: 9\r\n\r\n";
        client.write_all(ask.as_bytes()).await.unwrap();
        answer(server, &answers).await;
        let mut told = String::new();
        client.read_to_string(&mut told).await.unwrap();
        assert!(told.starts_with("HTTP/1.1 200 OK\r\n") && told.ends_with("\r\n\r\ntoken.thumb"), "{told}");
        drop(given);
        let (_client, server) = tokio::io::duplex(1 << 10);
        // It comes back though the client sends nothing and stays.
        answer_within(Duration::from_millis(10), server, &answers).await;
    }
}
