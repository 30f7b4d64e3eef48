//! What HAProxy does with what is rendered.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use edge_e2e::{Port, eventually};
use edge_manager::site::Site;
use serde_json::{Value, json};

use crate::haproxy::{PATH, write};
use crate::sites;

/// Longest wait for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// HAProxy on one rendering, before a server that answers with what it was asked.
pub(crate) struct Edge {
    haproxy: Child,
    web: Port,
    _stats: Port,
    _directory: tempfile::TempDir,
}

impl Edge {
    /// Starts the installed HAProxy on `minimal` with changes.
    pub(crate) fn start(change: impl FnOnce(&mut Value)) -> Self {
        Self::start_at(change, |_| ())
    }

    /// The same, where `greet` makes of the connection that finds out whether HAProxy listens one that it takes.
    pub(crate) fn start_at(change: impl FnOnce(&mut Value), greet: impl Fn(&mut TcpStream)) -> Self {
        let [web, stats] = [(); 2].map(|()| Port::reserve().unwrap());
        let mut json = sites::json("minimal");
        json["global"] = json!({
            "http_bind": [web.addr().to_string()],
            "stats_bind": stats.addr().to_string(),
            "exempt_private": false,
        });
        json["backends"][0]["servers"][0] = json!({"name": "echo", "address": "127.0.0.1", "port": echo()});
        change(&mut json);
        let site = Site::parse(&sites::input(json)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        write(&sites::templates().render(&site, sites::version("2.6")).unwrap(), directory.path());
        let haproxy = start_haproxy(directory.path());
        let edge = Self { haproxy, web, _stats: stats, _directory: directory };
        greet(&mut eventually("HAProxy", || TcpStream::connect(edge.addr()).ok()));
        edge
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.web.addr()
    }

    /// The whole answer to a request for a path of a host.
    pub(crate) fn get(&self, host: &str, path: &str, headers: &str) -> String {
        // The end of what is sent would end a request whose body is missing before it is answered.
        self.exchange(
            &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n"),
            |_| Ok(()),
        )
    }

    /// All that comes back for bytes that are sent as they are; a connection that is refused brings nothing.
    pub(crate) fn send(&self, bytes: &str) -> String {
        // Without `Connection: close` the other side would wait for the next request, but for the end of this one.
        self.exchange(bytes, |stream| stream.shutdown(Shutdown::Write))
    }

    fn exchange(&self, bytes: &str, end: impl Fn(&TcpStream) -> std::io::Result<()>) -> String {
        let mut stream = TcpStream::connect(self.addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = String::new();
        let _ = stream.write_all(bytes.as_bytes()).and_then(|()| end(&stream));
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    pub(crate) fn status(&self, path: &str, headers: &str) -> u16 {
        self.get("www.example.com", path, headers).split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // It may be gone already, which the test has noticed then.
        let _ = self.haproxy.kill();
        let _ = self.haproxy.wait();
    }
}

fn start_haproxy(directory: &Path) -> Child {
    let log = fs::File::create(directory.join("log")).unwrap();
    let mut haproxy = Command::new("haproxy");
    haproxy.args(["-db", "-f", "haproxy.cfg"]).env("PATH", PATH).current_dir(directory);
    haproxy.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// A server that sends back the head of each request as its answer, with 404 for `/missing`. Its thread ends with the test's process.
pub(crate) fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            answer(stream);
        }
    });
    port
}

/// A client that has gone away is no matter here.
fn answer(mut stream: TcpStream) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    let status = if head.starts_with(b"GET /missing ") { "404 Not Found" } else { "200 OK" };
    let _ =
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", head.len());
    let _ = stream.write_all(&head);
}

#[test]
fn an_unknown_domain_gets_the_page_with_its_name() {
    let edge = Edge::start(|json| json["global"]["page"] = json!({"title": "Nobody & 100%"}));
    let page = edge.get("unknown.example:80", "/", "");
    assert!(page.starts_with("HTTP/1.1 404 "), "{page}");
    assert!(page.contains("<title>Nobody &amp; 100%</title>"), "{page}");
    assert!(page.contains("<small>unknown.example &middot; ") && page.contains(" GMT</small>"), "{page}");
    let hostile = edge.get("<script>alert(1)</script>", "/", "");
    assert!(hostile.starts_with("HTTP/1.1 400 ") && !hostile.contains("script"), "{hostile}");
}

