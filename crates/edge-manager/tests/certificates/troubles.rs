use std::thread;

use edge_manager::certificates::{KeyKind, Step};
use edge_manager::clock::now_s;
use edge_manager::haproxy::Master;
use serde_json::{Value, json};

use crate::authority::OwnAuthority;
use crate::browser::{served, shown};
use crate::home::{Home, Serving, eventually, signal};
use crate::pebble::{Manner, Pebble};

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
        eventually("a refusal", || (pebble.faults("limited") > 0).then_some(()));
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
fn what_haproxy_does_not_take_is_kept_for_another_time() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner { bad_nonces: 0, ..Manner::default() });
    let mut environment = pebble.environment();
    environment.push(home.haproxy());
    let manager = home.serve(&environment);
    manager.domain("shop.example");
    let issued = || pebble.log().matches("Issued certificate serial").count();
    let renew = || manager.json("POST", "/api/certificates/renew", &json!({}));
    let renewed = json!({"status": "success", "message": "Certificates renewed and HAProxy reloaded"});
    // The first one: nothing names its file then.
    home.haproxy_check("refuse");
    let why = refused(&manager, "shop.example");
    assert!(why.starts_with("HAProxy does not use it: HAProxy refuses"), "{why}");
    assert_eq!(home.files(), ["pending/shop.example.ecdsa.key", "pending/shop.example.ecdsa.pem"]);
    let orders = home.orders();
    assert_eq!((orders[0].step, orders[0].failures), (Step::Issued, 1));
    // The clock gives it time.
    manager.look();
    assert_eq!(home.orders(), orders);
    home.haproxy_check("");
    assert_eq!(renew(), renewed);
    let first = served(home.https.address, "shop.example");
    assert_eq!((issued(), home.orders()), (1, vec![]));
    // Keys of other kinds, which need a reload: what was there is put back.
    home.haproxy_check("refuse");
    let (status, answer) = manager.request(&json!({"domains": ["shop.example"], "key_type": "both"}));
    assert_eq!(status, 500, "{answer}");
    assert_eq!(served(home.https.address, "shop.example"), first);
    let in_place: Vec<_> = home.files().into_iter().filter(|name| !name.starts_with("pending/")).collect();
    assert_eq!(in_place, ["shop.example.pem"]);
    home.haproxy_check("");
    assert_eq!(renew(), renewed);
    for kind in [KeyKind::Ecdsa, KeyKind::Rsa] {
        assert_ne!(shown(home.https.address, "shop.example", &[kind]).serial, first.serial);
    }
    assert_eq!((issued(), home.orders()), (3, vec![]));
}

#[test]
fn what_was_issued_of_two_is_kept_while_the_other_is_waited_for() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner { bad_nonces: 0, ..Manner::default() });
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    // The second one comes as far as its key.
    pebble.fault("/order-plz", "limited");
    let key = home.certificates().join("pending/shop.example.rsa.key");
    let both = json!({"domains": ["shop.example"], "key_type": "both"});
    thread::scope(|scope| {
        let asked = scope.spawn(|| manager.request(&both));
        eventually("the orders", || (home.orders().len() == 2).then_some(()));
        assert!(std::process::Command::new("mkfifo").arg(&key).status().unwrap().success());
        pebble.mend();
        let steps = || home.orders().iter().map(|order| order.step).collect::<Vec<_>>();
        eventually("the first one", || (steps() == [Step::Issued, Step::Ordered]).then_some(()));
        pebble.fault("/finalize-order/", "down");
        std::fs::write(&key, "").unwrap();
        assert_eq!(asked.join().unwrap().0, 500);
        assert_eq!(steps(), [Step::Issued, Step::Ordered]);
    });
    pebble.mend();
    // Who asks for the same once more gets that.
    assert_eq!(manager.request(&both).0, 200);
    assert_eq!(pebble.log().matches("Issued certificate serial").count(), 2);
    for kind in [KeyKind::Ecdsa, KeyKind::Rsa] {
        assert_eq!(shown(home.https.address, "shop.example", &[kind]).names, ["shop.example"]);
    }
}

