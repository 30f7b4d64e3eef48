//! What is seen of changes.

use edge_e2e::{Look, eventually};

use crate::Site;

#[test]
fn the_overview_follows_what_happens_without_a_reload() {
    let site = Site::start(Look::DESK);
    // Nothing is asked again after a while: what is seen is told by events.
    site.browser.run_first("window.setInterval = () => 0");
    site.log_in(crate::KEY);
    eventually("the worker was asked", || {
        site.open("/");
        (!site.browser.text().contains("No worker has been asked")).then_some(())
    });
    site.browser.run("window.isTheSamePage = true; return 1");
    let body = r#"{"ip": "203.0.113.77", "reason": "from elsewhere"}"#;
    assert_eq!(site.manager.api().post("/api/rules", body).status, 200);
    eventually("the change is seen", || site.browser.text_of("#now").contains("203.0.113.77").then_some(()));
    assert_eq!(site.browser.run("return window.isTheSamePage"), true);
}

#[test]
fn the_overview_counts_what_is_refused() {
    let site = Site::with_admin(Look::DESK);
    let body = r#"{"ip": "203.0.113.5"}"#;
    assert_eq!(site.manager.api().post("/api/rules", body).status, 200);
    eventually("it is among those that are refused most", || {
        assert!(site.refuses("203.0.113.5"));
        site.open("/");
        site.browser.text_of("section[aria-label='Refused most']").contains("203.0.113.5").then_some(())
    });
    eventually("there is something to draw", || {
        assert!(site.refuses("203.0.113.5"));
        site.open("/");
        (site.browser.run("return document.querySelectorAll('.plot .line[d^=M]').length") == 3).then_some(())
    });
    assert!(site.browser.count("svg[aria-label^='Blocked a second over the last hour']") == 1);
}

#[test]
fn the_audit_says_who_changed_what() {
    let site = Site::with_admin(Look::DESK);
    site.open("/clients");
    site.browser.fill("#target", "203.0.113.5");
    site.browser.click("form[action='/clients/add'] button");
    site.browser.text_of(".notice.done");
    site.open("/audit?action=rules.put");
    let row = site.browser.text_of("tbody tr");
    for word in ["HAPROXY_API_KEY", "admin", "127.0.0.1", "rules.put", "block 203.0.113.5", "done"] {
        assert!(row.contains(word), "{word}: {row}");
    }
    let exported = site.browser.run_async(
        "const done = arguments[0]; fetch('/audit/export?action=rules.put').then((answer) => answer.text()).then(done)",
    );
    let exported: serde_json::Value =
        serde_json::from_str(exported.as_str().expect("a text").trim()).expect("a line of JSON");
    assert_eq!(exported["target"], "block 203.0.113.5");
}

#[test]
fn what_is_wrong_is_told_and_what_was_typed_stays() {
    let site = Site::with_admin(Look::DESK);
    site.open("/clients");
    site.browser.fill("#target", "203.0.113.999");
    site.browser.fill("#reason", "typed");
    site.browser.click("form[action='/clients/add'] button");
    assert!(site.browser.text_of("#wrong").contains("203.0.113.999"));
    assert_eq!(site.browser.run("return document.getElementById('reason').value"), "typed");
    assert_eq!(
        site.browser.run("return document.activeElement.id"),
        "target",
        "the focus is where it is wrong"
    );
}
