//! The same attacks on a real application: Flask from PyPI, whose 404 handler teaches.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use edge_e2e::{Backend, Edge, Mode, Request, shipped, tell};

use super::{OTHER, attacks, checkout};

/// A process that ends with the test.
struct Shop {
    process: Child,
    addr: SocketAddr,
}

impl Shop {
    /// `None`, with a line that says so, where its packages cannot be had.
    fn start() -> Option<Self> {
        let packages = Command::new(shipped("scripts/python-packages.sh")).arg("flask-app").output();
        let packages = packages.expect("a shell");
        if !packages.status.success() {
            let reason = String::from_utf8_lossy(&packages.stderr).trim().to_owned();
            let is_required = std::env::var("EDGE_PYPI_CHECK").is_ok_and(|wanted| wanted == "require");
            assert!(!is_required, "{reason}");
            tell(format_args!("NOT TESTED with Flask: {reason}"));
            return None;
        }
        let mut process = Command::new(shipped("target/flask-app/venv/bin/python"))
            .arg(shipped("tests/e2e/teaching/shop.py"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a Python interpreter");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port");
        Some(Self { process, addr: (Ipv4Addr::LOCALHOST, port).into() })
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn no_client_closes_the_checkout_of_a_flask_application() {
    let Some(shop) = Shop::start() else { return };
    let unused = Backend::start();
    let edge = Edge::before(&unused, Mode::DEFAULT).server(shop.addr).start();
    assert_eq!(edge.send(&checkout().forwarded_for(OTHER)).status, 200);
    for attack in attacks() {
        let answer = edge.try_send(&attack);
        let after = edge.send(&checkout().forwarded_for(OTHER));
        assert_eq!(after.status, 200, "{attack:?} closed the checkout; its own answer: {answer:?}");
    }
    // An address that is not there is learned.
    let nope = || Request::get("/nope").forwarded_for(OTHER);
    assert!(edge.send(&nope()).is_from_backend());
    assert!(edge.refuses(&nope()));
}
