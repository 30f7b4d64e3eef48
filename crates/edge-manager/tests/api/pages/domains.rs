use super::Visitor;
use crate::harness::Manager;

const SITE: &str = r#"{
    "domains": [{"domain": "shop.example", "backend_name": "shop"}],
    "backends": [{"name": "shop", "servers": [{"name": "a", "address": "192.0.2.1", "port": "80"}]},
                 {"name": "api", "servers": [{"name": "b", "address": "192.0.2.2", "port": "80"}]}]
}"#;

/// With these domains and backends.
fn serving(site: &str) -> Manager {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let headers = ["Authorization: Bearer secret", "Content-Type: application/json"];
    let answer = manager.ask("PUT", "/api/site", &headers, site.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    manager
}

/// The servers of a backend of the record.
fn servers(manager: &Manager, backend: &str) -> Vec<String> {
    let input = manager.app.sites.input().unwrap();
    let backend = input.backends.into_iter().find(|known| known.name.as_str() == backend);
    backend
        .map(|backend| backend.servers.iter().map(|server| server.address.to_string()).collect())
        .unwrap_or_default()
}

/// What a form has, as a browser sends it: its fields, and what is between the tags of a text.
fn filled(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("<textarea id=\"{name}\"")).unwrap();
    let (_, rest) = rest.split_once('>').unwrap();
    let (text, _) = rest.split_once("</textarea>").unwrap();
    // HTML, "the textarea element": the first line end is none of the text.
    text.strip_prefix('\n').unwrap_or(text).replace("&#34;", "\"")
}

#[test]
fn a_domain_that_gets_another_backend_leaves_it_its_servers() {
    let manager = serving(SITE);
    let mut visitor = Visitor::with_key(&manager, "secret");
    let edit = "/domains/edit?domain=shop.example";
    let prefilled = filled(&visitor.get(edit).body, "servers");
    assert_eq!(prefilled, "a 192.0.2.1:80");
    let fields =
        [("what", "domain"), ("domain", "shop.example"), ("backend_name", "api"), ("servers", &*prefilled)];
    assert_eq!(visitor.send(edit, "/domains/apply", &fields).status, 303);
    assert_eq!(servers(&manager, "api"), ["192.0.2.2"]);
    let fields = [&fields[..3], &[("servers", "c 192.0.2.3:80")]].concat();
    assert_eq!(visitor.send(edit, "/domains/apply", &fields).status, 303);
    assert_eq!(servers(&manager, "api"), ["192.0.2.3"], "what is typed is taken");
}

#[test]
fn a_backend_is_added_without_a_domain_and_replaces_none() {
    let manager = serving(SITE);
    let mut visitor = Visitor::with_key(&manager, "secret");
    assert!(visitor.get("/domains").body.contains("href=\"/domains/edit?new=backend\""));
    let new = "/domains/edit?new=backend";
    let name =
        |page: &str| page.split("id=\"backend_name\"").nth(1).unwrap().split('>').next().unwrap().to_owned();
    assert!(!name(&visitor.get(new).body).contains("readonly"));
    assert!(name(&visitor.get("/domains/edit?backend=api").body).contains("readonly"));
    let typed = |name| {
        [
            ("what", "backend"),
            ("is_new", "yes"),
            ("backend_name", name),
            ("mode", "tcp"),
            ("listen", ":13389"),
            ("rdp_cookie", "yes"),
            ("servers", "a 192.0.2.9:3389"),
        ]
    };
    let taken = visitor.send(new, "/domains/look", &typed("api"));
    assert!(taken.status == 409 && taken.body.contains("it is there already"), "{taken:?}");
    assert!(!name(&taken.body).contains("readonly"), "it can be mended");
    assert_eq!(visitor.send(new, "/domains/apply", &typed("desk")).status, 303);
    assert_eq!(servers(&manager, "desk"), ["192.0.2.9"]);
    assert_eq!(servers(&manager, "api"), ["192.0.2.2"]);
    assert!(manager.app.sites.input().unwrap().backends.iter().any(|backend| backend.rdp_cookie));
}

#[test]
fn backends_without_a_domain_go_on_on_another_page() {
    let backends: Vec<String> = (0..120).map(|n| format!(r#"{{"name": "alone{n:03}"}}"#)).collect();
    let manager = serving(&format!(r#"{{"backends": [{}]}}"#, backends.join(",")));
    let mut visitor = Visitor::with_key(&manager, "secret");
    let (mut path, mut found) = ("/domains?q=alone".to_owned(), 0);
    loop {
        let page = visitor.get(&path).body;
        found += page.matches("/domains/edit?backend=alone").count();
        let Some((before, _)) = page.split_once("\" rel=\"next\"") else { break };
        path = before.rsplit('"').next().unwrap().replace("&#38;", "&");
    }
    assert_eq!(found, 120);
}

#[test]
fn an_empty_first_line_is_kept() {
    let manager = serving(SITE);
    let mut visitor = Visitor::with_key(&manager, "secret");
    let fields = [("what", "domain"), ("domain", "x"), ("servers", "\nbad")];
    let page = visitor.send("/domains/edit", "/domains/look", &fields);
    assert_eq!(filled(&page.body, "servers"), "\nbad");
    let page = visitor.send("/clients/paste", "/clients/paste/look", &[("lines", "\nbad")]);
    assert_eq!(filled(&page.body, "lines"), "\nbad");
}

#[test]
fn what_holds_for_all_backends_is_looked_at_before_it_is_changed() {
    let manager = serving(SITE);
    let mut visitor = Visitor::with_key(&manager, "secret");
    let page = "/configuration/global";
    let typed = filled(&visitor.get(page).body, "global");
    let changed = typed.replace("\"maxconn\": null", "\"maxconn\": 1234");
    assert_ne!(changed, typed);
    let looked = visitor.send(page, "/configuration/global/look", &[("global", &changed)]);
    assert!(looked.status == 200 && looked.body.contains("maxconn 1234"), "{looked:?}");
    let maxconn = || manager.app.sites.input().unwrap().global.maxconn;
    assert_eq!(maxconn(), None, "looking changes nothing");
    for (bad, told) in [("{\"nothing\": 1}", "nothing"), ("[]", "an object"), ("", "the body")] {
        let answer = visitor.send(page, "/configuration/global/apply", &[("global", bad)]);
        assert!(answer.status == 400 && answer.body.contains(told), "{answer:?}");
    }
    let applied = visitor.send(page, "/configuration/global/apply", &[("global", &changed)]);
    assert_eq!((applied.status, applied.location()), (303, Some("/configuration")));
    assert_eq!(maxconn(), Some(1234));
    assert_eq!(servers(&manager, "shop"), ["192.0.2.1"], "the rest stays");
}
