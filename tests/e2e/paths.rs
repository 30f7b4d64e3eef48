//! The seed rules of paths: a rule is about a resource, however a client spells it.

use edge_e2e::{Answer, Backend, Edge, Mode, Request, in_every_mode};

in_every_mode!(
    other_spellings_of_a_blocked_path_are_blocked,
    paths_that_only_look_alike_pass,
    a_learned_path_is_blocked_in_every_spelling,
    a_prefix_covers_whole_segments,
    a_rule_for_a_host_leaves_other_hosts_alone,
    a_rule_for_a_method_leaves_other_methods_alone,
    a_rule_answers_with_its_status,
    a_path_status_map_is_a_resource_list,
    a_target_without_a_path_passes,
    a_target_with_a_path_that_haproxy_does_not_see_is_refused,
    a_url_is_judged_by_its_path,
    a_host_that_can_be_read_in_two_ways_is_refused,
    edge_check_judges_the_host_of_edge_resource,
);

fn with_rules(rules: &str, mode: Mode) -> (Backend, Edge) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).list("resources.lst", rules).start();
    (backend, edge)
}

const SPELLINGS: [&str; 9] = [
    "/yeet",
    "//yeet",
    "/%79eet",
    "/a/../yeet",
    "/./yeet",
    "/yeet?x=1",
    "/yeet?",
    "/a/%2e%2e/yeet",
    "/../../yeet",
];

const LOOKALIKES: [&str; 6] = ["/yeetish", "/YEET", "/yeet/x", "/xyeet", "/a/yeet", "/?/yeet"];

fn other_spellings_of_a_blocked_path_are_blocked(mode: Mode) {
    let (_backend, edge) = with_rules("/yeet\n", mode);
    for target in SPELLINGS {
        assert!(edge.refuses(&Request::get(target)), "{target} reached the backend");
    }
}

fn paths_that_only_look_alike_pass(mode: Mode) {
    let (_backend, edge) = with_rules("/yeet\n", mode);
    assert!(edge.refuses(&Request::get("/yeet")));
    for target in LOOKALIKES {
        assert!(!edge.refuses(&Request::get(target)), "{target} was refused");
    }
}

fn a_learned_path_is_blocked_in_every_spelling(mode: Mode) {
    let (backend, edge) = with_rules("", mode);
    backend.answer("/yeet", Answer::teaching("false"));
    assert!(!edge.refuses(&Request::get("/yeet")));
    for target in SPELLINGS {
        assert!(edge.refuses(&Request::get(target)), "{target} reached the backend");
    }
    for target in LOOKALIKES {
        assert!(!edge.refuses(&Request::get(target)), "{target} was refused");
    }
}

fn a_prefix_covers_whole_segments(mode: Mode) {
    let (_backend, edge) = with_rules("/adm/*\n", mode);
    for target in ["/adm/", "/adm/x", "/adm/x/y?z", "//adm//x", "/adm"] {
        assert!(edge.refuses(&Request::get(target)), "{target} reached the backend");
    }
    for target in ["/admin", "/admin/x", "/ad", "/x/adm/", "/adm/../x"] {
        assert!(!edge.refuses(&Request::get(target)), "{target} was refused");
    }
}

fn a_rule_for_a_host_leaves_other_hosts_alone(mode: Mode) {
    let (_backend, edge) = with_rules("shop.example/yeet\n", mode);
    for host in ["shop.example", "SHOP.example", "Shop.Example:8080"] {
        assert!(edge.refuses(&Request::get("/yeet").host(host)), "{host} was let through");
    }
    for host in ["www.example", "www.shop.example", "shop.example.net"] {
        assert!(!edge.refuses(&Request::get("/yeet").host(host)), "{host} was refused");
    }
}

fn a_rule_for_a_method_leaves_other_methods_alone(mode: Mode) {
    let (_backend, edge) = with_rules("/yeet POST\n", mode);
    assert!(edge.refuses(&Request::new("POST", "/yeet")));
    assert!(!edge.refuses(&Request::get("/yeet")));
}

fn a_rule_answers_with_its_status(mode: Mode) {
    let (_backend, edge) = with_rules("/gone GET 410\n/plain\n/map-like 451\n", mode);
    assert_eq!(edge.get("/gone").status, 410);
    assert_eq!(edge.get("/plain").status, 403);
    assert_eq!(edge.get("/map-like").status, 451);
}

