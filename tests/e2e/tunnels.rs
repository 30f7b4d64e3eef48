//! A tunnel is judged once, so only a WebSocket gets one, over HTTP/1.1 and HTTP/2, and no other upgrade does.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use edge_e2e::{Backend, Edge, EdgeBuilder, Hypercorn, Mode, http2};

const CONFIGS: [&str; 3] = ["haproxy.cfg", "minimal.cfg", "multi-backend.cfg"];
const TIMEOUT: Duration = Duration::from_secs(60);
/// The key and its answer of RFC 6455, section 1.3.
const KEY: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// A shipped configuration before the server at `addr`, with `/.env` refused where a list says so.
fn before(addr: SocketAddr, config: &str) -> (Backend, EdgeBuilder) {
    let unused = Backend::start();
    let edge = Edge::before(&unused, Mode::DEFAULT).config(config).list("resources.lst", "/.env\n");
    let edge = if config == "haproxy.cfg" {
        edge
    } else {
        edge.setting("EDGE_RESOURCE_FILES", "${FILTER_LISTS}/resources.lst")
    };
    let servers = std::fs::read_to_string(edge_e2e::shipped("haproxy").join(config)).unwrap();
    let name = |line: &str| line.trim().strip_prefix("server ")?.split(' ').next().map(str::to_owned);
    let edge = servers.lines().filter_map(name).fold(edge, |edge, name| {
        edge.edit(
            &format!("server {name} \"${{FILTER_SERVER-127.0.0.1:8081}}\""),
            &format!("server {name} {addr}"),
        )
    });
    (unused, edge)
}

/// Sends bytes as they are, and reads what comes back until it holds `end`, or the other side closes.
fn exchange(to: SocketAddr, bytes: &[u8], end: &str) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    // A server that refuses the beginning may have closed before the rest is sent.
    let _ = stream.write_all(bytes);
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    while !answer.contains(end) {
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => answer.push_str(&String::from_utf8_lossy(&buffer[..length])),
            _ => break,
        }
    }
    answer
}

/// What a client of HTTP/2 sends after its upgrade: the preface, empty SETTINGS, and `GET /.env` as stream 3.
fn smuggled_http2() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    // GET, http, :path and :authority as literals without indexing (RFC 7541, section 6.2.2).
    let fields = [&[0x82, 0x86, 0x04, 5][..], b"/.env", &[0x01, 11], b"www.example"].concat();
    bytes.extend([0, 0, u8::try_from(fields.len()).unwrap(), 1, 5, 0, 0, 0, 3]);
    bytes.extend(fields);
    bytes
}

const H2C: &str = "GET / HTTP/1.1\r\nHost: www.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";

#[test]
fn an_upgrade_to_http2_gets_no_tunnel() {
    let Some(server) = Hypercorn::start() else { return };
    let upgrade = [H2C.as_bytes(), &smuggled_http2()].concat();
    // The server takes it, so the edge has to keep it away.
    let unguarded = exchange(server.addr(), &upgrade, "served /.env over HTTP/2");
    assert!(unguarded.contains("101 ") && unguarded.contains("served /.env over HTTP/2"), "{unguarded}");
    for config in CONFIGS {
        let (_unused, edge) = before(server.addr(), config);
        let edge = edge.start();
        assert_eq!(edge.get("/.env").status, 403, "{config}");
        assert_eq!(edge.get("/").body, "served / over HTTP/1.1\n", "{config}");
        let answer = exchange(edge.web_addr(), &upgrade, "served /.env");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{config}: {answer}");
        assert!(answer.contains("served / over HTTP/1.1") && !answer.contains("/.env"), "{config}: {answer}");
    }
}

/// A server that answers every request with the same words, and then takes whatever comes for more requests.
struct Switcher {
    addr: SocketAddr,
    heads: Receiver<String>,
}

impl Switcher {
    fn start(answer: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, heads) = channel();
        // It ends with the process of the test.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sender, answer) = (sender.clone(), answer.clone());
                thread::spawn(move || {
                    let mut stream = stream;
                    let head = read_head(&mut stream)?;
                    let _ = sender.send(head);
                    stream.write_all(answer.as_bytes())?;
                    let mut bytes = [0; 4096];
                    while stream.read(&mut bytes)? > 0 {
                        stream.write_all(b"THROUGH THE TUNNEL")?;
                    }
                    io::Result::Ok(())
                });
            }
        });
        Self { addr, heads }
    }
}

fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn switching(protocol: &str, more: &str) -> String {
    format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n{more}\r\n")
}

