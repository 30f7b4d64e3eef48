use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, SystemTime};

use edge_manager::certificates::KeyKind;
use edge_manager::clock::now_s;
use serde_json::{Value, json};

use crate::browser::{connect, served};
use crate::home::{Home, LONG_BYTES, eventually};
use crate::pebble::{Manner, Pebble};

#[test]
fn a_short_lived_certificate_is_renewed_by_the_clock_without_a_reload() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner { life_s: 45, ..Manner::default() });
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    let reloads =
        || edge_manager::haproxy::Master::at(home.path("haproxy/master.sock")).processes().unwrap().reloads;
    let (first, before) = (served(home.https.address, "shop.example"), reloads());
    let second = eventually("another certificate", || {
        let leaf = served(home.https.address, "shop.example");
        (leaf.serial != first.serial).then_some(leaf)
    });
    // Before the end of the first one: a third of its life is left, however busy the machine.
    assert!(second.not_before_s < first.not_after_s);
    assert_eq!(reloads(), before);
}

#[test]
fn a_long_download_goes_on_while_new_clients_get_the_new_certificate() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    let first = served(home.https.address, "shop.example");
    let mut download = connect(home.https.address, "shop.example", &[KeyKind::Ecdsa]).unwrap();
    write!(download, "GET /long HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").unwrap();
    let mut begun = vec![0; 64 << 10];
    download.read_exact(&mut begun).unwrap();
    assert_eq!(manager.request(&json!({"domains": ["shop.example"], "force_renewal": true})).0, 200);
    assert_ne!(served(home.https.address, "shop.example").serial, first.serial);
    // So much more than any buffer between that it was not sent before.
    let mut rest = Vec::new();
    let _ = download.read_to_end(&mut rest);
    let whole = [begun, rest].concat();
    let head = whole.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(whole.len() - head, LONG_BYTES);
}

#[test]
fn the_server_says_when_to_renew() {
    let home = Home::new();
    let mut pebble = Pebble::start(home.port(), Manner::default());
    let gate = pebble.directory();
    let gate = gate.strip_suffix("/dir").unwrap();
    let directory = json!({
        "newNonce": format!("{gate}/nonce-plz"), "newAccount": format!("{gate}/sign-me-up"),
        "newOrder": format!("{gate}/order-plz"), "renewalInfo": format!("{gate}/window"),
    });
    fs::write(pebble.path("directory.json"), directory.to_string()).unwrap();
    let path = pebble.path("window.json");
    let window = |start: &str, end: &str| {
        let window = json!({"suggestedWindow": {"start": start, "end": end}});
        fs::write(&path, window.to_string()).unwrap();
    };
    window("2070-01-01T00:00:00Z", "2070-01-02T00:00:00Z");
    pebble.restart_gate();
    pebble.fault("/dir", "suggests");
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    // However late that is, a tenth of the life is left.
    let first = served(home.https.address, "shop.example");
    let latest_s = first.not_after_s - first.life_s() / 10;
    eventually("the window", || home.rows()[0].renew_at_s.filter(|at_s| *at_s == latest_s));
    // One that has begun long ago: at once, since the certificate has been there for some time.
    let path = home.certificates().join("shop.example.pem");
    let put = fs::File::options().write(true).open(path).unwrap();
    put.set_modified(SystemTime::now() - Duration::from_secs(2 * 86_400)).unwrap();
    window("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
    pebble.restart_gate();
    pebble.fault("/dir", "suggests");
    drop(manager);
    let manager = home.serve(&pebble.environment());
    let second = eventually("another certificate", || {
        let leaf = served(home.https.address, "shop.example");
        (leaf.serial != first.serial).then_some(leaf)
    });
    // The server says the same of that one, which stays.
    eventually("the window of the new one", || {
        home.rows()[0].renew_at_s.filter(|at_s| *at_s < second.not_before_s)
    });
    manager.look();
    assert_eq!(served(home.https.address, "shop.example"), second);
    let renewed = manager.json("GET", "/api/audit?action=certificate.renew", &Value::Null);
    assert_eq!(renewed["changes"].as_array().unwrap().len(), 1);
}

#[test]
fn a_pause_that_the_server_wants_is_one_for_all() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner { life_s: 12, ..Manner::default() });
    let manager = home.serve(&pebble.environment());
    for name in ["one.example", "two.example"] {
        manager.domain(name);
        manager.enable(name);
    }
    pebble.fault("/order-plz", "limited-long");
    eventually("the time of both", || {
        home.rows().iter().all(|row| row.renew_at_s.unwrap() < now_s().into()).then_some(())
    });
    eventually("a renewal that fails", || home.rows().iter().find(|row| row.failures > 0).map(|_| ()));
    manager.look();
    let failed = manager.json("GET", "/api/audit?action=certificate.renew", &Value::Null);
    let limited = failed["changes"].as_array().unwrap().iter();
    let limited = limited.filter(|change| change["result"].as_str().unwrap().contains("rateLimited"));
    assert_eq!(limited.count(), 1);
}

#[test]
fn many_at_once_need_no_reload_and_nor_does_one_after_a_kill() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    let names = ["one.example", "two.example", "three.example", "four.example"];
    for name in names {
        manager.domain(name);
        manager.enable(name);
    }
    let reloads =
        || edge_manager::haproxy::Master::at(home.path("haproxy/master.sock")).processes().unwrap().reloads;
    let serials = || names.map(|name| served(home.https.address, name).serial);
    let (before, first) = (reloads(), serials());
    // What somebody began and did not end.
    let path = home.certificates().join("four.example.pem");
    let mut worker = UnixStream::connect(home.path("edge.sock")).unwrap();
    write!(worker, "set ssl cert {} <<\n{}\n", path.display(), fs::read_to_string(&path).unwrap()).unwrap();
    let mut answer = String::new();
    worker.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("Transaction created"), "{answer}");
    assert_eq!(manager.request(&json!({"domains": names, "force_renewal": true})).0, 200);
    let second = serials();
    assert!(first.iter().zip(&second).all(|(first, second)| first != second));
    assert_eq!(reloads(), before);
}
