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
    a_host_cannot_hide_a_path,
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
    backend.answer("/b/../%79eet", Answer::teaching("false"));
    assert!(!edge.refuses(&Request::get("/b/../%79eet")));
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
    for host in ["shop.example", "SHOP.example", "shop.example:8080", "shop.example."] {
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

/// `base` of such a request is `shop.example/x/yeet`.
fn a_host_cannot_hide_a_path(mode: Mode) {
    let (backend, edge) = with_rules("/yeet\n", mode);
    let response = edge.send(&Request::get("/yeet").host("shop.example/x"));
    assert_eq!(response.status, 400);
    assert_eq!(backend.asked("/yeet"), 0);
}
