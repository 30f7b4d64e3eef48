use std::thread;

use edge_manager::clock::now_s;
use serde_json::{Value, json};

use crate::browser::served;
use crate::home::{Home, Serving, eventually};
use crate::pebble::{A_WHILE, Manner, Pebble};

/// Why a certificate was not got.
fn refused(manager: &Serving<'_>, domain: &str) -> String {
    let (status, answer) = manager.request(&json!({"domains": [domain], "force_renewal": true}));
    assert_eq!(status, 500, "{answer}");
    answer["results"][0]["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_failed_validation_is_told_and_the_certificate_before_stays() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner { reuse: 0, ..Manner::default() });
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    let (before, files) = (served(home.https.address, "shop.example"), home.files());
    // Nobody listens there.
    pebble.names("/add-a", &json!({"host": "shop.example", "addresses": ["127.0.0.9"]}));
    let why = refused(&manager, "shop.example");
    assert!(why.starts_with("shop.example: ") && why.contains("(connection)"), "{why}");
    assert_eq!((served(home.https.address, "shop.example"), home.files()), (before, files));
    assert_eq!(home.orders(), []);
    let audit = manager.json("GET", "/api/audit?action=certificate.request", &Value::Null);
    assert_eq!(audit["changes"][0]["result"].as_str().unwrap(), why);
}

#[test]
fn a_server_that_is_down_is_told_and_asked_again_later() {
    let home = Home::new();
    let mut pebble = Pebble::start(home.port(), Manner { life_s: 12, ..Manner::default() });
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    let before = served(home.https.address, "shop.example");
    pebble.stop();
    let why = refused(&manager, "shop.example");
    assert!(why.starts_with(&pebble.directory()) && why.contains("503"), "{why}");
    let row = eventually("a renewal that fails", || home.rows().into_iter().find(|row| row.failures > 0));
    assert!(row.retry_at_s.unwrap() > row.renew_at_s.unwrap() && row.problem.unwrap().contains("503"));
    assert_eq!(served(home.https.address, "shop.example"), before);
    // It has forgotten the account meanwhile, too. Who asks by hand does not wait.
    pebble.run();
    let renewed = manager.json("POST", "/api/certificates/renew", &json!({}));
    assert_eq!(renewed, json!({"status": "success", "message": "Certificates renewed and HAProxy reloaded"}));
    assert_ne!(served(home.https.address, "shop.example").serial, before.serial);
    assert_eq!((home.rows()[0].failures, &home.rows()[0].problem), (0, &None));
}

#[test]
fn nonces_that_are_not_taken_are_no_trouble() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner { bad_nonces: 40, ..Manner::default() });
    let manager = home.serve(&pebble.environment());
    for domain in ["one.example", "two.example", "three.example"] {
        manager.domain(domain);
        manager.enable(domain);
    }
    assert!(pebble.refusals() > 3, "{}", pebble.refusals());
}

#[test]
fn a_short_pause_that_the_server_wants_is_waited_for() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    pebble.fault("/order-plz", "limited");
    thread::scope(|scope| {
        let enabled = scope.spawn(|| manager.enable("shop.example"));
        thread::sleep(A_WHILE);
        pebble.mend();
        enabled.join().unwrap();
    });
}

#[test]
fn a_long_pause_that_the_server_wants_is_told_and_kept() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner { life_s: 12, ..Manner::default() });
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    pebble.fault("/order-plz", "limited-long");
    let why = refused(&manager, "shop.example");
    assert_eq!(why, format!("{}: too many certificates (rateLimited)", pebble.directory()));
    let row = eventually("a renewal that fails", || home.rows().into_iter().find(|row| row.failures > 0));
    let wait_s = row.retry_at_s.unwrap() - u64::from(now_s());
    assert!((7000..=7200).contains(&wait_s), "{wait_s}");
}

#[test]
fn one_at_a_time_for_a_domain() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    pebble.fault("/order-plz", "stalled");
    thread::scope(|scope| {
        let first = scope.spawn(|| manager.ask("POST", "/api/ssl", &json!({"domain": "shop.example"})));
        eventually("the first", || (!home.orders().is_empty()).then_some(()));
        let (status, answer) = manager.ask("POST", "/api/ssl", &json!({"domain": "shop.example"}));
        let busy = "shop.example: a certificate for it is being ordered already";
        assert_eq!((status, answer), (409, format!("{{\"status\":\"error\",\"message\":\"{busy}\"}}")));
        // The first one ends without an answer.
        let killed =
            std::process::Command::new("kill").args(["-s", "KILL", &manager.pid().to_string()]).status();
        assert!(killed.unwrap().success());
        assert!(first.join().is_err());
    });
}
