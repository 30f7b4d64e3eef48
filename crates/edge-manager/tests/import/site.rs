//! Domains and the site, while nobody serves.

use crate::home::Home;

fn stored(home: &Home, what: &str) -> String {
    format!("{what}: stored, not yet enforced: no HAProxy listens at {}\n", home.text("haproxy/master.sock"))
}

#[test]
fn domains_are_added_listed_and_removed() {
    let home = Home::new();
    let (code, out, error) =
        home.run(&["domain", "add", "A.example", "web", "--server", "w=[2001:db8::1]:80"]);
    assert_eq!((code, out, error.as_str()), (3, stored(&home, "domain 1"), ""));
    let cfg = std::fs::read_to_string(home.path("haproxy/current/haproxy.cfg")).unwrap();
    assert!(cfg.contains("server w [2001:db8::1]:80"), "{cfg}");
    assert_eq!(home.run(&["domain", "list"]).1, "domain 1: a.example, backend web\n");
    let (code, out, _) = home.run(&["domain", "remove", "a.example"]);
    assert_eq!((code, out), (3, stored(&home, "removed")));
    let (code, _, error) = home.run(&["domain", "remove", "a.example"]);
    assert_eq!((code, error.as_str()), (1, "edge-manager: a.example: no such domain\n"));
}

#[test]
fn a_site_is_applied_as_it_was_shown() {
    let home = Home::new();
    home.run(&["domain", "add", "a.example", "web", "--server", "w=192.0.2.1:80"]);
    let shown = home.run(&["site", "show"]).1;
    let file = home.file("site.json", &shown);
    let (code, out, _) = home.run(&["site", "apply", &file, "--dry-run"]);
    assert_eq!((code, out.as_str()), (0, ""), "nothing would change");
    let other = Home::new();
    let (code, out, _) = other.run(&["site", "apply", &home.text("site.json")]);
    assert_eq!((code, out), (3, stored(&other, "replaced")));
    assert_eq!(other.run(&["site", "show"]).1, shown);
}

#[test]
fn what_cannot_be_taken_is_told_and_changes_nothing() {
    let home = Home::new();
    for (args, status, told) in [
        (&["domain", "add", "a b", "web"][..], 2, "domain: \"a b\" has a space at byte 1"),
        (&["domain", "add", "a.example", "web", "--server", "x"], 2, "NAME=ADDRESS:PORT is wanted"),
        (&["domain", "add", "a.example", "web", "--template", "none"], 1, "template none.j2"),
        (&["site", "apply", "/none.json"], 2, "/none.json: No such file"),
    ] {
        let (code, out, error) = home.run(args);
        assert_eq!((code, out.as_str()), (status, ""), "{args:?}: {error}");
        assert!(error.contains(told), "{error}");
    }
    let file = home.file("site.json", r#"{"backends": [{"name": "x", "unknown": 1}]}"#);
    let (code, _, error) = home.run(&["site", "apply", &file]);
    assert_eq!(code, 2);
    assert!(error.contains("unknown field `unknown`"), "{error}");
    assert_eq!(home.run(&["domain", "list"]).1, "");
}
