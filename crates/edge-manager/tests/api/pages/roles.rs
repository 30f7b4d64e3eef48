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
