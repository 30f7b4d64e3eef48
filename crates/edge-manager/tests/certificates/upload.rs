use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use edge_manager::certificates::Bundle;
use serde_json::{Value, json};

use crate::authority::OwnAuthority;
use crate::browser::served;
use crate::home::{Home, eventually};
use crate::pebble::{Manner, Pebble};

#[test]
fn a_bought_certificate_is_used_and_not_renewed() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    let authority = OwnAuthority::new("shop");
    let (chain, key) = authority.issue(&["shop.example", "www.shop.example"], 2020, 2080);
    let chain = [chain, authority.pem()].concat();
    let body = json!({"domain": "shop.example", "certificate": chain, "key": key});
    assert_eq!(manager.json("POST", "/api/certificates/upload", &body), json!({"status": "success"}));
    assert_eq!(served(home.https.address, "shop.example").names, ["shop.example", "www.shop.example"]);
    let listed = manager.json("GET", "/api/certificates", &Value::Null);
    assert_eq!((&listed[0]["challenge"], &listed[0]["renew_at_s"]), (&Value::Null, &Value::Null));
    // Another one by the command line, in place of it.
    let (other, other_key) = authority.issue(&["*.example"], 2020, 2081);
    fs::write(home.path("chain.pem"), other).unwrap();
    fs::write(home.path("key.pem"), other_key).unwrap();
    let files = ["chain.pem", "key.pem"].map(|name| home.path(name).display().to_string());
    let said = home.run(&["certificate", "upload", "shop.example", &files[0], &files[1]]);
    assert_eq!(said, (0, "in force\n".to_owned(), String::new()));
    assert_eq!(served(home.https.address, "shop.example").names, ["*.example"]);
    // One of the server's, in place of it: from now on it is renewed.
    let forced = json!({"domains": ["shop.example"], "force_renewal": true});
    assert_eq!(manager.request(&forced).0, 200);
    assert_eq!(served(home.https.address, "shop.example").names, ["shop.example"]);
}

#[test]
fn what_cannot_be_used_is_refused_and_changes_nothing() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    let authority = OwnAuthority::new("shop");
    let (chain, key) = authority.issue(&["shop.example"], 2020, 2080);
    let (other, other_key) = authority.issue(&["other.example"], 2020, 2080);
    let (old, old_key) = authority.issue(&["shop.example"], 2020, 2021);
    let (early, early_key) = authority.issue(&["shop.example"], 2079, 2080);
    let stranger = OwnAuthority::new("stranger").pem();
    let cases = [
        (chain.clone(), other_key.clone(), "the private key is not that of the first certificate"),
        (other, other_key, "the certificate is not for shop.example"),
        (old, old_key, "the certificate has expired"),
        (early, early_key, "the certificate is not valid yet"),
        (
            [&*chain, &stranger].concat(),
            key.clone(),
            "certificate 1 is not signed by the one after it: the server's own comes first, then who signed it",
        ),
        (String::new(), key.clone(), "there is no certificate in it"),
        (chain.clone(), String::new(), "the private key: it is missing"),
        (chain[..200].to_owned(), key.clone(), "PEM block 1 cannot be read"),
        (chain.replace('M', "?"), key.clone(), "certificate 1 cannot be read"),
        ([&*chain, &key].concat(), key.clone(), "the private key: there are two"),
        (
            chain,
            key.replace("PRIVATE", "ENCRYPTED PRIVATE"),
            "the private key: it is encrypted; HAProxy could not ask for the password",
        ),
    ];
    for (certificate, key, why) in cases {
        let body = json!({"domain": "shop.example", "certificate": certificate, "key": key});
        let (status, answer) = manager.ask("POST", "/api/certificates/upload", &body);
        assert_eq!((status, answer), (400, format!("{{\"status\":\"error\",\"message\":\"{why}\"}}")));
    }
    assert_eq!((home.files(), home.rows()), (Vec::<String>::new(), Vec::new()));
    let domains = manager.json("GET", "/api/domains", &Value::Null);
    assert_eq!(domains[0]["ssl_enabled"], json!(0));
}

#[test]
fn the_end_of_one_that_nobody_renews_is_warned_of() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    let authority = OwnAuthority::new("shop");
    let (chain, key) = authority.issue_for_days(&["shop.example"], 300, 5);
    let body = json!({"domain": "shop.example", "certificate": chain, "key": key});
    let mut events = manager.events();
    let leaf = Bundle::parse(&[&*chain, &key].concat()).unwrap().leaf().clone();
    manager.json("POST", "/api/certificates/upload", &body);
    eventually("a warning", || home.rows()[0].warned_days.filter(|days| *days == 7));
    let metrics = manager.ask("GET", "/metrics", &Value::Null).1;
    assert!(metrics.contains("edge_manager_certificate_warnings_total{days=\"7\"} 1"), "{metrics}");
    assert!(home.log().contains("a certificate is about to end"));
    let end = UNIX_EPOCH + Duration::from_secs(leaf.not_after_s);
    let end = humantime::format_rfc3339_seconds(end).to_string();
    let event = format!(
        "\"certificate\":\"shop.example\",\"by\":\"manager\",\"result\":\"expires\",\"end\":\"{}\",\"days\":7}}",
        end.trim_end_matches('Z')
    );
    events.until(&event);
}

#[test]
fn the_end_of_one_that_somebody_else_keeps_is_warned_of() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    let (chain, key) = OwnAuthority::new("shop").issue_for_days(&["shop.example"], 300, 2);
    let path = home.path("own.pem");
    fs::write(&path, [chain, key].concat()).unwrap();
    let mut site = manager.json("GET", "/api/site", &Value::Null);
    site["domains"][0]["ssl_enabled"] = json!(true);
    site["domains"][0]["ssl_cert_path"] = json!(path);
    let (status, answer) = manager.ask("PUT", "/api/site", &site);
    assert_eq!(status, 200, "{answer}");
    let warned = || manager.ask("GET", "/metrics", &Value::Null).1;
    eventually("a warning", || {
        warned().contains("edge_manager_certificate_warnings_total{days=\"3\"} 1").then_some(())
    });
    assert!(home.log().contains(&format!("certificate=\"{}\"", path.display())), "{}", home.log());
    manager.look();
    assert!(warned().contains("edge_manager_certificate_warnings_total{days=\"3\"} 1"), "once");
}