fn a_path_status_map_is_a_resource_list(mode: Mode) {
    let (_backend, edge) = with_rules("/yeet false\n/yolo true\n", mode);
    assert!(edge.refuses(&Request::get("/yeet")));
    assert!(!edge.refuses(&Request::get("/yolo")));
}

fn a_target_without_a_path_passes(mode: Mode) {
    let (_backend, edge) = with_rules("/yeet\n", mode);
    assert!(edge.refuses(&Request::new("OPTIONS", "/yeet")));
    assert!(!edge.refuses(&Request::new("OPTIONS", "*")));
}

fn a_target_with_a_path_that_haproxy_does_not_see_is_refused(mode: Mode) {
    for config in ["haproxy.cfg", "minimal.cfg", "multi-backend.cfg"] {
        let backend = Backend::start();
        let edge = Edge::before(&backend, mode).config(config).start();
        // HAProxy itself refuses a target that does not begin with the Host, and from 3.0 on each of the first four.
        for (method, target) in [
            ("GET", "a/.env"),
            ("OPTIONS", "a/.env"),
            ("GET", "a"),
            ("GET", "*"),
            ("GET", "http://a?x"),
            ("GET", "x://a?x"),
        ] {
            let request = Request::new(method, target).host("a");
            assert_eq!(edge.send(&request).status, 400, "{config}: {request:?}");
        }
        assert_eq!(backend.asked_in_all(), 0, "{config}");
        for target in ["/x", "http://a/x?y", "http://a"] {
            assert!(edge.send(&Request::get(target).host("a")).is_from_backend(), "{config}: {target}");
        }
        assert!(edge.send(&Request::new("OPTIONS", "*").host("a")).is_from_backend(), "{config}");
    }
}

fn a_url_is_judged_by_its_path(mode: Mode) {
    let (_backend, edge) = with_rules("/\n/yeet\n", mode);
    for target in ["http://a.example", "HTTP://a.example:80", "http://a.example/", "http://a.example/yeet"] {
        assert!(edge.refuses(&Request::get(target).host("a.example")), "{target} reached the backend");
    }
    assert!(!edge.refuses(&Request::get("http://a.example/yolo").host("a.example")));
}

fn a_host_that_can_be_read_in_two_ways_is_refused(mode: Mode) {
    for config in ["haproxy.cfg", "minimal.cfg", "multi-backend.cfg"] {
        let backend = Backend::start();
        let edge = Edge::before(&backend, mode).config(config).start();
        let yolo = Request::get("/yolo");
        let bad = [
            "one.example,z",
            "one.example.",
            "one.example.:80",
            "shop.example/x",
            "one.example:x",
            "[::1",
            "",
        ];
        let mut refused: Vec<Request> = bad.iter().map(|host| yolo.clone().host(host)).collect();
        refused.push(yolo.clone().without_host());
        refused.push(yolo.clone().header("Host", "other.example"));
        for request in refused {
            assert_eq!(edge.send(&request).status, 400, "{config}: {request:?}");
        }
        assert_eq!(backend.asked_in_all(), 0, "{config}");
        for host in
            ["one.example", "One.Example:8080", "[::1]:80", "[2001:DB8::1]", "127.0.0.1:8080", "a_b-c"]
        {
            assert!(!edge.refuses(&yolo.clone().host(host)), "{config}: {host} was refused");
        }
    }
}

/// Also of a Host that `base` and ACLs read differently. From 3.0 on HAProxy lets no client send this one, so the
/// configuration makes it.
fn edge_check_judges_the_host_of_edge_resource(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode)
        .edit(
            "http-request deny deny_status 400 unless { req.fhdr_cnt(host)",
            "http-request set-header Host one.example,z if { req.fhdr_cnt(host)",
        )
        .list("resources.lst", "one.example/yeet POST\n")
        .start();
    assert!(edge.refuses(&Request::new("POST", "/yeet")));
    assert!(!edge.refuses(&Request::get("/yeet")));
    assert_eq!(backend.last().header("host"), Some("one.example,z"));
}
