use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::harness::{Manager, ask, request};

/// A connection with the beginning of a request.
fn begun(manager: &Manager) -> TcpStream {
    let mut stream = TcpStream::connect(manager.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ").unwrap();
    stream
}

fn is_closed(mut stream: &TcpStream) -> bool {
    let end = stream.read(&mut [0]).map_err(|error| error.kind());
    matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset))
}

#[test]
fn connections_that_ask_nothing_keep_nobody_of_their_client_out() {
    let manager = Manager::with_max_per_client(3);
    let health = request(manager.address, "GET", "/health", &[], b"");
    let open: Vec<TcpStream> = (0..6).map(|_| begun(&manager)).collect();
    // The command line has its own.
    assert_eq!(ask(UnixStream::connect(manager.control()).unwrap(), &health).status, 500);
    assert_eq!(ask(TcpStream::connect(manager.address).unwrap(), &health).status, 500);
    assert!(open[..4].iter().all(is_closed), "those that had asked nothing for the longest gave way");
    for stream in &open[4..] {
        let mut stream = stream;
        stream.write_all(b"x\r\nConnection: close\r\n\r\n").unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 500", "no HAProxy is there");
    }
}
