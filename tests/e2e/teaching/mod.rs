//! Which requests teach, and for whom: a client must not be able to close a page for the others by the way it asks.

mod flask;
mod interim;

use edge_e2e::{Answer, Backend, Edge, Mode, Received, Request, StateHome, eventually, in_every_mode};

in_every_mode!(
    no_client_closes_a_page_by_the_way_it_asks,
    a_path_with_another_reading_teaches_nothing_at_all,
    another_method_teaches_for_itself_alone,
    method_any_teaches_for_all_methods_where_it_may,
    a_take_back_reaches_no_further_than_its_method,
    parts_and_preconditions_teach_nothing,
    a_rule_waits_for_as_many_client_networks_as_asked_for,
    the_half_open_request_goes_to_another_network,
    an_address_that_no_backend_may_block_is_not_learned,
);

/// The client that attacks, a neighbour in its network, and two clients elsewhere.
const ONE: &str = "192.0.2.1";
const NEIGHBOUR: &str = "192.0.2.200";
const OTHER: &str = "198.51.100.1";
const THIRD: &str = "2001:db8::1";

fn checkout() -> Request {
    Request::get("/checkout")
}

/// Requests that a backend may answer with something else than a GET of `/checkout` gets.
fn attacks() -> Vec<Request> {
    let targets = [
        "/nope/../checkout",
        "/nope/%2e%2e/checkout",
        "/nope/..%2fcheckout",
        "//checkout",
        "///checkout",
        "/./checkout",
        "/%63heckout",
        "/checkout/.",
        "/checkout/x/..",
        "/checkout#",
        "/checkout\\",
        "/checkout;x",
        "/CHECKOUT",
        "http://www.example/checkout",
        "http://www.example//checkout",
        "http://www.example?p=99999@www.example/checkout",
    ];
    let headers = [
        ("Range", "bytes=0-1"),
        ("Range", "bytes=99999-"),
        ("If-Range", "\"x\""),
        ("If-Match", "\"x\""),
        ("If-None-Match", "*"),
        ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),
        ("If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT"),
    ];
    let methods = ["HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "GETX"];
    let targets = targets.into_iter().map(Request::get);
    let headers = headers.into_iter().map(|(name, value)| checkout().header(name, value));
    let methods = methods.into_iter().map(|method| Request::new(method, "/checkout"));
    let hosts = ["WWW.example", "www.example:99999", "www.example:1", "www.example:"];
    let hosts = hosts.into_iter().map(|host| checkout().host(host));
    let all = targets.chain(headers).chain(methods).chain(hosts);
    all.map(|request| request.forwarded_for(ONE)).collect()
}

/// The checkout is there for a plain GET; everything else is answered by a handler that teaches.
fn catch_all(request: &Received) -> Answer {
    let has = |name: &str| request.headers.iter().any(|(other, _)| other == name);
    let is_conditional = request.headers.iter().any(|(name, _)| name.starts_with("if-"));
    let is_plain = !has("range") && !is_conditional && request.header("host") == Some("www.example");
    if request.method == "GET" && request.target == "/checkout" && is_plain {
        Answer::status(200)
    } else {
        Answer::teaching("false; ttl=20")
    }
}

fn start(mode: Mode) -> (Backend, Edge) {
    start_with("* prefix client\n", mode)
}

fn start_with(backends: &str, mode: Mode) -> (Backend, Edge) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).list("backends.lst", backends).start();
    (backend, edge)
}

fn results(edge: &Edge, result: &str) -> f64 {
    edge.metrics().sum("edge_filter_learn_total", &[("result", result)])
}

fn no_client_closes_a_page_by_the_way_it_asks(mode: Mode) {
    let (backend, edge) = start(mode);
    backend.answer_others(catch_all);
    for attack in attacks() {
        let asked = backend.asked_in_all();
        let answer = edge.try_send(&attack);
        let reached = backend.asked_in_all() > asked;
        for client in [ONE, OTHER] {
            let after = checkout().forwarded_for(client);
            assert!(
                !edge.refuses(&after),
                "{attack:?} (reached: {reached}, {answer:?}) closed it for {client}"
            );
        }
    }
    assert!(results(&edge, "not_plain_path") >= 7.0 && results(&edge, "partial_request") >= 7.0);
}

