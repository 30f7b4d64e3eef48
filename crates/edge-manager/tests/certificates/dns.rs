use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command};

use serde_json::{Value, json};

use crate::browser::served;
use crate::home::{Home, Port, eventually};
use crate::pebble::{Manner, Pebble, post, spawn};

/// `PORT set NAME VALUE`, of the program that `Pebble::dns_hook` writes.
#[test]
fn child_that_is_a_hook() {
    let Ok(order) = std::env::var("EDGE_TEST_HOOK") else { return };
    let words: Vec<&str> = order.split(' ').collect();
    let [port, verb, name, value] = words[..] else { panic!("{order}") };
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    match verb {
        "set" => post(address, "/set-txt", &json!({"host": format!("{name}."), "value": value})),
        _ => post(address, "/clear-txt", &json!({"host": format!("{name}.")})),
    }
}

fn with_hook(pebble: &Pebble) -> Vec<(String, String)> {
    let mut environment = pebble.environment();
    environment.push(("EDGE_ACME_DNS_HOOK".to_owned(), pebble.dns_hook().display().to_string()));
    environment
}

#[test]
fn a_wildcard_is_proven_by_dns() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&with_hook(&pebble));
    manager.domain("*.shop.example");
    manager.domain("shop.example");
    manager.json("POST", "/api/ssl/bundle", &json!({"primary": "*.shop.example", "sans": ["shop.example"]}));
    for name in ["any.shop.example", "shop.example"] {
        assert_eq!(served(home.https.address, name).names, ["*.shop.example", "shop.example"]);
    }
    assert_eq!(home.files(), ["wildcard+shop.example.pem"]);
}

#[test]
fn a_hook_that_fails_is_told_of() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let hook = pebble.path("failing");
    crate::home::program(&hook, "#!/bin/sh\necho \"no such zone: $2\" >&2\nexit 3\n");
    let mut environment = pebble.environment();
    environment.push(("EDGE_ACME_DNS_HOOK".to_owned(), hook.display().to_string()));
    let manager = home.serve(&environment);
    manager.domain("*.shop.example");
    let (status, answer) = manager.request(&json!({"domains": ["*.shop.example"]}));
    assert_eq!(status, 500);
    let why = "dns-01: set _acme-challenge.shop.example: the hook ended with exit status: 3: no such zone: \
               _acme-challenge.shop.example";
    assert_eq!(answer["results"][0]["message"], why);
}

#[test]
fn an_asterisk_needs_dns() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("*.shop.example");
    let (status, answer) = manager.ask("POST", "/api/ssl", &json!({"domain": "*.shop.example"}));
    assert_eq!(status, 400);
    assert!(answer.contains("neither EDGE_ACME_DNS_HOOK nor EDGE_ACME_DNS_SERVER is set"), "{answer}");
    let (status, answer) = manager.request(&json!({"domains": ["*.shop.example"], "challenge": "http-01"}));
    assert_eq!(status, 500);
    let why = "*.shop.example: a name with an asterisk is proven by dns-01 only";
    assert_eq!(answer["results"][0]["message"], why);
}

#[test]
fn somebody_can_put_the_proof_into_dns_by_hand() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner { reuse: 0, ..Manner::default() });
    let manager = home.serve(&pebble.environment());
    manager.domain("*.shop.example");
    let domain = json!({"domain": "*.shop.example"});
    let (status, _) = manager.ask("POST", "/api/ssl/dns-challenge/verify", &domain);
    assert_eq!(status, 404);
    let told = manager.json("POST", "/api/ssl/dns-challenge/request", &domain);
    let record = &told["records"][0];
    assert_eq!((&record["name"], &record["type"]), (&json!("_acme-challenge.shop.example"), &json!("TXT")));
    // Whoever does it has time, and the manager may end meanwhile.
    drop(manager);
    let manager = home.serve(&pebble.environment());
    assert_eq!(home.orders().len(), 1);
    pebble.names("/set-txt", &json!({"host": "_acme-challenge.shop.example.", "value": record["value"]}));
    assert_eq!(manager.json("POST", "/api/ssl/dns-challenge/verify", &domain), json!({"status": "success"}));
    assert_eq!(served(home.https.address, "any.shop.example").names, ["*.shop.example"]);
    assert_eq!(home.orders(), []);
    let listed = manager.json("GET", "/api/certificates", &Value::Null);
    assert_eq!(listed[0]["challenge"], "manual");
    let audit = manager.json("GET", "/api/audit?action=certificate.propose", &Value::Null);
    assert_eq!(audit["changes"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&audit["changes"][0]["target"], &audit["changes"][0]["result"]),
        (&json!("*.shop.example"), &json!("done"))
    );
}

