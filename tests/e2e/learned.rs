//! What backends teach, as the manager keeps it: listed, taken back, pinned, given back; whoever is killed.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use edge_e2e::{Answer, Backend, Edge, Manager, Mode, Request, StateHome, eventually, in_every_mode};

in_every_mode!(
    a_lesson_is_listed_with_what_taught_it_and_its_hits,
    a_deleted_lesson_stays_away_until_it_is_taught_anew,
    a_lesson_whose_journals_were_lost_is_given_back,
    a_pinned_lesson_outlives_its_ttl,
    a_manager_that_is_killed_loses_nothing,
);

fn manager(home: &StateHome) -> Manager<'_> {
    Manager::beside(Path::new(env!("CARGO_BIN_EXE_edge-rules-writer")), home)
}

fn start(mode: Mode) -> (Backend, StateHome, Edge) {
    let backend = Backend::start();
    let home = StateHome::new(mode);
    let edge = Edge::before(&backend, mode).state(&home).start();
    until_it_writes(&edge);
    (backend, home, edge)
}

fn until_it_writes(edge: &Edge) {
    let writes = || edge.metrics().sum("edge_filter_state_writes", &[]) == 1.0;
    eventually("the worker has a journal", || writes().then_some(()));
}

fn teach(backend: &Backend, edge: &Edge, path: &str, value: &str) {
    backend.answer(path, Answer::teaching(value));
    assert!(edge.get(path).is_from_backend());
}

fn refuses(edge: &Edge, path: &str) -> bool {
    edge.refuses(&Request::get(path))
}

/// Runs `edge-manager resources`, which must end well.
fn resources(manager: &Manager<'_>, edge: &Edge, args: &[&str]) -> String {
    let said = manager.run(edge, &[&["resources"], args].concat(), "");
    assert_eq!(said.code, Some(0), "{args:?}: {}{}", said.out, said.error);
    said.out
}

/// The line about this path, as soon as there is one.
fn line(manager: &Manager<'_>, edge: &Edge, path: &str) -> String {
    let start = format!(": www.example{path}: ");
    eventually(path, || {
        let list = resources(manager, edge, &["list"]);
        list.lines().find(|line| line.contains(&start)).map(str::to_owned)
    })
}

fn id(line: &str) -> &str {
    line.split_once(':').expect("an id").0
}

fn a_lesson_is_listed_with_what_taught_it_and_its_hits(mode: Mode) {
    let (backend, home, edge) = start(mode);
    let manager = manager(&home);
    let _serve = manager.serve(&edge);
    teach(&backend, &edge, "/yeet", "false; ttl=3600");
    let found = line(&manager, &edge, "/yeet");
    assert!(found.starts_with("learned-1: www.example/yeet: deny 404, "), "{found}");
    assert!(found.contains(" s left, learned from site/site1 by GET www.example/yeet"), "{found}");
    eventually("no hit", || line(&manager, &edge, "/yeet").ends_with(", 0 hits").then_some(()));
    for _ in 0..3 {
        assert!(refuses(&edge, "/yeet"));
    }
    let with_hits =
        || Some(line(&manager, &edge, "/yeet")).filter(|line| line.contains(", 3 hits, the last "));
    eventually("three hits", with_hits);
    assert_eq!(resources(&manager, &edge, &["list", "--origin", "manual"]), "");
    assert_eq!(resources(&manager, &edge, &["list", "--host", "other.example"]), "");
    assert_eq!(resources(&manager, &edge, &["list", "--backend", "site"]).lines().count(), 1);
}

fn a_deleted_lesson_stays_away_until_it_is_taught_anew(mode: Mode) {
    let (backend, home, mut edge) = start(mode);
    let manager = manager(&home);
    let _serve = manager.serve(&edge);
    teach(&backend, &edge, "/yeet", "false; ttl=3600");
    teach(&backend, &edge, "/stays", "false; ttl=3600");
    let found = line(&manager, &edge, "/yeet");
    backend.answer("/yeet", Answer::status(200));
    let said = resources(&manager, &edge, &["delete", id(&found), "--wait", "60s"]);
    assert!(said.ends_with("in force\n"), "{said}");
    assert!(!refuses(&edge, "/yeet"), "from the next request on");
    for _ in 0..2 {
        edge.crash_and_restart();
        assert!(!refuses(&edge, "/yeet") && refuses(&edge, "/stays"));
        until_it_writes(&edge);
    }
    let again = manager.run(&edge, &["resources", "delete", id(&found)], "");
    assert_eq!(again.code, Some(1), "{}{}", again.out, again.error);
    teach(&backend, &edge, "/yeet", "false; ttl=3600");
    assert!(refuses(&edge, "/yeet"));
    assert_eq!(id(&line(&manager, &edge, "/yeet")), id(&found));
    edge.crash_and_restart();
    assert!(refuses(&edge, "/yeet"));
}

