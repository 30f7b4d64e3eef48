//! X-Edge-Resource where HAProxy has no rules on headers: in trailers.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use edge_e2e::{Backend, Edge, Mode, Version};

/// A server that answers with a trailer, and ends with the test's process.
fn start_server() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            // A client that has gone away is no matter here.
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Edge-Resource\r\n\
                  Connection: close\r\n\r\n2\r\nok\r\n0\r\nX-Edge-Resource: false\r\n\r\n",
            );
        }
    });
    addr
}

#[test]
fn trailers_are_dropped_where_haproxy_can() {
    let (backend, server) = (Backend::start(), start_server());
    for config in ["haproxy.cfg", "minimal.cfg", "multi-backend.cfg"] {
        let edge = Edge::before(&backend, Mode::DEFAULT).config(config).server(server).start();
        let mut stream = std::net::TcpStream::connect(edge.web_addr()).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: www.example\r\nTE: trailers\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("2\r\nok\r\n0\r\n"), "{answer}");
        let passes = answer.to_ascii_lowercase().contains("x-edge-resource: false");
        assert_eq!(passes, Version::under_test() < Version(3, 2), "{config}: {answer}");
    }
}
