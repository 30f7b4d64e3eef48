//! The manager is killed with SIGKILL at each step of an order: the next one goes on.

use std::process::Command;
use std::thread;
use std::time::Duration;

use edge_manager::certificates::Step;
use edge_manager::haproxy::Master;
use serde_json::json;

use crate::browser::{connect, served};
use crate::home::{Home, Serving, eventually};
use crate::pebble::{Manner, Pebble};

/// Asks for a certificate, and is not answered.
fn in_vain(manager: &Serving<'_>, body: &serde_json::Value) {
    thread::scope(|scope| {
        let asked = scope.spawn(|| manager.ask("POST", "/api/certificates/request", body));
        let _ = asked.join();
    });
}

fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(ToString::to_string);
    assert!(Command::new("kill").args(["-s", name]).args(pids).status().unwrap().success());
}

/// What is there when an order has come to its end.
fn is_whole(home: &Home) -> bool {
    let is_served = || {
        connect(home.https.address, "shop.example", &[edge_manager::certificates::KeyKind::Ecdsa]).ok()?;
        let leaf = served(home.https.address, "shop.example");
        (!leaf.is_self_signed && leaf.names == ["shop.example"]).then_some(())
    };
    is_served().is_some() && home.orders().is_empty()
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
            scope.spawn(|| in_vain(&manager, &json!({"domains": ["shop.example"]})));
            eventually("the stall", || pebble.has_stalled().then_some(()));
            assert_eq!(home.orders()[0].step, step, "{path}");
            signal("KILL", &[manager.pid()]);
        });
        pebble.mend();
        drop(manager);
        let _manager = home.serve(&pebble.environment());
        eventually(path, || is_whole(&home).then_some(()));
        assert_eq!(home.files(), ["shop.example.pem"], "{path}");
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
        scope.spawn(|| in_vain(&manager, &json!({"domains": ["shop.example"], "force_renewal": true})));
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
    assert_eq!(home.files(), ["shop.example.pem", "shop.example.pem.previous"]);
}

#[test]
fn a_kill_at_any_moment_leaves_whole_files() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let environment = pebble.environment();
    let mut manager = home.serve(&environment);
    manager.domain("shop.example");
    manager.enable("shop.example");
    for round in 0..12_u64 {
        let time =
            Duration::from_millis(100 + (u64::from(std::process::id()) * 7919 + round * 104_729) % 1200);
        thread::scope(|scope| {
            scope.spawn(|| in_vain(&manager, &json!({"domains": ["shop.example"], "force_renewal": true})));
            thread::sleep(time);
            signal("KILL", &[manager.pid()]);
        });
        drop(manager);
        // Whatever was begun, HAProxy serves.
        assert!(!served(home.https.address, "shop.example").is_self_signed);
        manager = home.serve(&environment);
        eventually("the end of the order", || is_whole(&home).then_some(()));
        assert_eq!(home.files(), ["shop.example.pem", "shop.example.pem.previous"]);
    }
}