fn a_path_with_another_reading_teaches_nothing_at_all(mode: Mode) {
    let (backend, edge) = start(mode);
    let odd = "/adm/./x";
    for value in [
        "false",
        "false; path=\"/adm/x\"",
        "false; match=prefix; path=\"/adm/\"",
        "false; match=prefix; path=\"/\"",
        "false; scope=client",
        "false; method=any",
    ] {
        backend.answer(odd, Answer::teaching(value));
        edge.send(&Request::get(odd).forwarded_for(ONE));
        assert!(!edge.refuses(&Request::get("/adm/x").forwarded_for(ONE)), "{value}");
    }
    backend.answer("/adm/x", Answer::teaching("false; method"));
    edge.get("/adm/x");
    for value in ["true", "true; method=any", "true; path=\"/adm/x\"; method=any"] {
        backend.answer(odd, Answer::status(200).header("X-Edge-Resource", value));
        edge.send(&Request::new("POST", odd));
        assert!(edge.refuses(&Request::get("/adm/x")), "{value} took it back");
    }
    assert_eq!(results(&edge, "not_plain_path"), 9.0);
}

fn another_method_teaches_for_itself_alone(mode: Mode) {
    let (backend, edge) = start(mode);
    for method in ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PROPFIND", "MADEUP"] {
        let path = format!("/{method}");
        backend.answer(&path, Answer::teaching("false"));
        edge.send(&Request::new(method, &path));
        backend.answer(&path, Answer::status(200));
        assert!(edge.refuses(&Request::new(method, &path)), "{method} taught nothing for itself");
        assert!(!edge.refuses(&Request::get(&path)), "{method} taught for GET");
    }
}

fn method_any_teaches_for_all_methods_where_it_may(mode: Mode) {
    let (backend, edge) = start(mode);
    for (method, is_for_all) in [
        ("GET", true),
        ("POST", true),
        ("DELETE", true),
        ("HEAD", false),
        ("OPTIONS", false),
        ("MADEUP", false),
    ] {
        let path = format!("/{method}");
        backend.answer(&path, Answer::teaching("false; method=any"));
        edge.send(&Request::new(method, &path));
        backend.answer(&path, Answer::status(200));
        assert!(edge.refuses(&Request::new(method, &path)), "{method}");
        for other in ["PUT", "PATCH"] {
            assert_eq!(edge.refuses(&Request::new(other, &path)), is_for_all, "{method} taught for {other}");
        }
    }
}

fn a_take_back_reaches_no_further_than_its_method(mode: Mode) {
    let (backend, edge) = start(mode);
    for method in ["GET", "POST"] {
        backend.answer("/yeet", Answer::teaching("false; method"));
        edge.send(&Request::new(method, "/yeet"));
        assert!(edge.refuses(&Request::new(method, "/yeet")));
    }
    let take_back = |value: &str| {
        backend.answer("/yeet", Answer::status(200).header("X-Edge-Resource", value));
        edge.send(&Request::new("PUT", "/yeet"));
        ["GET", "POST"].map(|method| edge.refuses(&Request::new(method, "/yeet")))
    };
    assert_eq!(take_back("true"), [true, true], "a PUT takes back what was taught for PUT");
    assert_eq!(take_back("true; method=any"), [false, false]);
}