fn a_lesson_whose_journals_were_lost_is_given_back(mode: Mode) {
    let (backend, home, mut edge) = start(mode);
    let manager = manager(&home);
    let _serve = manager.serve(&edge);
    teach(&backend, &edge, "/yeet", "false; ttl=3600");
    teach(&backend, &edge, "/gone", "false; method; ttl=3600");
    backend.answer("/gone", Answer::status(200).header("X-Edge-Resource", "true; method=any"));
    edge.send(&Request::new("POST", "/gone"));
    line(&manager, &edge, "/yeet");
    let is_over = || !resources(&manager, &edge, &["list"]).contains("/gone");
    eventually("taken back in the record", || is_over().then_some(()));
    edge.crash();
    for name in home.learned() {
        fs::remove_file(home.path().join(name)).unwrap();
    }
    edge.start_again();
    // Without a request, which would teach anew.
    let has_it = |edge: &Edge| edge.cli("show edge rules resource").contains("www.example/yeet: ");
    eventually("it is given back", || has_it(&edge).then_some(()));
    assert!(refuses(&edge, "/yeet") && !refuses(&edge, "/gone"));
    let rule = edge.cli("get edge www.example/yeet");
    assert!(rule.contains("learned from site/site1 by GET www.example/yeet id="), "{rule}");
    edge.crash_and_restart();
    assert!(refuses(&edge, "/yeet") && !refuses(&edge, "/gone"));
    assert_eq!(backend.asked("/yeet"), 1);
}

fn a_pinned_lesson_outlives_its_ttl(mode: Mode) {
    let (backend, home, mut edge) = start(mode);
    let manager = manager(&home);
    let _serve = manager.serve(&edge);
    teach(&backend, &edge, "/yeet", "false; ttl=15; status=410");
    let found = line(&manager, &edge, "/yeet");
    resources(&manager, &edge, &["pin", id(&found), "--wait", "60s"]);
    let pinned = line(&manager, &edge, "/yeet");
    assert!(
        pinned.starts_with("rule-1: www.example/yeet: deny 410, no end, pinned, reason: learned from"),
        "{pinned}"
    );
    // One with the same TTL that is taught later, and has ended.
    teach(&backend, &edge, "/ends", "false; ttl=15");
    backend.answer("/ends", Answer::status(200));
    eventually("the end of the TTL", || (!refuses(&edge, "/ends")).then_some(()));
    assert_eq!(edge.get("/yeet").status, 410);
    edge.crash_and_restart();
    assert_eq!(edge.get("/yeet").status, 410);
    assert_eq!(backend.asked("/yeet"), 1);
    backend.answer("/yeet", Answer::status(200));
    resources(&manager, &edge, &["delete", "rule-1", "--wait", "60s"]);
    assert!(!refuses(&edge, "/yeet"));
}

fn a_manager_that_is_killed_loses_nothing(mode: Mode) {
    let (backend, home, mut edge) = start(mode);
    let manager = manager(&home);
    for round in 0..6 {
        let serve = manager.serve(&edge);
        teach(&backend, &edge, &format!("/{round}"), "false; ttl=3600");
        teach(&backend, &edge, &format!("/{round}/gone"), "false; ttl=3600");
        // Before it reads it, while it does, or after.
        thread::sleep(Duration::from_millis(round * 40));
        drop(serve);
        // Without it, the command reads on itself.
        let serve = (round % 2 == 0).then(|| manager.serve(&edge));
        let gone = format!("/{round}/gone");
        let found = match serve {
            Some(_) => line(&manager, &edge, &gone),
            None => format!("learned-{}:", 2 * round + 2),
        };
        resources(&manager, &edge, &["delete", id(&found), "--wait", "60s"]);
        backend.answer(&gone, Answer::status(200));
    }
    let serve = manager.serve(&edge);
    let listed = |edge: &Edge| resources(&manager, edge, &["list"]).lines().count() == 6;
    eventually("all that hold, and no others", || listed(&edge).then_some(()));
    edge.crash_and_restart();
    for round in 0..6 {
        assert!(
            refuses(&edge, &format!("/{round}")) && !refuses(&edge, &format!("/{round}/gone")),
            "{round}"
        );
    }
    assert!(listed(&edge));
    drop(serve);
}
