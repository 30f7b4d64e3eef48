//! Roles, hostile texts, forged forms.

use edge_e2e::{Answer, Look, Request, eventually};

use crate::{Site, tls};

/// What breaks out of an attribute, a text field or a title.
const HOSTILE: &str =
    "\"'></textarea></title><img src=x onerror=window.wasRun=1><script>window.wasRun=1</script>";

/// The pages of the menu.
const PAGES: [&str; 7] =
    ["/", "/clients", "/resources", "/domains", "/certificates", "/configuration", "/audit"];

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
    for page in ["/domains", "/certificates", "/configuration"] {
        site.open(page);
        assert_eq!(site.browser.count("main form[method=post]"), 0, "{page}");
    }
}

/// Opens a page, where nothing of what is hostile may be more than text.
fn shows_text_only(site: &Site, page: &str) {
    site.open(page);
    assert_eq!(site.browser.run("return window.wasRun === undefined"), true, "{page}");
    assert_eq!(site.browser.count("img"), 0, "{page}");
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn hostile_texts_are_seen_and_never_run() {
    let site = Site::with_admin(Look::DESK);
    let template = site.templates.path().join("mine.cfg.j2");
    std::fs::write(template, format!("{{# {HOSTILE} #}}")).expect("a file of ours");
    // What people type.
    site.open("/clients");
    site.browser.fill("#target", "203.0.113.5");
    site.browser.fill("#reason", HOSTILE);
    site.browser.click("form[action='/clients/add'] button");
    site.browser.text_of(".notice.done");
    site.open("/clients/paste");
    site.browser.fill("#lines", &format!("203.0.113.6 # {HOSTILE}"));
    site.browser.fill("#reason", HOSTILE);
    site.browser.click("form[action='/clients/paste/look'] button");
    site.browser.click("form[action='/clients/paste/make'] button");
    site.browser.text_of(".notice.done");
    site.open("/resources");
    site.browser.fill("#target", "www.example/<script>window.wasRun=1</script>");
    site.browser.fill("#reason", HOSTILE);
    site.browser.click("form[action='/resources/add'] button");
    site.browser.text_of(".notice.done");
    // What a backend says, of a request of somebody else.
    let reason = HOSTILE.replace('"', "\\\"");
    // Only a path in canonical form teaches: these are the worst characters that it may have.
    let path = "/';window.wasRun=1;'";
    site.backend.answer(path, Answer::teaching(&format!("false;ttl=600;reason=\"{reason}\"")));
    site.manager.send(&Request::get(path).host("www.example"));
    // Who signed a certificate.
    let signer = "<img src=x onerror=window.wasRun=1>";
    let (certificate, key) = tls::signed_by(signer);
    site.have_certificate(&certificate, &key);

    for (page, seen) in [
        ("/clients", "</textarea></title><img src=x"),
        ("/clients?q=203.0.113.5", HOSTILE),
        ("/clients?q=203.0.113.6", HOSTILE),
        ("/resources?origin=manual", HOSTILE),
        ("/certificates", signer),
    ] {
        shows_text_only(&site, page);
        assert!(site.browser.text().contains(seen), "{page}: {}", site.browser.text());
    }
    for seen in [HOSTILE, "GET www.example/';window.wasRun=1;'"] {
        eventually("the lesson is seen", || {
            shows_text_only(&site, "/resources?origin=learned");
            site.browser.text().contains(seen).then_some(())
        });
    }
    shows_text_only(&site, "/configuration/template?name=mine.cfg.j2");
    let source = site.browser.run("return document.getElementById('source').value");
    assert!(source.as_str().expect("a text").contains(HOSTILE), "{source}");
    let hostile = escaped(HOSTILE);
    for page in PAGES.map(str::to_owned).into_iter().chain([
        format!("/clients?q={hostile}"),
        format!("/clients?list={hostile}"),
        format!("/resources?url={hostile}"),
        format!("/resources?backend={hostile}"),
        format!("/audit?who={hostile}"),
        format!("/domains?q={hostile}"),
        format!("/domains/edit?domain={hostile}"),
        format!("/certificates?q={hostile}"),
        format!("/certificates?names={hostile}"),
        format!("/configuration/template?name={hostile}"),
    ]) {
        shows_text_only(&site, &page);
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
    site.browser.has("form[action='/clients/add']");
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
