use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use edge_manager::certificates::{Bundle, KeyKind};
use serde_json::{Value, json};

use crate::authority::OwnAuthority;
use crate::browser::{connect, get, served, shown};
use crate::home::{Home, eventually};
use crate::pebble::{EXTERNAL_KEY, Manner, Pebble};

#[test]
fn a_domain_gets_a_certificate_and_is_served_with_it() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    let leaf = served(home.https.address, "shop.example");
    assert_eq!(leaf.names, ["shop.example"]);
    assert!(!leaf.is_self_signed);
    let mut connection = connect(home.https.address, "shop.example", &[KeyKind::Ecdsa]).unwrap();
    assert!(get(&mut connection, "shop.example", "/").ends_with("ok"));
    let path = home.certificates().join("shop.example.pem");
    let bundle = Bundle::parse(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(bundle.leaf(), &leaf);
    assert_eq!(bundle.chain().matches("BEGIN CERTIFICATE").count(), 2, "with who signed it");
    // Nothing is left of the order.
    assert_eq!((home.files(), home.orders().len()), (vec!["shop.example.pem".to_owned()], 0));
    let status = manager.json("GET", "/api/certificates/status", &json!(null));
    let status = &status["certificates"][0];
    let end = humantime::parse_rfc3339(&format!("{}Z", status["expires"].as_str().unwrap())).unwrap();
    let end_s = end.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!((end_s, &status["days_until_expiry"]), (leaf.not_after_s, &json!(89)));
    assert_eq!((&status["domain"], &status["ssl_enabled"]), (&json!("shop.example"), &json!(true)));
    assert_eq!(status["cert_path"], json!(path));
    let domains = manager.json("GET", "/api/domains", &json!(null));
    assert_eq!((&domains[0]["ssl_enabled"], &domains[0]["ssl_cert_path"]), (&json!(1), &json!(path)));
}

#[test]
fn the_account_is_kept() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let account = || {
        let mut files = fs::read_dir(home.certificates().join("accounts")).unwrap();
        let path = files.next().unwrap().unwrap().path();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::read_to_string(path).unwrap()
    };
    let manager = home.serve(&pebble.environment());
    manager.domain("one.example");
    manager.domain("two.example");
    manager.enable("one.example");
    let first = account();
    drop(manager);
    let manager = home.serve(&pebble.environment());
    manager.enable("two.example");
    assert_eq!(account(), first);
}

#[test]
fn several_names_are_in_one_certificate() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("one.example");
    manager.domain("two.example");
    let body = json!({"primary": "one.example", "sans": ["two.example"]});
    manager.json("POST", "/api/ssl/bundle", &body);
    let (one, two) = (served(home.https.address, "one.example"), served(home.https.address, "two.example"));
    assert_eq!(one, two);
    assert_eq!(one.names, ["one.example", "two.example"]);
}

#[test]
fn no_domain_loses_the_certificate_that_it_shares() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("one.example");
    manager.domain("two.example");
    let body = json!({"primary": "one.example", "sans": ["two.example"]});
    manager.json("POST", "/api/ssl/bundle", &body);
    let first = served(home.https.address, "two.example");
    let (status, answer) = manager.request(&json!({"domains": ["one.example"], "force_renewal": true}));
    assert_eq!(
        (status, &answer["results"][0]["domains_covered"]),
        (200, &json!(["one.example", "two.example"]))
    );
    let second = served(home.https.address, "two.example");
    assert!(second.serial != first.serial && second.names == ["one.example", "two.example"]);
    // Nor by one that is brought.
    let authority = OwnAuthority::new("shop");
    let upload = |names: &[&str]| {
        let (chain, key) = authority.issue(names, 2020, 2080);
        let body = json!({"domain": "one.example", "certificate": chain, "key": key});
        manager.ask("POST", "/api/certificates/upload", &body)
    };
    let refused = r#"{"status":"error","message":"the certificate is not for two.example"}"#;
    assert_eq!(upload(&["one.example"]), (400, refused.to_owned()));
    assert_eq!(served(home.https.address, "two.example"), second);
    assert_eq!(upload(&["*.example"]).0, 200);
    assert_eq!(served(home.https.address, "two.example").names, ["*.example"]);
}

#[test]
fn what_is_lost_or_damaged_does_not_last() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    let path = home.certificates().join("shop.example.pem");
    let domain = json!({"domain": "shop.example", "is_wildcard": false});
    manager.json("DELETE", "/api/domain", &domain);
    fs::remove_file(&path).unwrap();
    manager.domain("shop.example");
    manager.enable("shop.example");
    assert_eq!(served(home.https.address, "shop.example").names, ["shop.example"]);
    let both = json!({"domains": ["shop.example"], "key_type": "both"});
    assert_eq!(manager.request(&both).0, 200);
    let rsa = || shown(home.https.address, "shop.example", &[KeyKind::Rsa]).serial;
    let before = rsa();
    assert_eq!((manager.request(&both).0, rsa()), (200, before.clone()));
    fs::write(path.with_extension("pem.rsa"), "damaged").unwrap();
    assert_eq!(manager.request(&both).0, 200);
    assert_ne!(rsa(), before);
}