#[test]
fn domains_lead_to_their_backends_and_the_longest_wildcard_wins() {
    let edge = Edge::start(|json| {
        let echo = json["backends"][0]["servers"][0].clone();
        for name in ["far", "near"] {
            json["backends"]
                .as_array_mut()
                .unwrap()
                .push(json!({"name": name, "servers": [echo], "cookie": name}));
        }
        json["domains"] = json!([
            {"domain": "www.example.com", "backend_name": "web"},
            {"domain": "*.example.com", "backend_name": "far"},
            {"domain": "*.a.example.com", "backend_name": "near"},
        ]);
    });
    let cookie = |host: &str| {
        let answer = edge.get(host, "/", "");
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.split('=').next());
        (answer.split(' ').nth(1).unwrap().to_owned(), cookie.unwrap_or("").to_owned())
    };
    let expected = |status: &str, cookie: &str| (status.to_owned(), cookie.to_owned());
    assert_eq!(cookie("WWW.example.com"), expected("200", ""));
    assert_eq!(cookie("x.example.com"), expected("200", "far"));
    assert_eq!(cookie("x.a.example.com:8080"), expected("200", "near"));
    assert_eq!(cookie("a.example.com"), expected("200", "far"));
    assert_eq!(cookie("example.com"), expected("404", ""));
    assert_eq!(cookie("xexample.com"), expected("404", ""));
}

#[test]
fn only_trusted_proxies_say_who_the_client_is_and_how_it_came() {
    let redirect = |json: &mut Value| {
        json["backends"][0]["redirect_https"] = json!(true);
        json["backends"][0]["hsts"] = json!({});
    };
    let headers = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n";
    let strict = Edge::start(redirect);
    let answer = strict.get("www.example.com", "/a?b", headers);
    assert!(
        answer.starts_with("HTTP/1.1 301 ") && answer.contains("location: https://www.example.com/a?b\r\n"),
        "{answer}"
    );
    let challenge = strict.get("www.example.com", "/.well-known/acme-challenge/x", headers);
    assert!(
        challenge.starts_with("HTTP/1.1 200 ") && challenge.contains("x-forwarded-for: 127.0.0.1\r\n"),
        "{challenge}"
    );
    assert!(challenge.contains("x-forwarded-proto: http\r\n"), "{challenge}");
    let trusting = Edge::start(|json| {
        redirect(json);
        json["global"]["trusted_proxies"] = json!(["127.0.0.1"]);
    });
    let answer = trusting.get("www.example.com", "/", headers);
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("x-forwarded-for: 203.0.113.9\r\n"),
        "{answer}"
    );
    assert!(answer.contains("x-forwarded-proto: https\r\n"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age=31536000\r\n"), "{answer}");
}

#[test]
fn a_client_over_the_limit_is_refused_and_others_are_not() {
    let edge = Edge::start(|json| {
        json["global"]["trusted_proxies"] = json!(["127.0.0.1"]);
        json["global"]["exempt"] = json!(["203.0.113.0/24"]);
        json["global"]["limits"] = json!({"requests": 5, "slow_requests": 5});
    });
    let ask = |client: &str, times: usize| -> Vec<u16> {
        let header = format!("X-Forwarded-For: {client}\r\n");
        (0..times).map(|_| edge.status("/", &header)).collect()
    };
    assert_eq!(ask("198.51.100.1", 7), [200, 200, 200, 200, 200, 429, 429]);
    assert_eq!(ask("198.51.100.2", 1), [200]);
    assert_eq!(ask("203.0.113.1", 7), [200; 7]);
}

#[test]
fn a_client_that_makes_errors_is_refused() {
    let edge = Edge::start(|json| json["global"]["limits"] = json!({"errors": 2}));
    let statuses = [(); 4].map(|()| edge.status("/missing", ""));
    assert_eq!(statuses, [404, 404, 404, 429]);
    assert_eq!(edge.status("/", ""), 429);
}

#[test]
fn too_many_connections_of_one_address_are_closed_before_they_say_anything() {
    let edge = Edge::start(|json| json["global"]["limits"] = json!({"concurrent": 3}));
    // Its threads take them in any order, so any one of them may be the fourth.
    let held: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(edge.addr()).unwrap()).collect();
    held.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
    let is_closed = |mut stream: &TcpStream| match stream.read(&mut [0]) {
        Ok(length) => {
            assert_eq!(length, 0, "it was answered");
            true
        }
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    };
    eventually("a closed connection", || held.iter().any(is_closed).then_some(()));
}
