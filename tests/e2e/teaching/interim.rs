//! `X-Edge-Resource` in interim responses and in trailers: only the head of the final response teaches.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use edge_e2e::{Backend, Edge, Mode, Request, in_every_mode};

in_every_mode!(
    interim_responses_and_trailers_teach_nothing,
    interim_responses_and_trailers_of_http_2_teach_nothing,
);

/// What a response says in these tests.
const TEACHING: &str = "X-Edge-Resource: false\r\n";
const FINAL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n";

/// A server that answers each connection as `answer` does. It ends with the test's process.
fn serve(answer: impl Fn(&mut TcpStream) -> io::Result<()> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let addr = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A client that leaves is none of this test's business: HAProxy's answer is.
            let _ = answer(&mut stream);
        }
    });
    addr
}

fn read_head(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(())
}

/// An edge in front of a server that answers with this text and closes.
fn before_text(text: String, mode: Mode) -> (Backend, Edge) {
    let server = serve(move |stream| {
        read_head(stream)?;
        stream.write_all(text.as_bytes())
    });
    let unused = Backend::start();
    let edge = Edge::before(&unused, mode).server(server).start();
    (unused, edge)
}

/// How many rules were made, and how many responses were looked at.
fn learned(edge: &Edge) -> (f64, f64) {
    let metrics = edge.metrics();
    (metrics.learned_rules(), metrics.sum("edge_filter_learn_total", &[]))
}

fn interim_responses_and_trailers_teach_nothing(mode: Mode) {
    let interim = |status: &str| format!("HTTP/1.1 {status}\r\n{TEACHING}\r\n");
    let chunks =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Edge-Resource\r\n\r\n2\r\nok\r\n0\r\n";
    for text in [
        format!("{}{FINAL}\r\nok", interim("103 Early Hints")),
        format!("{}{FINAL}\r\nok", interim("100 Continue")),
        format!("{}{FINAL}\r\nok", interim("102 Processing")),
        format!("{}{}{FINAL}\r\nok", interim("103 Early Hints"), interim("199 Later")),
        format!("{chunks}{TEACHING}\r\n"),
        format!("{}{chunks}{TEACHING}\r\n", interim("103 Early Hints")),
    ] {
        let (_unused, edge) = before_text(text.clone(), mode);
        edge.get("/yeet");
        assert_eq!(learned(&edge), (0.0, 0.0), "{text}");
    }
    // A tunnel: its head is one that HAProxy takes for final.
    let accept = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let (_unused, edge) = before_text(format!("{accept}{TEACHING}\r\n"), mode);
    let upgrade = Request::get("/yeet")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let _ = edge.try_send(&upgrade);
    assert_eq!(learned(&edge), (0.0, 1.0));
    assert_eq!(edge.metrics().sum("edge_filter_learn_total", &[("result", "partial_request")]), 1.0);
    // The same server teaches by the head of its final response.
    let (_unused, edge) =
        before_text(format!("HTTP/1.1 103 Early Hints\r\n\r\n{FINAL}{TEACHING}\r\nok"), mode);
    edge.get("/yeet");
    assert_eq!(learned(&edge), (1.0, 1.0));
}

/// A frame of HTTP/2 (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field as HPACK's literal without indexing (RFC 7541 section 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let text =
        |text: &str| [&[u8::try_from(text.len()).expect("a short text")][..], text.as_bytes()].concat();
    [&[0][..], &text(name), &text(value)].concat()
}

/// HTTP/2 with prior knowledge: answers the first request with these frames on its stream.
fn serve_http_2(answer: fn() -> Vec<u8>) -> SocketAddr {
    const SETTINGS: u8 = 4;
    const HEADERS: u8 = 1;
    serve(move |stream| {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface)?;
        stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head)?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            io::copy(&mut Read::by_ref(stream).take(length.into()), &mut io::sink())?;
            match (head[3], head[4] & 1) {
                (SETTINGS, 0) => stream.write_all(&frame(SETTINGS, 1, 0, &[]))?,
                (HEADERS, _) => stream.write_all(&answer())?,
                _ => {}
            }
        }
    })
}

/// Frames on stream 1, the first of a client: interim head, final head, data, trailers.
fn frames(interim: &str, last: &str, trailer: &str) -> Vec<u8> {
    let teaching = |name: &str| if name.is_empty() { Vec::new() } else { field(name, "false") };
    let head = |status: &str, name: &str| [field(":status", status), teaching(name)].concat();
    [
        frame(1, 4, 1, &head("103", interim)),
        frame(1, 4, 1, &head("200", last)),
        frame(0, 0, 1, b"ok"),
        frame(1, 5, 1, &[field("x-other", "1"), teaching(trailer)].concat()),
    ]
    .concat()
}

fn interim_responses_and_trailers_of_http_2_teach_nothing(mode: Mode) {
    const NAME: &str = "x-edge-resource";
    type Answering = fn() -> Vec<u8>;
    let cases: [(Answering, f64); 4] = [
        (|| frames(NAME, "", ""), 0.0),
        (|| frames("", "", NAME), 0.0),
        (|| frames(NAME, "", NAME), 0.0),
        (|| frames("", NAME, ""), 1.0),
    ];
    for (n, (answer, rules)) in cases.into_iter().enumerate() {
        let unused = Backend::start();
        let server = "server site1 \"${FILTER_SERVER-127.0.0.1:8081}\"";
        let edge = Edge::before(&unused, mode)
            .server(serve_http_2(answer))
            .edit(server, &format!("{server} proto h2"))
            .start();
        // The trailer comes behind the body.
        assert!(edge.get("/yeet").body.contains("ok"), "case {n}");
        assert_eq!(learned(&edge), (rules, rules), "case {n}");
    }
}
