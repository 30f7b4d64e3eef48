//! Why somebody is refused, by what only HAProxy knows.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use edge_e2e::{Answer, Look, Request};
use serde_json::json;

use crate::{KEY, Site};

#[test]
fn a_resource_that_was_learned_is_not_said_to_pass() {
    let site = Site::with_admin(Look::DESK);
    site.backend.answer("/probe", Answer::teaching("false;ttl=600"));
    site.manager.send(&Request::get("/probe").host("www.example"));
    assert!(!site.serves("www.example", "/probe"));
    site.open("/resources?url=www.example/probe");
    let headline = site.browser.text_of("#why");
    assert!(headline.starts_with("www.example/probe: deny "), "{headline}");
    assert_eq!(site.browser.text_of("section[aria-labelledby=why] h3"), "By the record: pass");
    let words = site.browser.text_of("pre.words");
    assert!(words.contains("site"), "it names who taught it: {words}");
}

#[test]
fn a_client_of_a_list_in_a_file_is_not_said_to_pass() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let list = dir.path().join("block.lst");
    fs::write(&list, "203.0.113.0/24\n").unwrap();
    fs::set_permissions(&list, fs::Permissions::from_mode(0o644)).unwrap();
    let site = Site::start_with(Look::DESK, |builder| {
        builder.global(|global| {
            global["filter"]["settings"] = json!([{"name": "EDGE_BLOCK_FILES", "value": list}]);
        })
    });
    site.log_in(KEY);
    assert!(site.refuses("203.0.113.33"));
    site.open("/clients?q=203.0.113.33");
    assert_eq!(site.browser.text_of("#why"), "203.0.113.33: deny 403");
    assert_eq!(site.browser.text_of("section[aria-labelledby=why] h3"), "By the record: pass");
}