fn parts_and_preconditions_teach_nothing(mode: Mode) {
    let (backend, edge) = start(mode);
    backend.answer("/yeet", Answer::teaching("false"));
    for (name, value) in [
        ("Range", "bytes=0-1"),
        ("If-Range", "\"x\""),
        ("If-Match", "\"x\""),
        ("If-None-Match", "\"x\""),
        ("If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT"),
        ("If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT"),
    ] {
        edge.send(&Request::get("/yeet").header(name, value));
        assert_eq!(edge.metrics().learned_rules(), 0.0, "{name}");
    }
    edge.send(&Request::get("/yeet").header("Expect", "something"));
    edge.send(&Request::get("/yeet").body("text"));
    assert_eq!(edge.metrics().learned_rules(), 0.0, "an expectation, or a body");
    // HAProxy makes the origin form of it.
    edge.send(&Request::get("http://www.example/yeet"));
    assert_eq!(edge.metrics().learned_rules(), 0.0, "a whole URL");
    let handshake = Request::get("/yeet").header("Connection", "Upgrade").header("Upgrade", "websocket");
    edge.send(&handshake.header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!(edge.metrics().learned_rules(), 0.0, "a handshake");
    assert_eq!(results(&edge, "partial_request"), 10.0);
    for status in [206, 304, 412, 416] {
        backend.answer("/yeet", Answer::status(status).header("X-Edge-Resource", "false"));
        edge.get("/yeet");
        assert_eq!(edge.metrics().learned_rules(), 0.0, "{status}");
    }
    assert_eq!(results(&edge, "partial_response"), 4.0);
}

fn a_rule_waits_for_as_many_client_networks_as_asked_for(mode: Mode) {
    for (backends, value) in [
        ("*\n", "false; confirm=3"),
        ("* confirm=3\n", "false"),
        ("* confirm=3\n", "false; confirm=2"),
        ("* confirm=2\n", "false; confirm=3"),
    ] {
        let (backend, edge) = start_with(backends, mode);
        backend.answer("/yeet", Answer::teaching(value));
        let ask = |client: &str| edge.send(&Request::get("/yeet").forwarded_for(client)).is_from_backend();
        for client in [ONE, NEIGHBOUR, ONE, OTHER, OTHER, THIRD] {
            assert!(ask(client), "{backends}{value}: {client}");
        }
        assert!(!ask(ONE), "{backends}{value}: three networks were answered so");
        assert_eq!((results(&edge, "unconfirmed"), results(&edge, "learned")), (5.0, 1.0));
    }
}

/// After the worker was killed too: the network is kept with the rule.
fn the_half_open_request_goes_to_another_network(mode: Mode) {
    let (backend, home) = (Backend::start(), StateHome::new(mode));
    let mut edge = Edge::before(&backend, mode).state(&home).start();
    let writes = |edge: &Edge| edge.metrics().sum("edge_filter_state_writes", &[]) == 1.0;
    eventually("the worker has a journal", || writes(&edge).then_some(()));
    let half_open = |edge: &Edge| edge.metrics().sum("edge_filter_half_open_total", &[]);
    let yeet = |client: &str| Request::get("/yeet").forwarded_for(client);
    backend.answer("/yeet", Answer::teaching("false; ttl=20"));
    assert!(edge.send(&yeet(ONE)).is_from_backend());
    edge.crash_and_restart();
    assert!(edge.cli("show edge rules resource").contains("www.example/yeet: "), "the rule is there again");
    // The shortest TTL with a half-open window, which is its last tenth.
    backend.answer("/yeet", Answer::teaching("false; ttl=10"));
    eventually("the rule ends", || edge.send(&yeet(NEIGHBOUR)).is_from_backend().then_some(()));
    assert_eq!(half_open(&edge), 0.0, "its own network got the half-open request");
    eventually("a request of another network is let through", || {
        for client in [OTHER, ONE] {
            edge.send(&yeet(client));
        }
        (half_open(&edge) >= 1.0).then_some(())
    });
    assert!(edge.refuses(&yeet(ONE)) && edge.refuses(&yeet(OTHER)), "the backend renewed the rule");
}

fn an_address_that_no_backend_may_block_is_not_learned(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode)
        .list("backends.lst", "* client\n")
        .list("never.lst", "192.0.2.0/24 # a proxy in front\n2001:db8::/32\n")
        .setting("EDGE_NEVER_LEARN_FILES", "${FILTER_LISTS-/etc/edge-filter}/never.lst")
        .start();
    for (path, value) in [("/one", "false; src"), ("/two", "false; scope=client")] {
        backend.answer(path, Answer::teaching(value));
        let of = |client: &str| Request::get(path).forwarded_for(client);
        // The last one comes from an address of this machine.
        for request in [of(ONE), of(NEIGHBOUR), of(THIRD), Request::get(path)] {
            edge.send(&request);
            assert!(!edge.refuses(&request), "{value}: {request:?}");
        }
        edge.send(&of(OTHER));
        assert!(edge.refuses(&of(OTHER)), "{value}");
    }
    assert_eq!(results(&edge, "protected_client"), 16.0);
}