#[test]
fn several_are_got_side_by_side() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    let names = ["one.example", "two.example", "three.example"];
    names.iter().for_each(|name| manager.domain(name));
    pebble.fault("/order-plz", "stalled");
    thread::scope(|scope| {
        let body = json!({"domains": [names[0], names[1], names[2], "ONE.example"]});
        let asked = scope.spawn(move || manager.ask("POST", "/api/certificates/request", &body));
        eventually("all orders", || (home.orders().len() == 3).then_some(()));
        pebble.mend();
        pebble.cut_stalled();
        let (status, answer) = asked.join().unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((status, &answer["summary"]), (200, &json!({"total": 4, "successful": 4, "failed": 0})));
        assert_eq!(answer["results"][3]["domain"], "ONE.example");
        assert_eq!(answer["results"][3]["domains_covered"], json!(["one.example"]));
    });
}

#[test]
fn a_request_says_what_became_of_each_domain() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("one.example");
    manager.domain("www.one.example");
    let path = home.certificates().join("one.example.pem").display().to_string();
    let body = json!({"domains": ["one.example"], "include_www": true});
    let (status, text) = manager.ask("POST", "/api/certificates/request", &body);
    let expected = format!(
        "{{\"status\":\"completed\",\"summary\":{{\"total\":1,\"successful\":1,\"failed\":0}},\"results\":[{{\
         \"domain\":\"one.example\",\"status\":\"success\",\"message\":\"Certificate obtained\",\"cert_path\":\"{path}\",\
         \"domains_covered\":[\"one.example\",\"www.one.example\"]}}]}}"
    );
    assert_eq!((status, text), (200, expected));
    assert_eq!(served(home.https.address, "www.one.example").names, ["one.example", "www.one.example"]);
    let listed = manager.json("GET", "/api/certificates/status", &Value::Null);
    let end = listed["certificates"][0]["expires"].as_str().unwrap();
    let unknown = "{\"domain\":\"none.example\",\"status\":\"error\",\"message\":\"none.example: no such domain\",\
                   \"cert_path\":null,\"domains_covered\":[]}";
    let body = json!({"domains": ["one.example", "none.example"], "include_www": true});
    let some = format!(
        "{{\"status\":\"completed\",\"summary\":{{\"total\":2,\"successful\":1,\"failed\":1}},\"results\":[{{\
         \"domain\":\"one.example\",\"status\":\"success\",\"message\":\"Certificate is valid until {end}\",\
         \"cert_path\":\"{path}\",\"domains_covered\":[\"one.example\",\"www.one.example\"]}},{unknown}]}}"
    );
    assert_eq!(manager.ask("POST", "/api/certificates/request", &body), (207, some));
    let body = json!({"domains": ["none.example"]});
    let none = format!(
        "{{\"status\":\"completed\",\"summary\":{{\"total\":1,\"successful\":0,\"failed\":1}},\"results\":[{unknown}]}}"
    );
    assert_eq!(manager.ask("POST", "/api/certificates/request", &body), (500, none));
    let body = json!({"domains": ["one.example"], "challenge": "manual"});
    let refused = r#"{"status":"error","message":"challenge: \"manual\": http-01 or dns-01"}"#;
    assert_eq!(manager.ask("POST", "/api/certificates/request", &body), (400, refused.to_owned()));
    assert_eq!(
        manager.ask("POST", "/api/ssl", &json!({"domain": "none.example"})),
        (404, r#"{"status":"error","message":"Domain not found"}"#.to_owned())
    );
}

#[test]
fn one_that_lasts_is_kept_unless_another_is_wanted() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    let first = served(home.https.address, "shop.example");
    manager.enable("shop.example");
    assert_eq!(served(home.https.address, "shop.example"), first);
    let renew = manager.json("POST", "/api/certificates/renew", &json!({}));
    assert_eq!(renew, json!({"status": "success", "message": "No certificates needed renewal"}));
    assert_eq!(served(home.https.address, "shop.example"), first);
    let (status, _) = manager.request(&json!({"domains": ["shop.example"], "force_renewal": true}));
    assert_eq!(status, 200);
    let second = served(home.https.address, "shop.example");
    assert_ne!(second.serial, first.serial);
    assert_eq!(home.files(), ["shop.example.pem", "shop.example.pem.previous"]);
}

