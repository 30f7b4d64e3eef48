//! The module in the real HAProxy under valgrind: everything it does once, and no memory error, no leak.

use std::path::Path;

use edge_e2e::{
    Answer, Backend, Edge, ListedRule, Memcheck, Mode, Request, RulesProcess, StateHome, eventually,
};

/// The list that the manager publishes.
const LIST: &str = "feed";

/// An address of it, and of no other.
const LISTED: &str = "203.0.113.200";

fn blocked(client: &str) -> ListedRule {
    ListedRule { kind: "block", what: client.to_owned(), ends_at_s: u32::MAX, list: LIST }
}

/// Enough addresses of both families for every kind of node.
fn feed() -> Vec<ListedRule> {
    let v4 = (0..200).map(|n| format!("198.18.{n}.{}", n % 7));
    let v6 = (0..200).map(|n| format!("2001:db8:{n:x}::{}", n % 7));
    let nets = (0..50).map(|n| format!("198.51.{n}.0/24"));
    v4.chain(v6).chain(nets).map(|client| blocked(&client)).collect()
}

/// Starts HAProxy with lists and a state directory of a snapshot and a journal, has it do everything, and lets it end.
/// What is found must be nothing, in this many processes.
fn finds_nothing(mode: Mode, reloads: usize) {
    let memcheck = Memcheck::new().unwrap();
    let backend = Backend::start();
    let home = StateHome::new(mode);
    let writer = Path::new(env!("CARGO_BIN_EXE_edge-rules-writer"));
    let mut manager = RulesProcess::spawn(writer, &home).unwrap();
    manager.rotate(&[LIST], feed().iter()).unwrap();
    manager.put(&blocked(LISTED)).unwrap();
    let mut edge = Edge::before(&backend, mode)
        .list("blocked_ips.map", "203.0.113.1\n2001:db8::/32\n")
        .list("resources.lst", "/.env\n/adm/*\nwww.example/old GET 410\n")
        .list("backends.lst", "* prefix client\n")
        .state(&home)
        .under(memcheck.command())
        .start();
    lookups(&edge);
    lessons(&edge, &backend);
    reports(&edge);
    changes(&edge, &mut manager);
    upkeep(&edge, &backend);
    for _ in 0..reloads {
        edge.reload();
        assert!(edge.refuses(&Request::get("/taught")), "a lesson outlives the reload");
        lookups(&edge);
    }
    assert!(edge.stop().unwrap().success(), "{}", edge.haproxy().log());
    let found = memcheck.findings().unwrap();
    let errors: Vec<String> = found.iter().flat_map(|findings| findings.errors.clone()).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n\n"));
    let ended = found.iter().filter(|findings| findings.has_ended).count();
    assert!(ended > reloads, "valgrind saw the end of {ended} processes");
}

fn lookups(edge: &Edge) {
    for client in ["203.0.113.1", "2001:db8::1", "198.18.3.3", "198.51.7.9", LISTED] {
        assert!(edge.refuses(&Request::get("/yolo").forwarded_for(client)), "{client}");
    }
    for client in ["192.0.2.1", "2001:db9::1"] {
        assert!(!edge.refuses(&Request::get("/yolo").forwarded_for(client)), "{client}");
    }
    for path in ["/.env", "//x/../.%65nv", "/adm/x/y", "/old"] {
        assert!(edge.refuses(&Request::get(path)), "{path}");
    }
    let long = format!("/{}", "%2f../a;b/".repeat(500));
    for path in ["/", "/yolo?a=1&b=2", &long] {
        assert!(!edge.refuses(&Request::get(path)), "{path}");
    }
}

fn lessons(edge: &Edge, backend: &Backend) {
    let conditions = "false; method; query; anon; src; param=\"id\"; reason=\"all of them\"";
    for (path, lesson) in [
        ("/taught", "false; ttl=600"),
        ("/prefix/x", "false; match=prefix; path=\"/prefix/\""),
        ("/bound?id=1", conditions),
        ("/brief", "false; ttl=1"),
        ("/changing", "false; method"),
        ("/wrong", "false; tll=1"),
        // The last, for the client that asks all this.
        ("/client", "false; scope=client; ttl=600"),
    ] {
        let path_only = path.split('?').next().unwrap_or(path);
        backend.answer(path_only, Answer::teaching(lesson));
        edge.send(&Request::get(path).forwarded_for("192.0.2.7"));
    }
    assert!(edge.refuses(&Request::get("/taught")));
    assert!(edge.refuses(&Request::get("/prefix/y")));
    assert!(edge.refuses(&Request::get("/yolo").forwarded_for("192.0.2.7")));
    assert!(edge.refuses(&Request::get("/changing")));
    // Bound to the method, so another one still reaches the backend, which takes it back.
    backend.answer("/changing", Answer::teaching("true; method=any"));
    edge.send(&Request::new("POST", "/changing"));
    assert!(!edge.refuses(&Request::get("/changing")));
    backend.answer("/brief", Answer::status(200));
    eventually("the brief rule ends", || (!edge.refuses(&Request::get("/brief"))).then_some(()));
}

fn reports(edge: &Edge) {
    assert_eq!(edge.service("/status").status, 200);
    assert!(edge.metrics().learned_rules() > 0.0);
    for command in
        ["show edge status", "show edge rules", "get edge 198.18.3.3", "get edge www.example/adm/x"]
    {
        assert!(!edge.cli(command).trim().is_empty(), "{command}");
    }
}

/// One change, the replacement of a list, and a rotation.
fn changes(edge: &Edge, manager: &mut RulesProcess) {
    let refuses = |client: &str| edge.refuses(&Request::get("/yolo").forwarded_for(client));
    manager.put(&blocked("203.0.113.201")).unwrap();
    sync(edge, manager);
    assert!(refuses("203.0.113.201"));
    let mut all = feed();
    all.extend((0..200).map(|n| blocked(&format!("198.19.{n}.1"))));
    all.extend(["203.0.113.201", LISTED].map(blocked));
    manager.replace(LIST, all.iter()).unwrap();
    sync(edge, manager);
    assert!(refuses("198.19.3.1"));
    manager.rotate(&[LIST], all.iter()).unwrap();
    manager.remove("block", "203.0.113.201").unwrap();
    sync(edge, manager);
    assert!(!refuses("203.0.113.201"));
}

/// A turn of upkeep after all that: the only one to remove a rule that has ended.
fn upkeep(edge: &Edge, backend: &Backend) {
    let before = edge.metrics().learned_rules();
    backend.answer("/ending", Answer::teaching("false; ttl=1"));
    edge.send(&Request::get("/ending"));
    eventually("a turn that removes it", || (edge.metrics().learned_rules() <= before).then_some(()));
}

fn sync(edge: &Edge, manager: &RulesProcess) {
    eventually("the manager's revision in force", || edge.has_rules_of(manager.revision()).then_some(()));
}

#[test]
fn native_converters_and_a_state_for_each_thread() {
    finds_nothing(Mode::DEFAULT, 0);
}

#[test]
fn lua_converters_in_a_shared_state() {
    finds_nothing(Mode { per_thread: false, native: false, ..Mode::DEFAULT }, 0);
}

#[test]
fn workers_without_rights_that_follow_each_other() {
    finds_nothing(Mode::WORKER, 1);
}
