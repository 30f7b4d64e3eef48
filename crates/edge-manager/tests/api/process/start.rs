//! What it does not start with.

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};

use super::{Home, said};
use crate::harness::{ask, request};

#[test]
fn without_a_key_it_is_for_this_machine_only() {
    let home = Home::new();
    let open = |address: &str| {
        format!(
            "edge-manager: --listen {address}: without a key, only a loopback address such as 127.0.0.1:8000 is taken; make a \
             key with `edge-manager key add NAME --role admin`, or set HAPROXY_API_KEY\n"
        )
    };
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8000"] {
        assert_eq!(home.run(&["serve", "--listen", address]), (2, String::new(), open(address)));
    }
    let empty =
        home.command(&["serve", "--listen", "0.0.0.0:0"]).env("HAPROXY_API_KEY", "").output().unwrap();
    assert_eq!(said(empty), (2, String::new(), open("0.0.0.0:0")), "an empty key is none");
    home.run(&["key", "add", "panel", "--role", "admin"]);
    let serving = home.serve(&["--listen", "0.0.0.0:0"], &[]);
    home.run(&["key", "remove", "panel"]);
    let local = SocketAddr::from(([127, 0, 0, 1], serving.address.port()));
    let stream = TcpStream::connect(local).unwrap();
    let answer = ask(stream, &request(local, "GET", "/api/blocked-ips", &[], b""));
    assert_eq!(answer.status, 401, "it does not become open when the last key goes");
}

#[test]
fn two_do_not_serve_the_same_rules() {
    let home = Home::new();
    let _serving = home.serve(&[], &[]);
    let (code, out, error) = home.run(&["serve"]);
    assert_eq!((code, out.as_str()), (4, ""));
    assert!(error.contains("another process writes the rules of this directory"), "{error}");
}

#[test]
fn what_cannot_be_had_is_told_in_one_line() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let long = home.path(&"x".repeat(120));
    for (args, code, word) in [
        (&["--listen", &*address][..], 4, "--listen 127.0.0.1"),
        (&["--control", long.to_str().unwrap()], 4, "--control"),
        (&["--control", home.path("none/control.sock").to_str().unwrap()], 4, "--control"),
        (&["--ready-file", home.path("none/ready").to_str().unwrap()], 4, "--ready-file"),
        (&["--log", "edge_manager=loud"], 2, "EDGE_LOG"),
        (&["--log-dir", "/dev/null/logs"], 4, "/dev/null/logs"),
    ] {
        let (found, out, error) = home.run(&[&["serve"], args].concat());
        let last = error.lines().last().unwrap();
        assert_eq!((found, out.as_str()), (code, ""), "{error}");
        assert!(last.starts_with("edge-manager: ") && last.contains(word), "{error}");
    }
}

#[test]
fn a_stranger_does_not_take_the_place_of_the_socket() {
    let home = Home::new();
    fs::write(home.path("rules.db.sock"), "a file").unwrap();
    let (code, _, error) = home.run(&["serve"]);
    assert_eq!(code, 4, "{error}");
    let mut text = String::new();
    fs::File::open(home.path("rules.db.sock")).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "a file");
}