#[test]
fn each_client_gets_the_key_that_it_understands() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    assert!(
        connect(home.https.address, "shop.example", &[KeyKind::Rsa]).is_err(),
        "there is none for it yet"
    );
    let both = json!({"domains": ["shop.example"], "key_type": "both"});
    assert_eq!(manager.request(&both).0, 200);
    let of = |kind| shown(home.https.address, "shop.example", &[kind]);
    let (ecdsa, rsa) = (of(KeyKind::Ecdsa), of(KeyKind::Rsa));
    assert_ne!(ecdsa.serial, rsa.serial);
    let files = ["shop.example.pem.ecdsa", "shop.example.pem.previous", "shop.example.pem.rsa"];
    assert_eq!(home.files(), files);
    // Both are renewed, without a reload.
    let forced = json!({"domains": ["shop.example"], "key_type": "both", "force_renewal": true});
    assert_eq!(manager.request(&forced).0, 200);
    assert!(of(KeyKind::Ecdsa).serial != ecdsa.serial && of(KeyKind::Rsa).serial != rsa.serial);
    let rsa_alone = json!({"domains": ["shop.example"], "key_type": "rsa"});
    assert_eq!(manager.request(&rsa_alone).0, 200);
    assert!(connect(home.https.address, "shop.example", &[KeyKind::Ecdsa]).is_err());
    assert_eq!(of(KeyKind::Rsa).names, ["shop.example"]);
}

#[test]
fn an_account_that_is_known_elsewhere_is_bound() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner { external_accounts: true, ..Manner::default() });
    let mut environment = pebble.environment();
    let manager = home.serve(&environment);
    manager.domain("shop.example");
    let (status, answer) = manager.ask("POST", "/api/ssl", &json!({"domain": "shop.example"}));
    assert_eq!(status, 500);
    assert!(answer.contains("externalAccountRequired"), "{answer}");
    drop(manager);
    environment.push(("EDGE_ACME_EAB_KID".to_owned(), "kid-1".to_owned()));
    environment.push(("EDGE_ACME_EAB_KEY".to_owned(), EXTERNAL_KEY.to_owned()));
    let manager = home.serve(&environment);
    manager.enable("shop.example");
    assert!(!home.log().contains(EXTERNAL_KEY));
}

#[test]
fn a_lost_certificate_has_a_stand_in_until_there_is_another() {
    let home = Home::new();
    let mut pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    manager.enable("shop.example");
    drop(manager);
    home.end_haproxy();
    fs::remove_file(home.certificates().join("shop.example.pem")).unwrap();
    pebble.stop();
    let manager = home.serve(&pebble.environment());
    let stand_in = eventually("a stand-in", || {
        connect(home.https.address, "shop.example", &[KeyKind::Ecdsa]).ok()?;
        Some(served(home.https.address, "shop.example"))
    });
    assert!(stand_in.is_self_signed);
    assert_eq!(stand_in.names, ["shop.example"]);
    // It stood in before HAProxy was started.
    assert!(!home.log().contains("it is started again"), "{}", home.log());
    pebble.run();
    // The clock may be at it just now.
    eventually("another", || {
        assert_eq!(manager.ask("POST", "/api/certificates/renew", &json!({})).0, 200);
        let leaf = served(home.https.address, "shop.example");
        (!leaf.is_self_signed && leaf.names == ["shop.example"]).then_some(())
    });
}

#[test]
fn a_site_may_name_certificates_that_are_yet_to_be_got() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    let path = home.certificates().join("shop.example.pem");
    let mut site = manager.json("GET", "/api/site", &Value::Null);
    site["domains"][0]["ssl_enabled"] = json!(true);
    site["domains"][0]["ssl_cert_path"] = json!(path);
    site["domains"][0]["template_override"] = json!("none.such");
    assert_eq!(manager.ask("PUT", "/api/site", &site).0, 400);
    assert_eq!(home.files(), Vec::<String>::new(), "what is refused leaves nothing");
    site["domains"][0]["template_override"] = Value::Null;
    let (status, answer) = manager.ask("PUT", "/api/site", &site);
    assert_eq!(status, 200, "{answer}");
    let leaf = eventually("a certificate of the server", || {
        Some(served(home.https.address, "shop.example")).filter(|leaf| !leaf.is_self_signed)
    });
    assert_eq!(leaf.names, ["shop.example"]);
}

#[test]
fn requests_whose_body_never_comes_do_not_stop_validation() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner { reuse: 0, ..Manner::default() });
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    let hang = |i: usize| {
        let header = if i.is_multiple_of(2) { "Content-Length: 10" } else { "Transfer-Encoding: chunked" };
        let mut stream = TcpStream::connect(home.http.address).unwrap();
        let path = "/.well-known/acme-challenge/none";
        write!(stream, "GET {path} HTTP/1.1\r\nHost: shop.example\r\n{header}\r\n\r\n").unwrap();
        stream
    };
    let hanging: Vec<TcpStream> = (0..200).map(hang).collect();
    manager.enable("shop.example");
    assert!(!served(home.https.address, "shop.example").is_self_signed);
    drop(hanging);
}
