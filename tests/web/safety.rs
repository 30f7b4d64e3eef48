//! Roles, hostile texts, forged forms.

use edge_e2e::{Look, Request};

use crate::Site;

const HOSTILE: &str = "\"'><img src=x onerror=\"window.wasRun=1\"><script>window.wasRun=1</script>";

/// The pages of the menu.
const PAGES: [&str; 6] = ["/", "/clients", "/resources", "/domains", "/configuration", "/audit"];

#[test]
fn a_reader_sees_everything_and_nothing_to_press() {
    let site = Site::start(Look::DESK);
    let body = r#"{"ip": "203.0.113.5"}"#;
    assert_eq!(site.manager.api().post("/api/rules", body).status, 200);
    site.log_in(&site.key("read"));
    for page in PAGES {
        site.open(page);
        assert_eq!(site.browser.count("main form[method=post]"), 0, "{page}");
        assert_eq!(site.browser.count("form[action='/logout']"), 1, "{page}");
    }
    site.open("/clients/paste");
    assert!(site.browser.text().contains("operator is needed"));
}

#[test]
fn an_operator_changes_rules_and_nothing_else() {
    let site = Site::start(Look::DESK);
    site.log_in(&site.key("operator"));
    site.open("/clients");
    assert_eq!(site.browser.count("form[action='/clients/add']"), 1);
    for page in ["/domains", "/configuration"] {
        site.open(page);
        assert_eq!(site.browser.count("main form[method=post]"), 0, "{page}");
    }
}

#[test]
fn hostile_texts_are_seen_and_never_run() {
    let site = Site::with_admin(Look::DESK);
    site.open("/clients");
    site.browser.fill("#target", "203.0.113.5");
    site.browser.fill("#reason", HOSTILE);
    site.browser.click("form[action='/clients/add'] button");
    site.browser.text_of(".notice.done");
    assert!(site.browser.text().contains("<script>window.wasRun=1</script>"), "{}", site.browser.text());
    let hostile: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for page in PAGES.map(str::to_owned).into_iter().chain([
        format!("/clients?q={hostile}"),
        format!("/resources?url={hostile}"),
        format!("/audit?who={hostile}"),
        format!("/domains?q={hostile}"),
        format!("/domains/edit?domain={hostile}"),
    ]) {
        site.open(&page);
        assert_eq!(site.browser.run("return window.wasRun === undefined"), true, "{page}");
        assert_eq!(site.browser.count("img"), 0, "{page}");
    }
    // Were it in a page, the policy would keep it from running.
    let script = "const script = document.createElement('script'); script.textContent = 'window.wasRun = 1'; \
                  document.body.append(script); return window.wasRun === undefined";
    assert_eq!(site.browser.run(script), true);
}

#[test]
fn a_form_of_another_site_changes_nothing() {
    let site = Site::with_admin(Look::DESK);
    let target = format!("http://{}/clients/add", site.manager.addr());
    // As a page of another site would send it: the cookie of a strict session does not go along.
    site.browser.open("data:text/html,<title>elsewhere</title>");
    site.browser.run(&format!(
        "const form = document.createElement('form'); form.method = 'post'; form.action = '{target}'; \
         form.innerHTML = '<input name=target value=203.0.113.66>'; document.body.append(form); form.submit(); return 1"
    ));
    site.browser.text_of("#key");
    assert!(!site.refuses("203.0.113.66"));
    // And with its cookie, but without its token.
    site.open("/clients");
    site.browser.run(
        "document.querySelector('form[action=\"/clients/add\"] input[name=token]').value = '0'; return 1",
    );
    site.browser.fill("#target", "203.0.113.66");
    site.browser.click("form[action='/clients/add'] button");
    assert!(site.browser.text_of("[role=alert]").contains("session that has ended"));
    assert!(!site.refuses("203.0.113.66"));
}

#[test]
fn a_session_ends_with_its_key() {
    let site = Site::start(Look::DESK);
    site.log_in(&site.key("operator"));
    assert!(site.manager.command(&["key", "remove", "operator"]).status.success());
    site.open("/clients");
    assert!(site.browser.url().ends_with("/login?next=/clients"), "{}", site.browser.url());
    let answer = Request::get("/clients").host("localhost").send(site.manager.addr()).expect("an answer");
    assert_eq!(answer.status, 303);
}
