//! Who a client behind a trusted proxy is: what the proxy wrote, in its one header, and nothing else.

use std::io::{Read, Write};
use std::net::TcpStream;

use edge_e2e::{Backend, Edge, Mode, Nginx, Request, Response, eventually, in_every_mode};

in_every_mode!(
    the_last_element_of_the_last_header_is_the_client,
    an_element_that_is_no_address_is_refused,
    what_the_client_wrote_never_matters,
    trusted_hops_are_followed_and_no_further,
    each_proxy_has_one_header,
    a_proxy_that_names_nobody_is_refused,
);

const UNLISTED: &str = "192.0.2.99";

fn blocking(list: &str, mode: Mode) -> (Backend, Edge) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).list("blocked_ips.map", list).start();
    (backend, edge)
}

fn status(edge: &Edge, values: &[&str]) -> u16 {
    let request = values.iter().fold(Request::get("/yolo"), |request, value| request.forwarded_for(value));
    edge.send(&request).status
}

fn the_last_element_of_the_last_header_is_the_client(mode: Mode) {
    let (backend, edge) = blocking("203.0.113.9\n2001:db8:bad::1\n", mode);
    for value in [
        "203.0.113.9",
        " \t203.0.113.9\t ",
        "203.0.113.9:443",
        "[203.0.113.9]",
        "::ffff:203.0.113.9",
        "::FFFF:cb00:7109",
        "[::ffff:203.0.113.9]:443",
        "2001:db8:bad::1",
        "[2001:db8:bad::1]",
        "[2001:DB8:BAD::1]:443",
        "2001:db8:bad:0:0:0:0:1",
    ] {
        assert_eq!(status(&edge, &[value]), 403, "{value}");
        assert_eq!(status(&edge, &[&format!("{UNLISTED}, {value}")]), 403, "{value} as the last");
        assert_eq!(status(&edge, &[UNLISTED, value]), 403, "{value} in a header of its own");
        assert_eq!(status(&edge, &[value, UNLISTED]), 200, "{value} before another header");
    }
    for (value, seen) in [("192.0.2.7:65535", "192.0.2.7"), ("[2001:db8::7]:1", "2001:db8::7")] {
        assert_eq!(status(&edge, &[value]), 200, "{value}");
        assert_eq!(backend.last().header("x-forwarded-for"), Some(seen));
        assert_eq!(backend.last().header("x-real-ip"), Some(seen));
    }
}

fn an_element_that_is_no_address_is_refused(mode: Mode) {
    let (backend, edge) = blocking("", mode);
    let refused = [
        "",
        " ",
        ",",
        "unknown",
        "_hidden",
        "unix:",
        "localhost",
        "\"192.0.2.1\"",
        "\"[2001:db8::1]:443\"",
        "192.0.2",
        "192.0.2.1.1",
        "192.0.2.256",
        "192.0.2.1/24",
        "192.0.2.1 192.0.2.2",
        "192.0.2.1:",
        "192.0.2.1::",
        "192.0.2.1:x::",
        "192.0.2.1:http",
        "0300.0.2.1",
        "010.0.2.1",
        "0xc0.0.2.1",
        "3221225985",
        "fe80::1%eth0",
        "[2001:db8::1",
        "2001:db8::1]",
        "2001:db8:::1",
        "2001:db8::1/64",
        "[]",
        ":",
    ];
    for value in refused {
        assert_eq!(status(&edge, &[&format!("{UNLISTED}, {value}")]), 400, "{value:?}");
        assert_eq!(status(&edge, &[UNLISTED, value]), 400, "{value:?}");
    }
    assert_eq!(status(&edge, &["192.0.2.1,"]), 400);
    assert_eq!(backend.asked_in_all(), 0);
    // Told of, and counted by HAProxy as denied.
    eventually("the log says why", || {
        let log = edge.haproxy().log();
        log.contains(" 400 ").then(|| log.contains("rule=\"unreadable-client-address\"")).filter(|told| *told)
    });
    let stat = edge.cli("show stat");
    let column = stat.lines().next().unwrap().split(',').position(|name| name == "dreq").unwrap();
    let web = stat.lines().find(|line| line.starts_with("web,FRONTEND,")).unwrap();
    assert!(web.split(',').nth(column).unwrap().parse::<usize>().unwrap() > 2 * refused.len(), "{web}");
}

