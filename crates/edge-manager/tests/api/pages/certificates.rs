use std::time::Duration;

use edge_manager::access::Role;
use edge_manager::certificates::{KeyKinds, Names, Proof};
use edge_manager::store::{CertificateRow, OrderRow, StoreError};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::Visitor;
use crate::harness::{Manager, NO_AUTHORITY};

/// Chain and key, signed by itself and valid for so many days from now on.
fn certificate(names: &[&str], days: u64) -> (String, String) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let now_s = u64::from(edge_manager::clock::now_s());
    let at = |at_s| date_time_ymd(1970, 1, 1) + Duration::from_secs(at_s);
    (params.not_before, params.not_after) = (at(now_s - 86_400), at(now_s + days * 86_400 + 3600));
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A manager with these domains, and no server that gives certificates.
fn manager(domains: &[&str]) -> Manager {
    let manager = Manager::with_key(Some("secret"));
    for name in domains {
        let body = serde_json::json!({"domain": name, "backend_name": "web",
            "servers": [{"name": "one", "address": "192.0.2.1", "port": 80}]});
        let headers = ["Content-Type: application/json", "Authorization: Bearer secret"];
        let answer = manager.ask("POST", "/api/domain", &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    manager
}

fn upload(visitor: &mut Visitor<'_>, domain: &str, chain: &str, key: &str) -> crate::harness::Answer {
    let fields = [("domain", domain), ("certificate", chain), ("key", key)];
    visitor.send("/certificates", "/certificates/upload", &fields)
}

/// The base64 of a key.
fn body_of(key: &str) -> &str {
    key.lines().nth(1).unwrap()
}

#[test]
fn a_certificate_that_is_uploaded_is_listed_and_can_be_had_again() {
    let manager = manager(&["shop.example"]);
    let mut visitor = Visitor::with_key(&manager, "secret");
    let page = visitor.get("/certificates").body;
    assert!(page.contains("There are none.") && page.contains("#request"), "{page}");
    assert!(page.contains("href=\"/certificates?names=shop.example#request\""), "{page}");
    let (chain, key) = certificate(&["shop.example", "www.shop.example"], 20);
    // As browsers send lines.
    let (sent, sent_key) = (chain.replace('\n', "\r\n"), key.replace('\n', "\r\n"));
    assert_eq!(upload(&mut visitor, "shop.example", &sent, &sent_key).location(), Some("/certificates"));
    let page = visitor.get("/certificates").body;
    assert!(page.contains("The certificate for shop.example is in its place."), "{page}");
    for told in ["www.shop.example", "in 20 d", "not by the manager", "it signs itself", "ECDSA"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains("/certificates/renew\""), "nobody renews it");
    assert!(!page.contains(body_of(&key)));

    let had = visitor.get("/certificates/chain?name=shop.example");
    assert_eq!((had.status, had.body.replace('\r', "")), (200, chain.replace('\r', "")));
    assert_eq!(had.header("content-disposition"), Some("attachment; filename=\"shop.example.crt\""));
    assert_eq!(manager.audit(1)[0].operation, "certificate.upload", "who has the chain is no matter");
    for (path, ending) in [("key", "key"), ("whole", "pem")] {
        let had = visitor.get(&format!("/certificates/{path}?name=shop.example"));
        assert!(had.status == 200 && had.body.contains(body_of(&key)), "{had:?}");
        assert!(had.header("content-disposition").unwrap().contains(&format!("shop.example.{ending}")));
        let noted = &manager.audit(1)[0];
        assert_eq!((&*noted.operation, &*noted.target), ("certificate.key", "shop.example"));
    }
    assert_eq!(visitor.get("/certificates/key?name=other.example").status, 404);
}

#[test]
fn what_is_wrong_with_an_upload_is_told_and_its_key_is_not_given_back() {
    let manager = manager(&["shop.example"]);
    let mut visitor = Visitor::with_key(&manager, "secret");
    let (chain, key) = certificate(&["shop.example"], 20);
    let (_, other_key) = certificate(&["shop.example"], 20);
    for (domain, chain, key, status, why) in [
        ("shop.example", &*chain, &*other_key, 400, "the private key is not that of the first certificate"),
        ("shop.example", "", &*key, 400, "there is no certificate in it"),
        ("other.example", &*chain, &*key, 404, "other.example is no domain that HAProxy serves"),
        ("no name", &*chain, &*key, 404, "no is no domain that HAProxy serves"),
    ] {
        let answer = upload(&mut visitor, domain, chain, key);
        assert!(answer.status == status && answer.body.contains(why), "{why}: {answer:?}");
        assert!(answer.body.contains("enter the key once more") && !answer.body.contains(body_of(key)));
        assert!(answer.body.contains(chain), "what was typed is there still");
    }
    assert!(visitor.get("/certificates").body.contains("There are none."));
}

#[test]
fn a_server_that_is_not_reached_is_told_beside_what_was_typed() {
    let manager = manager(&["shop.example"]);
    let mut visitor = Visitor::with_key(&manager, "secret");
    for (fields, status, told) in [
        (&[("names", "shop.example")][..], 500, NO_AUTHORITY),
        (&[("names", "*.shop.example"), ("proof", "http-01")], 400, "by dns-01 only"),
        (&[("names", "shop.example"), ("proof", "dns-01")], 400, "EDGE_ACME_DNS_HOOK"),
        (&[("names", "shop.example"), ("keys", "dsa")], 400, "the type of keys is ecdsa, rsa or both"),
        (&[("names", "other.example")], 404, "add it among the domains first"),
        (&[("names", "shop example")], 404, "shop is no domain"),
        (&[("names", "")], 400, "it is missing"),
    ] {
        let answer = visitor.send("/certificates", "/certificates/request", fields);
        assert!(answer.status == status && answer.body.contains(told), "{told}: {answer:?}");
        assert!(answer.body.contains(&format!("value=\"{}\"", fields[0].1)), "{answer:?}");
    }
    let asked = visitor.send("/certificates", "/certificates/propose", &[("names", "shop.example")]);
    assert!(asked.status == 500 && asked.body.contains(NO_AUTHORITY), "{asked:?}");
    let none = visitor.send("/certificates", "/certificates/verify", &[("name", "shop.example")]);
    assert_eq!(none.location(), Some("/certificates"));
    assert!(visitor.get("/certificates").body.contains("shop.example: there is no certificate"));
    visitor.send("/certificates", "/certificates/renew-due", &[]);
    assert!(visitor.get("/certificates").body.contains("No certificate is due."));
}

fn row(name: &str) -> CertificateRow {
    CertificateRow {
        names: Names::parse(&[name]).unwrap(),
        keys: KeyKinds::Ecdsa,
        proof: Some(Proof::Http),
        expires_at_s: 4_000_000_000,
        renew_at_s: Some(edge_manager::clock::now_s().into()),
        failures: 0,
        retry_at_s: None,
        problem: None,
        warned_days: None,
    }
}

#[test]
fn problems_orders_and_failed_renewals_are_seen() {
    let manager = manager(&["shop.example"]);
    let mut visitor = Visitor::with_key(&manager, "secret");
    let (chain, key) = certificate(&["shop.example"], 2);
    upload(&mut visitor, "shop.example", &chain, &key);
    // As it is where one of the server's was got before, and fails now.
    let (key, step) = ("ecdsa".parse().unwrap(), "ordered".parse().unwrap());
    let names = Names::parse(&["new.example"]).unwrap();
    let order = OrderRow {
        names,
        key,
        proof: Some(Proof::Manual),
        begun_at_s: 7,
        step,
        url: None,
        failures: 3,
        retry_at_s: None,
    };
    let troubled =
        CertificateRow { problem: Some("<b>refused".to_owned()), failures: 1, ..row("shop.example") };
    let written = manager.app.store.write::<_, StoreError>(|record| {
        record.put_certificate(&troubled)?;
        record.put_order(&order)
    });
    written.unwrap();
    let page = visitor.get("/certificates").body;
    assert!(page.contains("refused") && !page.contains("<b>refused"), "{page}");
    assert!(
        page.contains("new.example") && page.contains("It waits for records in DNS. It failed 3 times."),
        "{page}"
    );
    assert!(page.contains("class=\"bad\"><time"), "its end is near: {page}");
    let renewed = visitor.send("/certificates", "/certificates/renew", &[("name", "shop.example")]);
    assert_eq!(renewed.location(), Some("/certificates"));
    let page = visitor.get("/certificates").body;
    assert!(page.contains("what HAProxy uses stays") && page.contains(NO_AUTHORITY), "{page}");
    visitor.send("/certificates", "/certificates/renew-due", &[]);
    let page = visitor.get("/certificates").body;
    assert!(page.contains("Not renewed: ") && page.contains("tried again"), "{page}");
    let unknown = visitor.send("/certificates", "/certificates/renew", &[("name", "x.example")]);
    assert_eq!(unknown.location(), Some("/certificates"));
    assert!(visitor.get("/certificates").body.contains("x.example: there is no certificate"));
}

#[test]
fn many_certificates_come_page_by_page() {
    let manager = manager(&[]);
    let rows: Vec<_> = (100..220).map(|n| row(&format!("h{n}.example"))).collect();
    let written = manager
        .app
        .store
        .write::<_, StoreError>(|record| rows.iter().try_for_each(|row| record.put_certificate(row)));
    written.unwrap();
    let mut visitor = Visitor::with_key(&manager, "secret");
    let (mut path, mut found) = ("/certificates?q=example".to_owned(), 0);
    loop {
        let page = visitor.get(&path).body;
        let names = page.matches("data-name=\"Certificate\"").count();
        assert!(names <= 50);
        found += names;
        let Some((before, _)) = page.split_once("\" rel=\"next\"") else { break };
        path = before.rsplit('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    }
    assert_eq!(found, rows.len());
    assert_eq!(visitor.get("/certificates?q=h107").body.matches("data-name=\"Certificate\"").count(), 1);
    assert!(visitor.get("/certificates?q=h1077").body.contains("Nothing was found."));
}

#[test]
fn a_reader_gets_the_chain_and_sees_no_key_and_nothing_to_press() {
    let manager = manager(&["shop.example"]);
    let (chain, key) = certificate(&["shop.example"], 20);
    upload(&mut Visitor::with_key(&manager, "secret"), "shop.example", &chain, &key);
    for role in [Role::Reader, Role::Operator] {
        let key = manager.add_key(role.name(), role);
        let mut visitor = Visitor::with_key(&manager, &key);
        let page = visitor.get("/certificates").body;
        assert!(page.contains("/certificates/chain?name=shop.example"), "{page}");
        let main = page.split_once("<main").unwrap().1;
        assert!(!main.contains("method=\"post\"") && !main.contains("rivate key"), "{main}");
        assert_eq!(visitor.get("/certificates/chain?name=shop.example").status, 200);
        for part in ["key", "whole"] {
            assert_eq!(visitor.get(&format!("/certificates/{part}?name=shop.example")).status, 403);
        }
    }
}
