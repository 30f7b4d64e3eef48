use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use edge_manager::access::Role;
use edge_manager::api::{Route, list};

use crate::harness::{Answer, Manager, ask, request};

const NEEDED: &str = r#"{"status":"error","message":"Authorization: Bearer KEY is needed"}"#;
const UNKNOWN: &str = r#"{"status":"error","message":"this key is not known"}"#;

/// With something in the place of each part that varies.
fn path(route: &Route) -> String {
    let fill = |part: &str| if part.starts_with('{') { "1".to_owned() } else { part.to_owned() };
    route.path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

fn with(manager: &Manager, route: &Route, headers: &[&str]) -> Answer {
    manager.ask(route.method.as_str(), &path(route), headers, b"")
}

#[test]
fn every_route_asks_for_a_key_that_is_known() {
    let manager = Manager::with_key(Some("secret"));
    let key = manager.add_key("panel", Role::Admin);
    let short = format!("Authorization: Bearer {}", &key[..key.len() - 1]);
    let needed = [
        &[][..],
        &["Authorization: Basic c2VjcmV0"],
        &["Authorization: Bearer"],
        &["Authorization: secret"],
        &["Authorization: Bearer secret", "Authorization: Bearer secret"],
        &["X-Api-Key: secret"],
    ];
    let unknown = [
        &["Authorization: Bearer Secret"][..],
        &["Authorization: Bearer secret2"],
        &["Authorization: Bearer panel"],
        &[short.as_str()],
        &["Authorization: Bearer \u{e4}"],
    ];
    let routes: Vec<_> = list().into_iter().filter(|route| route.role.is_some()).collect();
    assert!(routes.len() >= 6);
    let mut count = 0;
    for (n, route) in routes.iter().enumerate() {
        // A client that goes on with wrong keys would have to wait.
        let unknown = if n == 0 { &unknown[..] } else { &[] };
        for (all, message) in [(&needed[..], NEEDED), (unknown, UNKNOWN)] {
            for headers in all {
                count += 1;
                let answer = with(&manager, route, headers);
                assert_eq!(answer.said(), (401, message), "{route:?} {headers:?}");
                assert!(
                    answer.head.contains("\r\nwww-authenticate: bearer realm=\"edge-manager\""),
                    "{answer:?}"
                );
            }
        }
    }
    let figures = manager.ask("GET", "/metrics", &["Authorization: Bearer secret"], b"").body;
    let counted = figures.lines().filter(|line| line.contains("status=\"401\""));
    let counted: usize = counted.map(|line| line.split(' ').nth(1).unwrap().parse::<usize>().unwrap()).sum();
    assert_eq!(counted, count);
}

#[test]
fn every_route_refuses_a_role_that_is_too_low_and_takes_the_one_it_needs() {
    let manager = Manager::with_key(Some("secret"));
    let roles = [Role::Reader, Role::Operator, Role::Admin];
    let keys =
        roles.map(|role| (role, format!("Authorization: bearer {}", manager.add_key(role.name(), role))));
    let environment = (Role::Admin, "Authorization: BEARER secret".to_owned());
    for route in list() {
        let Some(needed) = route.role else { continue };
        for (role, header) in keys.iter().chain([&environment]) {
            let answer = with(&manager, &route, &[header]);
            if *role < needed {
                let needed = needed.of_keys();
                let message = format!("the key {role} has the role {role}: {needed} is needed");
                let body = format!(r#"{{"status":"error","message":"{message}"}}"#);
                assert_eq!(answer.said(), (403, body.as_str()), "{route:?} {role}");
            } else {
                assert!(![401, 403].contains(&answer.status), "{route:?} {role} {answer:?}");
            }
        }
    }
}

#[test]
fn private_keys_are_for_admins() {
    let manager = Manager::with_key(Some("secret"));
    for part in ["key", "download"] {
        let path = format!("/api/certificates/shop.example/{part}");
        for (role, status) in [(Role::Reader, 403), (Role::Operator, 403), (Role::Admin, 404)] {
            let key = manager.add_key(&format!("{part}-{role}"), role);
            let header = format!("Authorization: Bearer {key}");
            assert_eq!(manager.ask("GET", &path, &[&header], b"").status, status, "{part} {role}");
        }
    }
}

#[test]
fn some_routes_are_for_everybody() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    for route in list().iter().filter(|route| route.role.is_none()) {
        // No proof of control is under way.
        let expected = if route.path == "/health" { 200 } else { 404 };
        assert_eq!(with(&manager, route, &[]).status, expected, "{route:?}");
    }
}

#[test]
fn a_key_that_is_removed_is_refused_at_once() {
    let manager = Manager::start();
    let key = format!("Authorization: Bearer {}", manager.add_key("panel", Role::Reader));
    manager.add_key("other", Role::Reader);
    assert_eq!(manager.ask("GET", "/api/blocked-ips", &[&key], b"").said(), (200, "[]"));
    let me = edge_manager::access::Caller::command_line();
    edge_manager::access::remove_key(&manager.app.store, &me, "panel", 1).unwrap();
    assert_eq!(manager.ask("GET", "/api/blocked-ips", &[&key], b"").said(), (401, UNKNOWN));
}

#[test]
fn while_there_are_no_keys_pages_of_others_are_refused() {
    let manager = Manager::start();
    assert_eq!(manager.get("/api/blocked-ips").said(), (200, "[]"));
    for header in ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site"] {
        let answer = manager.ask("GET", "/api/blocked-ips", &[header], b"");
        assert_eq!(answer.status, 403, "{answer:?}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.ends_with("make a key with `edge-manager key add NAME --role admin`"), "{message}");
    }
}

#[test]
fn the_control_socket_is_its_owners_and_needs_no_key() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mode = std::fs::metadata(manager.control()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let body = br#"{"ip_address":"192.0.2.1"}"#;
    let block = request(manager.address, "POST", "/api/blocked-ips", &[], body);
    let answer = ask(UnixStream::connect(manager.control()).unwrap(), &block);
    assert_eq!(answer.status, 200, "{answer:?}");
    let noted = manager.audit(1);
    assert!(noted[0].caller.starts_with("CLI:"), "{noted:?}");
    assert_eq!((noted[0].from.as_deref(), &*noted[0].operation), (None, "rules.put"));
}

#[test]
fn a_change_is_noted_with_the_key_that_made_it() {
    let manager = Manager::start().with_haproxy();
    let key = format!("Authorization: Bearer {}", manager.add_key("panel", Role::Operator));
    let block = |ip: &str| {
        let body = format!(r#"{{"ip_address":"{ip}","blocked_by":"someone"}}"#);
        manager.ask("POST", "/api/blocked-ips", &[&key], body.as_bytes()).status
    };
    assert_eq!((block("192.0.2.1"), block("192.0.2.1")), (200, 409));
    let noted = manager.audit(10);
    let rows: Vec<_> =
        noted.iter().map(|row| (&*row.caller, &*row.role, &*row.operation, &*row.target)).collect();
    let made = ("panel", "operator", "rules.put", "block 192.0.2.1");
    assert_eq!(rows, [made, ("CLI", "admin", "key.add", "panel (operator)")]);
    assert_eq!(noted[0].from.as_deref(), Some("127.0.0.1"));
}