const KEY: &str =
    "key \"edge\" { algorithm hmac-sha256; secret \"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ=\"; };\n";

/// BIND, which takes updates of shop.example from those who have the key.
struct Named {
    dir: tempfile::TempDir,
    child: Child,
    port: Port,
}

impl Named {
    /// BIND shares the port for TCP with its reservation, as HAProxy does. The same port for UDP may be somebody else's: then
    /// BIND ends, and is started with another one.
    fn start() -> Self {
        std::iter::repeat_with(|| Self::start_at(Port::reserve())).flatten().next().unwrap()
    }

    fn start_at(port: Port) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (path, number) = (dir.path().display(), port.address.port());
        let zone = "$TTL 60\n@ SOA ns h 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n@ A 127.0.0.1\n\
                    www CNAME @\n";
        fs::write(dir.path().join("zone"), zone).unwrap();
        fs::write(dir.path().join("key"), KEY).unwrap();
        let options = format!(
            "options {{ directory \"{path}\"; listen-on port {number} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
             pid-file none; session-keyfile none; recursion no; dnssec-validation no; }};\ncontrols {{ }};\n\
             include \"{path}/key\";\n\
             zone \"shop.example\" {{ type primary; file \"{path}/zone\"; allow-update {{ key edge; }}; }};\n"
        );
        fs::write(dir.path().join("named.conf"), options).unwrap();
        let mut command = Command::new("named");
        command.arg("-g").arg("-c").arg(dir.path().join("named.conf"));
        let log = dir.path().join("log");
        let mut child = spawn(&mut command, &log);
        let listens = eventually("named", || match child.try_wait().unwrap() {
            None => TcpStream::connect(port.address).ok().map(|_| true),
            Some(status) => {
                let said = fs::read_to_string(&log).unwrap();
                assert!(said.contains("unable to listen on any configured interfaces"), "{status}: {said}");
                Some(false)
            }
        });
        listens.then_some(Self { dir, child, port })
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.dir.path().join("log")).unwrap());
        }
    }
}

#[test]
fn a_name_server_takes_updates_that_are_signed() {
    let named = Named::start();
    let home = Home::new();
    let pebble = Pebble::start(
        home.port(),
        Manner { name_server: Some(named.port.address.port()), reuse: 0, ..Manner::default() },
    );
    let mut environment = pebble.environment();
    environment.push(("EDGE_ACME_DNS_SERVER".to_owned(), named.port.address.to_string()));
    let manager = home.serve(&environment);
    manager.domain("*.shop.example");
    let names = json!({"primary": "*.shop.example", "sans": ["shop.example"]});
    let (status, answer) = manager.ask("POST", "/api/ssl/bundle", &names);
    let server = named.port.address.to_string();
    let why = format!("dns-01: set _acme-challenge.shop.example: {server} answers REFUSED");
    assert_eq!((status, answer), (500, format!("{{\"status\":\"error\",\"message\":\"{why}\"}}")));
    drop(manager);
    let key = named.dir.path().join("key").display().to_string();
    environment.push(("EDGE_ACME_DNS_KEY_FILE".to_owned(), key));
    let manager = home.serve(&environment);
    manager.json("POST", "/api/ssl/bundle", &names);
    assert_eq!(served(home.https.address, "any.shop.example").names, ["*.shop.example", "shop.example"]);
    // Both records are gone again.
    let log = fs::read_to_string(named.dir.path().join("log")).unwrap();
    assert_eq!(log.matches("adding an RR at '_acme-challenge.shop.example' TXT").count(), 2, "{log}");
    assert_eq!(log.matches("deleting an RR at _acme-challenge.shop.example TXT").count(), 2, "{log}");
    // One that stands for another is no zone, though it leads to one.
    manager.domain("www.shop.example");
    let (status, answer) = manager.request(&json!({"domains": ["www.shop.example"], "challenge": "dns-01"}));
    assert_eq!(status, 200, "{answer}");
}
