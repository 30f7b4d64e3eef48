//! The manager is killed with SIGKILL at each step of an order: the next one goes on.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use edge_manager::certificates::{KeyKind, Proof, Step};
use edge_manager::haproxy::Master;
use serde_json::{Value, json};

use crate::authority::OwnAuthority;
use crate::browser::{connect, served, shown};
use crate::home::{Home, Serving, eventually, signal};
use crate::pebble::{Manner, Pebble};

const REQUEST: &str = "/api/certificates/request";

/// Asks, and is not answered.
fn in_vain(manager: &Serving<'_>, path: &str, body: &Value) {
    thread::scope(|scope| {
        let asked = scope.spawn(|| manager.ask("POST", path, body));
        let _ = asked.join();
    });
}

/// What is there when an order has come to its end.
fn is_whole(home: &Home) -> bool {
    let is_served = || {
        connect(home.https.address, "shop.example", &[KeyKind::Ecdsa]).ok()?;
        let leaf = served(home.https.address, "shop.example");
        (!leaf.is_self_signed && leaf.names == ["shop.example"]).then_some(())
    };
    is_served().is_some() && home.orders().is_empty()
}

/// Nothing else is left, as soon as what belongs to no order is removed.
fn has_files(home: &Home, expected: &[&str]) {
    eventually(&expected.join(" "), || (home.files() == expected).then_some(()));
}

/// Certificates that the server has issued.
fn issued(pebble: &Pebble) -> usize {
    pebble.log().matches("Issued certificate serial").count()
}

#[test]
fn an_order_goes_on_after_a_kill_at_any_step() {
    for (path, step) in [
        ("/dir", Step::Begun),
        ("/order-plz", Step::Begun),
        ("/authZ/", Step::Ordered),
        ("/chalZ/", Step::Ordered),
        ("/finalize-order/", Step::Ordered),
        ("/certZ/", Step::Ordered),
    ] {
        let home = Home::new();
        let pebble = Pebble::start(home.port(), Manner { bad_nonces: 0, ..Manner::default() });
        let manager = home.serve(&pebble.environment());
        manager.domain("shop.example");
        pebble.fault(path, "stalled");
        thread::scope(|scope| {
            scope.spawn(|| in_vain(&manager, REQUEST, &json!({"domains": ["shop.example"]})));
            eventually("the stall", || pebble.has_stalled().then_some(()));
            assert_eq!(home.orders()[0].step, step, "{path}");
            signal("KILL", &[manager.pid()]);
        });
        pebble.mend();
        drop(manager);
        let _manager = home.serve(&pebble.environment());
        eventually(path, || is_whole(&home).then_some(()));
        has_files(&home, &["shop.example.pem"]);
        assert!(home.log().contains("certificate.order"), "{path}: it went on");
    }
}

#[test]
fn a_kill_while_haproxy_is_told_is_made_good() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    let first = served(home.https.address, "shop.example");
    thread::scope(|scope| {
        pebble.fault("/certZ/", "stalled");
        scope.spawn(|| {
            in_vain(&manager, REQUEST, &json!({"domains": ["shop.example"], "force_renewal": true}))
        });
        eventually("the stall", || pebble.has_stalled().then_some(()));
        signal("KILL", &[manager.pid()]);
    });
    drop(manager);
    pebble.mend();
    pebble.fault("/certZ/", "limited");
    // The next one gets it as soon as it can, and comes as far as HAProxy, which does not answer.
    let manager = home.serve(&pebble.environment());
    let workers = Master::at(home.path("haproxy/master.sock")).processes().unwrap().workers;
    signal("STOP", &workers);
    pebble.mend();
    eventually("the files", || {
        home.orders().first().filter(|order| order.step == Step::Installed).map(|_| ())
    });
    manager.kill();
    signal("CONT", &workers);
    assert_eq!(served(home.https.address, "shop.example"), first);
    let _manager = home.serve(&pebble.environment());
    eventually("the new one", || {
        (is_whole(&home) && served(home.https.address, "shop.example").serial != first.serial).then_some(())
    });
    has_files(&home, &["shop.example.pem", "shop.example.pem.previous"]);
}

