use std::fs;
use std::io::{Read, Write};

use edge_manager::certificates::KeyKind;
use serde_json::json;

use crate::browser::{connect, served};
use crate::home::{Home, LONG_BYTES, eventually};
use crate::pebble::{Manner, Pebble};

#[test]
fn a_short_lived_certificate_is_renewed_by_the_clock_without_a_reload() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner { life_s: 12, ..Manner::default() });
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
    // Before the end of the first one.
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
    let at_s = eventually("the window", || home.rows()[0].renew_at_s.filter(|at_s| *at_s > 3_000_000_000));
    assert!((3_155_760_000..=3_155_846_400).contains(&at_s), "{at_s}");
    // One that has begun long ago: at once.
    let first = served(home.https.address, "shop.example");
    window("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
    pebble.restart_gate();
    pebble.fault("/dir", "suggests");
    drop(manager);
    let _manager = home.serve(&pebble.environment());
    eventually("another certificate", || {
        (served(home.https.address, "shop.example").serial != first.serial).then_some(())
    });
}