#[test]
fn a_record_that_somebody_has_set_is_of_use_after_a_server_that_is_down() {
    let home = Home::new();
    let mut pebble = Pebble::start(home.port(), Manner { reuse: 0, ..Manner::default() });
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    let domain = json!({"domain": "shop.example"});
    let propose = || manager.json("POST", "/api/ssl/dns-challenge/request", &domain)["records"].clone();
    let records = propose();
    let body = json!({"host": "_acme-challenge.shop.example.", "value": records[0]["value"]});
    pebble.names("/set-txt", &body);
    pebble.stop_gate();
    let (status, answer) = manager.ask("POST", "/api/ssl/dns-challenge/verify", &domain);
    assert!(status == 500 && answer.contains("Connection refused"), "{status} {answer}");
    pebble.restart_gate();
    assert_eq!(propose(), records, "the same order");
    assert_eq!(manager.json("POST", "/api/ssl/dns-challenge/verify", &domain), json!({"status": "success"}));
    assert_eq!(served(home.https.address, "shop.example").names, ["shop.example"]);
}

#[test]
fn a_server_that_has_forgotten_us_gets_to_know_us_once_more() {
    let home = Home::new();
    let mut pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    pebble.stop();
    pebble.run();
    let domain = json!({"domain": "shop.example"});
    let told = manager.json("POST", "/api/ssl/dns-challenge/request", &domain);
    assert_eq!(told["records"][0]["name"], "_acme-challenge.shop.example");
}

#[test]
fn an_order_that_replaces_another_is_not_sent_twice_to_a_server_that_is_down() {
    let home = Home::new();
    let mut pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    // From now on it knows of renewals; what an order replaces it does not repeat.
    let gate = pebble.directory();
    let gate = gate.strip_suffix("/dir").unwrap();
    let directory = json!({
        "newNonce": format!("{gate}/nonce-plz"), "newAccount": format!("{gate}/sign-me-up"),
        "newOrder": format!("{gate}/order-plz"), "renewalInfo": format!("{gate}/window"),
    });
    std::fs::write(pebble.path("directory.json"), directory.to_string()).unwrap();
    pebble.restart_gate();
    pebble.fault("/dir", "suggests");
    let forced = json!({"domains": ["shop.example"], "force_renewal": true});
    assert_eq!(manager.request(&forced).0, 200);
    pebble.fault("/order-plz", "down");
    refused(&manager, "shop.example");
    assert_eq!(pebble.faults("down"), 8, "one for each attempt");
}

#[test]
fn an_order_ends_when_an_attached_haproxy_has_the_certificate() {
    let home = Home::new();
    // A HAProxy that is stopped brings no proof.
    let pebble = Pebble::start(home.port(), Manner { reuse: 100, ..Manner::default() });
    let environment = pebble.environment();
    let manager = home.serve(&environment);
    manager.domain("shop.example");
    manager.enable("shop.example");
    let first = served(home.https.address, "shop.example");
    manager.kill();
    let manager = home.attach(&environment);
    let processes = Master::at(home.path("haproxy/master.sock")).processes().unwrap();
    let pids = [vec![processes.master_pid], processes.workers].concat();
    let (chain, key) = OwnAuthority::new("shop").issue(&["shop.example"], 2020, 2080);
    let body = json!({"domain": "shop.example", "certificate": chain, "key": key});
    signal("STOP", &pids);
    let (status, answer) = manager.ask("POST", "/api/certificates/upload", &body);
    let (orders, rows) = (home.orders(), home.rows());
    signal("CONT", &pids);
    assert_eq!(status, 200, "{answer}");
    assert_eq!((orders.len(), orders[0].step, orders[0].failures), (1, Step::Installed, 1));
    assert!(rows[0].problem.as_ref().unwrap().starts_with("HAProxy does not use it: "));
    assert_eq!(served(home.https.address, "shop.example"), first);
    // Whoever wants one that lasts gets it into force.
    manager.enable("shop.example");
    assert_ne!(served(home.https.address, "shop.example").serial, first.serial);
    assert_eq!((home.orders(), home.rows()[0].failures, home.rows()[0].proof), (vec![], 0, None));
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