#[test]
fn a_kill_at_any_moment_leaves_whole_files() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let environment = pebble.environment();
    let mut manager = home.serve(&environment);
    manager.domain("shop.example");
    manager.enable("shop.example");
    // So that there is one before, however early the first kill comes.
    let forced = json!({"domains": ["shop.example"], "force_renewal": true});
    assert_eq!(manager.request(&forced).0, 200);
    for round in 0..12_u64 {
        let time =
            Duration::from_millis(100 + (u64::from(std::process::id()) * 7919 + round * 104_729) % 1200);
        thread::scope(|scope| {
            scope.spawn(|| in_vain(&manager, REQUEST, &forced));
            thread::sleep(time);
            signal("KILL", &[manager.pid()]);
        });
        drop(manager);
        // Whatever was begun, HAProxy serves.
        assert!(!served(home.https.address, "shop.example").is_self_signed);
        manager = home.serve(&environment);
        eventually("the end of the order", || is_whole(&home).then_some(()));
        has_files(&home, &["shop.example.pem", "shop.example.pem.previous"]);
    }
}

/// What is ordered, by whom, and what comes of it.
struct Ordered {
    path: &'static str,
    body: Value,
    files: &'static [&'static str],
    kinds: &'static [KeyKind],
    proof: Option<Proof>,
}