/// Whether bytes that follow the head of a request reach the server. They are a request, which the edge may answer by itself.
fn tunnels(edge: &Edge, head: &str) -> bool {
    let more = "GET /.env HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\n\r\n";
    let tunnelled = "THROUGH THE TUNNEL";
    exchange(edge.web_addr(), format!("{head}{more}").as_bytes(), tunnelled).contains(tunnelled)
}

fn handshake(start: &str, headers: &str) -> String {
    format!("{start}\r\nHost: www.example\r\n{headers}\r\n")
}

#[test]
fn only_a_websocket_handshake_gets_a_tunnel() {
    let get = "GET / HTTP/1.1";
    let websocket = |headers: &str| handshake(get, &format!("{headers}{KEY}"));
    let refused = [
        websocket("Connection: Upgrade\r\nUpgrade: h2c\r\n"),
        websocket("Connection: Upgrade\r\nUpgrade: H2C, TLS/1.0\r\n"),
        websocket("Connection: upgrade\r\nUpgrade: TLS/1.0\r\nUpgrade: h2c\r\n"),
        websocket("Connection: Upgrade\r\nUpgrade: websocket2\r\n"),
        websocket("Connection: Upgrade\r\nUpgrade: \"h2c, websocket\"\r\n"),
        websocket("Connection: Upgrade\r\nUpgrade:\r\n h2c\r\n"),
        websocket("Upgrade: websocket\r\n"),
        websocket("Connection: close\r\nUpgrade: websocket\r\n"),
        websocket("Connection: Upgrade\r\n"),
        websocket(""),
        handshake("GET / HTTP/1.0", &format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{KEY}")),
        handshake("POST / HTTP/1.1", &format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{KEY}")),
        handshake("HEAD / HTTP/1.1", &format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{KEY}")),
        handshake(get, "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        handshake("CONNECT www.example HTTP/1.1", ""),
        handshake("CONNECT www.example:80 HTTP/1.1", ""),
        handshake("connect / HTTP/1.1", ""),
    ];
    let taken = [
        websocket("Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        websocket("connection: keep-alive, UPGRADE, X-Forwarded-For\r\nupgrade: WebSocket\r\n"),
        websocket("Connection: close\r\nConnection: upgrade\r\nUpgrade: h2c, websocket\r\n"),
        websocket(
            "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMA\r\nUpgrade: h2c\r\nUpgrade:\r\n\twebsocket\r\n",
        ),
    ];
    for config in CONFIGS {
        let server = Switcher::start(switching("websocket", ACCEPT));
        let (_unused, edge) = before(server.addr, config);
        let edge = edge.start();
        for head in &refused {
            assert!(!tunnels(&edge, head), "{config}: a tunnel after {head:?}");
        }
        for received in server.heads.try_iter() {
            let received = received.to_ascii_lowercase();
            assert!(!received.contains("\r\nupgrade:"), "{config}: {received}");
            // HAProxy itself says `keep-alive` to a server, for a request of HTTP/1.0.
            assert!(!received.contains("\r\nconnection: upgrade"), "{config}: {received}");
            assert!(!received.starts_with("connect"), "{config}: {received}");
        }
        for head in &taken {
            assert!(tunnels(&edge, head), "{config}: no tunnel after {head:?}");
        }
        for received in server.heads.try_iter() {
            let of = |name: &str| -> Vec<String> {
                let value = |line: &str| line.to_ascii_lowercase().strip_prefix(name).map(str::to_owned);
                received.lines().filter_map(value).collect()
            };
            assert_eq!(of("upgrade: "), ["websocket"], "{config}: {received}");
            assert_eq!(of("connection: "), ["upgrade"], "{config}: {received}");
            assert!(of("http2-settings").is_empty(), "{config}: {received}");
        }
    }
}

#[test]
fn an_answer_that_is_no_websockets_opens_no_tunnel() {
    let websocket =
        handshake("GET / HTTP/1.1", &format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{KEY}"));
    let plain = handshake("GET / HTTP/1.1", "");
    for answer in [
        switching("h2c", ACCEPT),
        switching("websocket, h2c", ACCEPT),
        switching("websocket", ""),
        switching("websocket", "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"),
        "HTTP/1.1 101 Told\r\nConnection: Upgrade\r\n\r\n".to_owned(),
        "HTTP/1.1 101 Told\r\n\r\n".to_owned(),
    ] {
        let server = Switcher::start(answer.clone());
        let (_unused, edge) = before(server.addr, "haproxy.cfg");
        let edge = edge.start();
        for head in [&websocket, &plain] {
            assert!(!tunnels(&edge, head), "a tunnel after {head:?}, answered with {answer:?}");
        }
    }
}

/// `hello` in one frame, masked with zeros (RFC 6455, section 5.2).
const HELLO: &[u8] = b"\x81\x85\0\0\0\0hello";

#[test]
fn a_websocket_still_works() {
    let Some(server) = Hypercorn::start() else { return };
    for config in CONFIGS {
        let (_unused, edge) = before(server.addr(), config);
        let edge = edge.start();
        let mut stream = TcpStream::connect(edge.web_addr()).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let headers = format!("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n{KEY}");
        stream.write_all(handshake("GET /chat HTTP/1.1", &headers).as_bytes()).unwrap();
        let head = read_head(&mut stream).unwrap();
        assert!(
            head.starts_with("HTTP/1.1 101 ")
                && head.contains(ACCEPT.trim_end_matches("\r\n").split_once(": ").unwrap().1),
            "{config}: {head}"
        );
        stream.write_all(HELLO).unwrap();
        let mut echo = [0; 15];
        stream.read_exact(&mut echo).unwrap();
        assert_eq!(&echo[2..], b"echo of hello", "{config}");
    }
}

#[test]
fn over_http2_too_a_websocket_works_and_nothing_else_gets_a_tunnel() {
    let Some(server) = Hypercorn::start() else { return };
    let hello: String = HELLO.iter().map(|byte| format!("{byte:02x}")).collect();
    for config in CONFIGS {
        let (_unused, edge) = before(server.addr(), config);
        let edge = edge.start();
        let connect = |protocol: &str, more: &[&str]| {
            let protocol = format!(":protocol={protocol}");
            let mut words = vec![":method=CONNECT", &*protocol, ":scheme=http", ":path=/chat"];
            words.extend([":authority=www.example", "sec-websocket-version=13"]);
            words.extend(more);
            words.push(&hello);
            http2(edge.web_addr(), &words)
        };
        let (status, echo) = connect("websocket", &[]);
        assert!(status == "200" && echo.contains("echo of hello"), "{config}: {status} {echo}");
        for protocol in ["foo", "connect-udp", "websocket2"] {
            assert_eq!(connect(protocol, &[]).0, "501", "{config}: {protocol}");
        }
        // From 3.0 on HAProxy refuses this one by itself, and resets the stream.
        assert!(["501", "none"].contains(&&*connect("h2c", &[]).0), "{config}");
        let tunnel = [":method=CONNECT", ":authority=www.example:80", &hello];
        assert_eq!(http2(edge.web_addr(), &tunnel).0, "405", "{config}");
        let get = [":method=GET", ":scheme=http", ":path=/.env", ":authority=www.example"];
        assert_eq!(http2(edge.web_addr(), &get).0, "403", "{config}");
    }
}

#[test]
fn a_forged_answer_to_a_websocket_over_http2_opens_no_tunnel() {
    if Hypercorn::start().is_none() {
        return;
    }
    let server =
        Switcher::start(switching("websocket", "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"));
    let (_unused, edge) = before(server.addr, "haproxy.cfg");
    let edge = edge.start();
    for key in [&[][..], &["sec-websocket-key=dGhlIHNhbXBsZSBub25jZQ=="]] {
        let mut words = vec![":method=CONNECT", ":protocol=websocket", ":scheme=http", ":path=/chat"];
        words.extend([":authority=www.example", "sec-websocket-version=13"]);
        words.extend(key);
        words.push("474554");
        let (status, body) = http2(edge.web_addr(), &words);
        assert!(!body.contains("TUNNEL"), "{key:?}: {status} {body}");
    }
}

#[test]
fn websockets_can_be_switched_off() {
    let handshake =
        handshake("GET / HTTP/1.1", &format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{KEY}"));
    for config in CONFIGS {
        let server = Switcher::start(switching("websocket", ACCEPT));
        let (_unused, edge) = before(server.addr, config);
        // In multi-backend.cfg it is the backend of another host.
        let handshake = handshake.replace(
            "www.example",
            if config.starts_with("multi") { "legacy.example" } else { "www.example" },
        );
        let edge = edge
            .edit("  #http-request deny deny_status 403 if", "  http-request deny deny_status 403 if")
            .start();
        let answer = exchange(edge.web_addr(), handshake.as_bytes(), " 403 ");
        assert!(answer.starts_with("HTTP/1.1 403 "), "{config}: {answer}");
        assert_eq!(server.heads.try_iter().count(), 0, "{config}");
    }
}