fn what_the_client_wrote_never_matters(mode: Mode) {
    let (backend, edge) = blocking("203.0.113.9\n", mode);
    let long = "x".repeat(9000);
    let elements = "192.0.2.1,".repeat(1200);
    for written in
        ["\"", "\"a, b\"", "\\\"", "(", ",", ",,,", "\u{1}", "%s", "[", "192.0.2.1:", &long, &elements]
    {
        assert_eq!(status(&edge, &[&format!("{written}, 203.0.113.9")]), 403, "{written:.20}");
        assert_eq!(status(&edge, &[written, "203.0.113.9"]), 403, "{written:.20} in a header of its own");
        assert_eq!(status(&edge, &[&format!("{written}, {UNLISTED}")]), 200, "{written:.20}");
        assert_eq!(backend.last().header("x-forwarded-for"), Some(UNLISTED));
    }
}

fn trusted_hops_are_followed_and_no_further(mode: Mode) {
    let (backend, edge) = blocking("203.0.113.9\n", mode);
    for values in [
        &["192.0.2.1, 203.0.113.9, 127.0.0.1"][..],
        &["\", 203.0.113.9:80, 127.0.0.4, [::1]:443"],
        &["\"", "203.0.113.9", "127.0.0.4:1", "::1"],
        &["203.0.113.9, 127.0.0.4", "::1"],
        &["203.0.113.9", "127.0.0.4, ::1"],
    ] {
        assert_eq!(status(&edge, values), 403, "{values:?}");
    }
    for (values, seen) in [
        (&["203.0.113.9, 192.0.2.1, 127.0.0.1"][..], "192.0.2.1"),
        // A trusted address that nobody else names is the client.
        (&["127.0.0.4"], "127.0.0.4"),
        (&[",", "127.0.0.4"], "127.0.0.4"),
        // The fourth proxy is one too many.
        (&["203.0.113.9, 127.0.0.4, 127.0.0.3, 127.0.0.2"], "127.0.0.4"),
    ] {
        assert_eq!(status(&edge, values), 200, "{values:?}");
        assert_eq!(backend.last().header("x-forwarded-for"), Some(seen), "{values:?}");
    }
    for values in
        [&["192.0.2.1, unknown, 127.0.0.4"][..], &["192.0.2.1,,127.0.0.4"], &["192.0.2.1, x, 127.0.0.3, ::1"]]
    {
        assert_eq!(status(&edge, values), 400, "{values:?}");
    }
}

fn each_proxy_has_one_header(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode)
        .list("blocked_ips.map", "203.0.113.9\n")
        .list("trusted_proxies.lst", "127.0.1.0/24\n")
        .list("trusted_cf_connecting_ip.lst", "127.0.2.0/24\n")
        .list("trusted_x_real_ip.lst", "127.0.3.0/24\n")
        .edit("acl asks_for_itself src 127.0.0.0/8 ::1", "acl asks_for_itself src 127.0.0.1")
        .start();
    let proxies =
        [("X-Forwarded-For", "127.0.1.1"), ("CF-Connecting-IP", "127.0.2.1"), ("X-Real-IP", "127.0.3.1")];
    for (own, proxy) in proxies {
        let from = |request: Request| edge.send(&request.from(proxy.parse().unwrap())).status;
        assert_eq!(from(Request::get("/yolo").header(own, "203.0.113.9")), 403, "{own}");
        for (other, _) in proxies.iter().filter(|(other, _)| *other != own) {
            // What stands in another header is neither believed nor a reason, and the own one has no stand-in.
            assert_eq!(
                from(Request::get("/yolo").header(other, "203.0.113.9").header(own, UNLISTED)),
                200,
                "{own} {other}"
            );
            assert_eq!(
                from(Request::get("/yolo").header(other, UNLISTED).header(own, "203.0.113.9")),
                403,
                "{own} {other}"
            );
            assert_eq!(from(Request::get("/yolo").header(other, UNLISTED)), 400, "{own} {other}");
        }
        assert_eq!(from(Request::get("/yolo").header(own, "unknown")), 400, "{own}");
        assert_eq!(from(Request::get("/yolo").header(own, UNLISTED)), 200, "{own}");
        let received = backend.last();
        assert_eq!(
            (received.header("x-forwarded-for"), received.header("x-real-ip")),
            (Some(UNLISTED), Some(UNLISTED))
        );
        assert_eq!(received.header("cf-connecting-ip"), None);
    }
    // Who is no proxy chooses nothing.
    let stranger =
        proxies.iter().fold(Request::get("/yolo"), |request, (name, _)| request.header(name, "203.0.113.9"));
    assert_eq!(edge.send(&stranger).status, 200);
    assert_eq!(backend.last().header("x-forwarded-for"), Some("127.0.0.1"));
}