/// Where it is held until the manager is killed.
enum Hold {
    /// The server does not answer requests of this path.
    Server(&'static str),
    /// Who reads this file waits for somebody who writes it.
    File(&'static str),
    /// `haproxy -c` does not end.
    Haproxy,
}

impl Ordered {
    fn one() -> Self {
        let body = json!({"domains": ["shop.example"]});
        let (files, kinds) = (&["shop.example.pem"], &[KeyKind::Ecdsa]);
        Self { path: REQUEST, body, files, kinds, proof: Some(Proof::Http) }
    }

    fn both() -> Self {
        let body = json!({"domains": ["shop.example"], "key_type": "both"});
        let files = &["shop.example.pem.ecdsa", "shop.example.pem.rsa"];
        Self { body, files, kinds: &[KeyKind::Ecdsa, KeyKind::Rsa], ..Self::one() }
    }

    fn by_dns() -> Self {
        let body = json!({"domains": ["shop.example"], "challenge": "dns-01"});
        Self { body, proof: Some(Proof::Dns), ..Self::one() }
    }

    fn brought() -> Self {
        let (chain, key) = OwnAuthority::new("shop").issue(&["shop.example"], 2020, 2080);
        let body = json!({"domain": "shop.example", "certificate": chain, "key": key});
        Self { path: "/api/certificates/upload", body, proof: None, ..Self::one() }
    }

    /// The manager is killed when its orders are at these steps, and the next one goes on without any certificate being issued twice.
    fn survives(&self, hold: &Hold, steps: &[Step]) {
        let home = Home::new();
        let pebble = Pebble::start(home.port(), Manner { bad_nonces: 0, ..Manner::default() });
        let mut environment = pebble.environment();
        environment.push(("EDGE_ACME_DNS_HOOK".to_owned(), pebble.dns_hook().display().to_string()));
        environment.push(home.haproxy());
        let manager = home.serve(&environment);
        manager.domain("shop.example");
        match hold {
            Hold::Server(path) => pebble.fault(path, "stalled"),
            Hold::File(name) => pipe(&home, name),
            Hold::Haproxy => home.haproxy_check("wait"),
        }
        thread::scope(|scope| {
            scope.spawn(|| in_vain(&manager, self.path, &self.body));
            eventually("the step", || {
                let is_held = !matches!(hold, Hold::Server(_)) || pebble.has_stalled();
                let at: Vec<_> = home.orders().iter().map(|order| order.step).collect();
                (is_held && at == steps).then_some(())
            });
            signal("KILL", &[manager.pid()]);
        });
        match hold {
            Hold::Server(_) => pebble.mend(),
            Hold::File(name) => fs::remove_file(home.certificates().join(name)).unwrap(),
            Hold::Haproxy => home.haproxy_check(""),
        }
        drop(manager);
        let _manager = home.serve(&environment);
        eventually("the end of the order", || is_whole(&home).then_some(()));
        has_files(&home, self.files);
        for kind in self.kinds {
            assert_eq!(shown(home.https.address, "shop.example", &[*kind]).names, ["shop.example"]);
        }
        assert_eq!(home.rows()[0].proof, self.proof);
        assert_eq!(issued(&pebble), if self.proof.is_some() { self.kinds.len() } else { 0 });
    }
}

/// Has a file be one that keeps its readers waiting.
fn pipe(home: &Home, name: &str) {
    let path = home.certificates().join(name);
    assert!(Command::new("mkfifo").args(["-m", "600"]).arg(path).status().unwrap().success());
}

#[test]
fn what_was_issued_is_not_ordered_again_after_a_kill() {
    Ordered::one().survives(&Hold::File("shop.example.pem"), &[Step::Issued]);
    Ordered::one().survives(&Hold::Haproxy, &[Step::Installed]);
}

#[test]
fn keys_of_both_kinds_survive_a_kill_in_each_step() {
    let both = Ordered::both();
    both.survives(&Hold::Server("/order-plz"), &[Step::Begun; 2]);
    both.survives(&Hold::Server("/finalize-order/"), &[Step::Ordered, Step::Begun]);
    // When one of the two files is written.
    both.survives(&Hold::File("shop.example.pem.rsa"), &[Step::Issued; 2]);
    both.survives(&Hold::Haproxy, &[Step::Installed; 2]);
}

#[test]
fn proofs_by_dns_survive_a_kill_in_each_step() {
    let by_dns = Ordered::by_dns();
    by_dns.survives(&Hold::Server("/order-plz"), &[Step::Begun]);
    by_dns.survives(&Hold::Server("/chalZ/"), &[Step::Ordered]);
    by_dns.survives(&Hold::File("shop.example.pem"), &[Step::Issued]);
    by_dns.survives(&Hold::Haproxy, &[Step::Installed]);
}

#[test]
fn what_was_brought_survives_a_kill_in_each_step() {
    Ordered::brought().survives(&Hold::File("shop.example.pem"), &[Step::Issued]);
    Ordered::brought().survives(&Hold::Haproxy, &[Step::Installed]);
}

#[test]
fn an_order_waits_for_a_server_that_is_down_after_a_kill() {
    let home = Home::new();
    let mut pebble = Pebble::start(home.port(), Manner { bad_nonces: 0, ..Manner::default() });
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    pebble.fault("/finalize-order/", "stalled");
    thread::scope(|scope| {
        scope.spawn(|| in_vain(&manager, REQUEST, &json!({"domains": ["shop.example"]})));
        eventually("the stall", || pebble.has_stalled().then_some(()));
        signal("KILL", &[manager.pid()]);
    });
    drop(manager);
    pebble.stop_gate();
    let _manager = home.serve(&pebble.environment());
    eventually("a try", || home.orders().first().filter(|order| order.failures > 0).map(|_| ()));
    let order = &home.orders()[0];
    assert_eq!((order.step, order.retry_at_s.is_some()), (Step::Ordered, true));
    assert!(home.log().contains("Connection refused"));
    // Nobody asks for it again but the clock.
    pebble.restart_gate();
    eventually("the end of the order", || is_whole(&home).then_some(()));
    has_files(&home, &["shop.example.pem"]);
    assert_eq!((issued(&pebble), home.rows().len()), (1, 1));
}

#[test]
fn a_record_that_was_set_before_a_kill_is_removed_when_the_server_needs_it_no_more() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner { bad_nonces: 0, ..Manner::default() });
    let (hook, calls) = (pebble.path("noting"), pebble.path("calls"));
    let script = format!(
        "#!/bin/sh\necho \"$*\" >>{}\nexec {} \"$@\"\n",
        calls.display(),
        pebble.dns_hook().display()
    );
    crate::home::program(&hook, &script);
    let mut environment = pebble.environment();
    environment.push(("EDGE_ACME_DNS_HOOK".to_owned(), hook.display().to_string()));
    let manager = home.serve(&environment);
    manager.domain("shop.example");
    pebble.fault("/my-order/", "stalled");
    let body = json!({"domains": ["shop.example"], "challenge": "dns-01"});
    thread::scope(|scope| {
        scope.spawn(|| in_vain(&manager, REQUEST, &body));
        eventually("the proof", || {
            (pebble.has_stalled() && pebble.log().contains("set VALID")).then_some(())
        });
        signal("KILL", &[manager.pid()]);
    });
    drop(manager);
    let told = || fs::read_to_string(&calls).unwrap();
    assert_eq!(told().lines().count(), 1, "{}", told());
    pebble.mend();
    let _manager = home.serve(&environment);
    eventually("the end of the order", || is_whole(&home).then_some(()));
    let told = told();
    let (first, second) = told.trim_end().split_once('\n').unwrap();
    assert_eq!(second, first.replace("set ", "remove "));
}
