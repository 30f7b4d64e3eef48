//! Paths that backends read in two ways, and requests that cannot be held against the rules.

use edge_e2e::{Answer, Backend, Edge, Mode, Nginx, Request, in_every_mode};

in_every_mode!(
    a_rule_on_either_reading_refuses,
    a_learned_rule_holds_for_both_readings,
    a_method_is_asked_for_on_both_readings,
    settings_add_to_the_second_reading,
    strict_paths_are_answered_400,
    a_path_that_cannot_be_looked_up_is_refused,
    a_query_that_cannot_be_looked_up_is_no_way_around_a_condition,
    the_reading_that_decided_is_told,
);

const RULES: &str = "/.git/config\n/.env 404\n/admin/*\nwww.example/u/%40admin\n/yeet/x POST\n";

fn start(mode: Mode, settings: &[(&str, &str)]) -> (Backend, Edge) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).list("resources.lst", RULES);
    let edge = settings.iter().fold(edge, |edge, (name, value)| edge.setting(name, value));
    (backend, edge.start())
}

fn a_rule_on_either_reading_refuses(mode: Mode) {
    let (backend, edge) = start(mode, &[]);
    for (target, status) in [
        ("/.git%2fconfig", 403),
        ("/%2egit%2Fcon%66ig?x", 403),
        ("/a/..%2f.env", 404),
        ("/a%2f..%2F.env", 404),
        ("//a%2f%2f..%2f.env", 404),
        ("/%2e%2e%2fadmin/x", 403),
        ("/x%2F..%2Fadmin", 403),
        ("/admin%2f", 403),
        ("/admin%2fx/..", 403),
        ("/u/@admin", 403),
        ("/u/%40admin", 403),
        ("/u%2f%40%61dmin", 403),
    ] {
        assert_eq!(edge.get(target).status, status, "{target}");
    }
    assert_eq!(backend.asked_in_all(), 0);
    for target in ["/.git%252fconfig", "/.git%5cconfig", "/x%2fadmin", "/admin%2e", "/?/.git%2fconfig"] {
        assert!(!edge.refuses(&Request::get(target)), "{target} was refused");
    }
}

fn a_learned_rule_holds_for_both_readings(mode: Mode) {
    let (backend, edge) = start(mode, &[]);
    backend.answer("/shop/old", Answer::teaching("false"));
    assert!(!edge.refuses(&Request::get("/shop/old")));
    for target in ["/shop/old", "/shop%2fold", "/x/..%2Fshop%2Fold", "/shop/%6fld"] {
        assert!(edge.refuses(&Request::get(target)), "{target} reached the backend");
    }
}

fn a_method_is_asked_for_on_both_readings(mode: Mode) {
    let (_backend, edge) = start(mode, &[]);
    for target in ["/yeet/x", "/yeet%2fx", "/a%2f..%2Fyeet/x"] {
        assert!(edge.refuses(&Request::new("POST", target)), "{target} reached the backend");
        assert!(!edge.refuses(&Request::get(target)), "{target} was refused");
    }
}

fn settings_add_to_the_second_reading(mode: Mode) {
    let (_backend, edge) = start(
        mode,
        &[("EDGE_PATH_BACKSLASH", "on"), ("EDGE_PATH_DOUBLE_ESCAPE", "on"), ("EDGE_PATH_PARAMS", "drop")],
    );
    for target in
        ["/.git%5cconfig", "/.git%252fconfig", "/a%5c%252e%2e/.env", "/admin%3bx", "/x;%2f..%2f.env"]
    {
        assert!(edge.refuses(&Request::get(target)), "{target} reached the backend");
    }
    assert!(!edge.refuses(&Request::get("/.git%25252fconfig")));
}

fn strict_paths_are_answered_400(mode: Mode) {
    let (backend, edge) = start(mode, &[("EDGE_STRICT_PATHS", "on")]);
    for target in ["/a%2fb", "/.git%2Fconfig", "/a%2f/../b"] {
        assert_eq!(edge.get(target).status, 400, "{target}");
    }
    assert_eq!(backend.asked_in_all(), 0);
    for target in ["/a/b", "/a/../b", "/%40", "/a%252f", "/a?%2f"] {
        assert!(!edge.refuses(&Request::get(target)), "{target} was refused");
    }
    assert_eq!(edge.get("/.git/config").status, 403);
}

/// With buffers that have room for more than a lookup reads.
fn with_large_buffers(mode: Mode) -> (Backend, Edge) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode)
        .list("resources.lst", RULES)
        .edit("\nglobal\n", "\nglobal\n  tune.bufsize 200000\n")
        .start();
    (backend, edge)
}

fn a_path_that_cannot_be_looked_up_is_refused(mode: Mode) {
    let (backend, edge) = with_large_buffers(mode);
    let escaped = "%22".repeat(30_000);
    for target in
        [format!("/{}", "a".repeat(70_000)), format!("/x/../{escaped}"), format!("/admin/{escaped}/..")]
    {
        assert_eq!(edge.get(&target).status, 414, "{} bytes", target.len());
        // Conditions are not come to.
        assert_eq!(edge.send(&Request::new("POST", &target)).status, 414, "{} bytes", target.len());
    }
    assert_eq!(backend.asked_in_all(), 0);
    assert!(edge.get("/").is_from_backend());
}

fn a_query_that_cannot_be_looked_up_is_no_way_around_a_condition(mode: Mode) {
    let (backend, edge) = with_large_buffers(mode);
    backend.answer("/yeet", Answer::teaching("false; param=\"id\""));
    assert!(!edge.refuses(&Request::get("/yeet?id=7")));
    assert_eq!(edge.get("/yeet?id=7").status, 404);
    for rest in ["&".repeat(20_000), "\"".repeat(30_000)] {
        assert_eq!(edge.get(&format!("/yeet?id=7&{rest}")).status, 414, "{} bytes", rest.len());
    }
    assert!(!edge.refuses(&Request::get("/yeet?id=8")));
}

fn the_reading_that_decided_is_told(mode: Mode) {
    let (_backend, edge) = start(mode, &[]);
    let said = edge.cli("get edge www.example/.git%2fconfig");
    for words in [
        "www.example/.git%2Fconfig: deny 403\n",
        "second reading: www.example/.git/config\n",
        "decides on the second reading: /.git/config: deny 403",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
}

/// What the edge has to know of a backend: nginx decodes an escaped slash before it looks for the file.
#[test]
fn nginx_serves_what_the_edge_refuses() {
    let Some(nginx) =
        Nginx::serving(&[("/.git/config", "secret"), ("/index.html", "hello"), ("/u/@admin", "secret")])
    else {
        return;
    };
    let backend = Backend::start();
    let edge =
        Edge::before(&backend, Mode::DEFAULT).server(nginx.addr()).list("resources.lst", RULES).start();
    let body = |answer: edge_e2e::Response| (answer.status, answer.body);
    for target in ["/.git%2fconfig", "/a/..%2f.git%2Fconfig", "/x%2f..%2F.git/config", "/u/%40admin"] {
        let direct = Request::get(target).send(nginx.addr()).unwrap();
        assert_eq!(body(direct), (200, "secret".to_owned()), "{target}");
        let through = body(edge.get(target));
        assert_eq!(through.0, 403, "{target}");
        assert!(!through.1.contains("secret"), "{target}");
    }
    assert_eq!(body(edge.get("/index.html")), (200, "hello".to_owned()));
}