fn a_proxy_that_names_nobody_is_refused(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode)
        .edit("acl asks_for_itself src 127.0.0.0/8 ::1", "acl asks_for_itself src 127.0.0.5")
        .start();
    let from = |addr: &str| edge.send(&Request::get("/yolo").from(addr.parse().unwrap()));
    assert_eq!(from("127.0.0.4").status, 400);
    assert_eq!(from("127.0.0.5").status, 200);
    assert_eq!(backend.last().header("x-forwarded-for"), Some("127.0.0.5"));
}

/// As a visitor of nginx from this address, who sends these headers.
fn through(nginx: &Nginx, client: &str, headers: &[(&str, &str)]) -> Response {
    let request = Request::get("/yolo").header("X-Test-Client", client);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    request.send(nginx.addr()).unwrap()
}

#[test]
fn behind_an_nginx_that_appends_nobody_hides_and_nobody_blocks_the_proxy() {
    let backend = Backend::start();
    let edge = Edge::before(&backend, Mode::DEFAULT)
        .list("blocked_ips.map", "203.0.113.9\n")
        .list("backends.lst", "* client\n")
        .start();
    let line = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";
    let Some(nginx) = Nginx::before(edge.web_addr(), line) else { return };
    for written in ["\"", "127.0.0.1", "198.51.100.1", "\"x, 127.0.0.1", "a,,b", "", "unknown,", "[::1"] {
        let headers = [
            ("X-Forwarded-For", written),
            ("CF-Connecting-IP", "198.51.100.1"),
            ("X-Real-IP", "198.51.100.1"),
        ];
        assert_eq!(through(&nginx, "203.0.113.9", &headers).status, 403, "{written:?}");
        assert_eq!(through(&nginx, UNLISTED, &headers).status, 200, "{written:?}");
        assert_eq!(backend.last().header("x-forwarded-for"), Some(UNLISTED), "{written:?}");
        assert_eq!(backend.last().header("x-real-ip"), Some(UNLISTED), "{written:?}");
    }
    // The backend blocks the client, not the proxy.
    backend.answer("/yeet", edge_e2e::Answer::teaching("false; scope=client"));
    let teach = Request::get("/yeet").header("X-Test-Client", "198.51.100.7").header("X-Forwarded-For", "\"");
    assert_eq!(teach.send(nginx.addr()).unwrap().status, 404);
    assert!(!through(&nginx, "198.51.100.7", &[]).is_from_backend());
    assert_eq!(through(&nginx, UNLISTED, &[]).status, 200);
}

#[test]
fn behind_an_nginx_with_x_real_ip_that_header_alone_counts() {
    let backend = Backend::start();
    let edge = Edge::before(&backend, Mode::DEFAULT)
        .list("blocked_ips.map", "203.0.113.9\n")
        .list("trusted_proxies.lst", "")
        .list("trusted_x_real_ip.lst", "127.0.0.1\n")
        .start();
    let Some(nginx) = Nginx::before(edge.web_addr(), "proxy_set_header X-Real-IP $remote_addr;") else {
        return;
    };
    for headers in
        [&[][..], &[("X-Forwarded-For", UNLISTED)], &[("X-Real-IP", UNLISTED)], &[("X_Real_IP", UNLISTED)]]
    {
        assert_eq!(through(&nginx, "203.0.113.9", headers).status, 403, "{headers:?}");
        assert_eq!(through(&nginx, UNLISTED, headers).status, 200, "{headers:?}");
    }
}

#[test]
fn a_balancer_that_speaks_the_proxy_protocol_is_believed() {
    let backend = Backend::start();
    let edge = Edge::before(&backend, Mode::DEFAULT)
        .list("blocked_ips.map", "203.0.113.9\n")
        .list("trusted_proxies.lst", "127.0.0.7\n")
        .edit(
            "#tcp-request connection expect-proxy layer4 if { src 192.0.2.0/24 }",
            "tcp-request connection expect-proxy layer4 if { src 127.0.0.1 }",
        )
        .start();
    let ask = |header: &str| {
        let mut stream = TcpStream::connect(edge.web_addr()).unwrap();
        let request = "GET /yolo HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\n\r\n";
        stream.write_all(format!("{header}{request}").as_bytes()).unwrap();
        let mut answer = String::new();
        // A connection without the header is closed, perhaps with a reset.
        let _ = stream.read_to_string(&mut answer);
        answer.get(9..12).unwrap_or("").to_owned()
    };
    assert_eq!(ask("PROXY TCP4 203.0.113.9 192.0.2.1 1 80\r\n"), "403");
    assert_eq!(ask(&format!("PROXY TCP4 {UNLISTED} 192.0.2.1 1 80\r\n")), "200");
    assert_eq!(backend.last().header("x-forwarded-for"), Some(UNLISTED));
    assert_ne!(ask(""), "200");
}
