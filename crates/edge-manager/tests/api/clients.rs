use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::harness::{Manager, ask, request};

#[test]
fn one_client_does_not_take_all_connections() {
    let manager = Manager::with_max_per_client(3);
    let open = [0; 3].map(|_| TcpStream::connect(manager.address).unwrap());
    let mut more = TcpStream::connect(manager.address).unwrap();
    more.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let end = more.read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "{end:?}");
    // Those that are open are answered, and the command line has its own.
    let health = request(manager.address, "GET", "/health", &[], b"");
    assert_eq!(ask(UnixStream::connect(manager.control()).unwrap(), &health).status, 500);
    for stream in open {
        assert_eq!(ask(stream, &health).status, 500);
    }
}
