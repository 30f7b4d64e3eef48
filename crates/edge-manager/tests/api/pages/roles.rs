use edge_manager::access::Role;
use edge_manager::web::list;

use super::{Visitor, token};
use crate::harness::Manager;

const ROLES: [Role; 3] = [Role::Reader, Role::Operator, Role::Admin];

#[test]
fn every_page_and_form_refuses_a_role_that_is_too_low() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    for role in ROLES {
        let key = manager.add_key(role.name(), role);
        let mut visitor = Visitor::with_key(&manager, &key);
        let token = token(&visitor.get("/").body).unwrap();
        for page in list() {
            let Some(needed) = page.role else { continue };
            if page.path == "/events" || page.path == "/logout" {
                continue;
            }
            let answer = match page.method.as_str() {
                "GET" => visitor.get(page.path),
                _ => visitor.post(page.path, &[("token", &token)]),
            };
            let is_refused = answer.status == 403 && answer.body.contains("is needed");
            assert_eq!(is_refused, role < needed, "{role} {page:?} {answer:?}");
        }
    }
}

#[test]
fn nobody_sees_a_form_or_a_link_that_would_be_refused() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mut admin = Visitor::with_key(&manager, "secret");
    admin.send("/clients", "/clients/add", &[("target", "192.0.2.1")]);
    admin.send("/resources", "/resources/add", &[("target", "shop.example/a")]);
    for role in ROLES {
        let key = manager.add_key(role.name(), role);
        let mut visitor = Visitor::with_key(&manager, &key);
        let seen: Vec<_> =
            list().into_iter().filter(|page| page.method == "GET" && page.role.is_some()).collect();
        for page in seen.iter().filter(|page| page.role <= Some(role) && page.path != "/events") {
            let body = visitor.get(page.path).body;
            for other in list() {
                let is_named = ["href=\"", "action=\""].iter().any(|name| {
                    let ends = ["\"", "?", "#"];
                    ends.iter().any(|end| body.contains(&format!("{name}{}{end}", other.path)))
                });
                assert!(!is_named || other.role <= Some(role), "{role}: {} names {other:?}", page.path);
            }
        }
    }
}

#[test]
fn without_a_key_the_page_offers_rules_and_domains_and_refuses_the_rest() {
    let manager = Manager::start().with_haproxy();
    let mut visitor = Visitor::new(&manager);
    visitor.get("/");
    let token =
        token(&visitor.get("/domains").body).or_else(|| token(&visitor.get("/clients").body)).unwrap();
    let may = |needed: Role| needed <= Role::Local;
    for page in list() {
        let Some(needed) = page.role else { continue };
        if page.path == "/events" || page.path == "/logout" {
            continue;
        }
        let answer = match page.method.as_str() {
            "GET" => visitor.get(page.path),
            _ => visitor.post(page.path, &[("token", &token)]),
        };
        let is_refused = answer.status == 403 && answer.body.contains("without a key");
        assert_eq!(is_refused, !may(needed), "{page:?} {answer:?}");
    }
    for page in list().into_iter().filter(|page| page.method == "GET" && page.role.is_some_and(may)) {
        if page.path == "/events" {
            continue;
        }
        let body = visitor.get(page.path).body;
        for other in list().into_iter().filter(|other| other.role.is_some_and(|role| !may(role))) {
            let is_named = ["href=\"", "action=\""].iter().any(|name| {
                ["\"", "?", "#"].iter().any(|end| body.contains(&format!("{name}{}{end}", other.path)))
            });
            assert!(!is_named, "{} names {other:?}", page.path);
        }
    }
}

#[test]
fn the_page_takes_no_path_of_another_user_from_an_admin() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mut visitor = Visitor::with_key(&manager, "secret");
    let global = r#"{"filter": {"module_dir": "/home/nobody/filter"}}"#;
    for path in ["/configuration/global/look", "/configuration/global/apply"] {
        let answer = visitor.send("/configuration/global", path, &[("global", global)]);
        assert!(answer.status == 400 && answer.body.contains("global.filter.module_dir"), "{answer:?}");
    }
}
