use edge_manager::access::Role;

use super::Visitor;
use crate::harness::Manager;

/// What breaks out of a text, of an attribute, or of an address.
const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;";

fn is_text_only(body: &str, on: &str) {
    for raw in ["<script>alert", "<img src=x", "\"'>", "onerror=alert(1)>"] {
        assert!(!body.contains(raw), "{on} has {raw}");
    }
}

#[test]
fn hostile_texts_of_rules_are_shown_as_texts() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mut visitor = Visitor::with_key(&manager, "secret");
    let fields = [("target", "192.0.2.1"), ("reason", HOSTILE)];
    assert_eq!(visitor.send("/clients", "/clients/add", &fields).status, 303);
    let fields = [("target", "/a<script>alert(1)</script>"), ("reason", HOSTILE)];
    assert_eq!(visitor.send("/resources", "/resources/add", &fields).status, 303);
    for path in ["/", "/clients", "/clients?q=192.0.2.1", "/resources", "/audit"] {
        let page = visitor.get(path);
        assert_eq!(page.status, 200, "{page:?}");
        is_text_only(&page.body, path);
    }
    let page = visitor.get("/clients").body;
    assert!(page.contains("&lt;script&gt;alert(1)") || page.contains("&#60;script&#62;alert(1)"), "{page}");
}

#[test]
fn hostile_parameters_and_fields_are_shown_as_texts() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mut visitor = Visitor::with_key(&manager, "secret");
    let hostile: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for path in [
        "/clients?q=",
        "/clients?list=",
        "/clients?after=",
        "/clients?ended=",
        "/clients?order=",
        "/clients?kind=",
        "/resources?host=",
        "/resources?backend=",
        "/resources?after=",
        "/resources?url=",
        "/resources?url=/a&method=",
        "/resources?url=/a&method=GET&client=",
        "/audit?who=",
        "/audit?action=",
        "/audit?since=",
        "/audit?after=",
        "/domains?q=",
        "/domains?after=",
        "/domains/edit?domain=",
        "/domains/edit?backend=",
        "/configuration/file?path=",
        "/configuration/diff?to=1&from=",
        "/configuration/template?name=",
        "/login?next=/",
        "/nowhere/",
    ] {
        is_text_only(&visitor.get(&format!("{path}{hostile}")).body, path);
    }
    for (on, path, fields) in [
        ("/clients", "/clients/add", &["target", "ends", "reason", "action"][..]),
        ("/clients", "/clients/remove", &["id"]),
        ("/clients/paste", "/clients/paste/look", &["lines", "ends", "reason", "list", "action"]),
        ("/resources", "/resources/add", &["target", "conditions", "ends", "reason", "action"]),
        ("/resources", "/resources/remove", &["id"]),
        ("/domains/edit", "/domains/look", &["domain", "backend_name", "servers", "template_override"]),
        ("/configuration/template", "/configuration/template/look", &["name", "source"]),
        ("/configuration/global", "/configuration/global/look", &["global"]),
    ] {
        let fields: Vec<_> = fields.iter().map(|field| (*field, HOSTILE)).collect();
        let answer = visitor.send(on, path, &fields);
        is_text_only(&answer.body, path);
        assert!(answer.status >= 400, "{path} {answer:?}");
    }
}

#[test]
fn the_names_of_keys_and_the_way_back_cannot_be_abused() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let key = manager.add_key("night", Role::Operator);
    let mut visitor = Visitor::with_key(&manager, &key);
    visitor.send("/clients", "/clients/add", &[("target", "192.0.2.1")]);
    let fields = [("id", "1"), ("back", "\r\nSet-Cookie: edge_session=x")];
    let answer = visitor.send("/clients", "/clients/remove", &fields);
    assert_eq!((answer.status, answer.location()), (303, Some("/clients")));
    assert_eq!(answer.header("set-cookie"), None);
}
