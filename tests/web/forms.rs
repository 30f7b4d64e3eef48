//! What forms say while they are under way, and where they cannot be taken any more.

use edge_e2e::{Look, eventually};

use crate::{KEY, Site};

#[test]
fn a_form_that_takes_a_while_says_for_how_long_and_is_sent_once() {
    let site = Site::with_admin(Look::DESK);
    site.open("/clients/paste");
    // The page stays, as while the manager is at work.
    site.browser.run(
        "window.sent = 0; window.addEventListener('submit', (event) => { \
         if (!event.defaultPrevented) window.sent += 1; event.preventDefault(); }); return 1",
    );
    site.browser.fill("#lines", "203.0.113.1");
    let button = "form[action='/clients/paste/look'] button";
    site.browser.click(button);
    site.browser.click(button);
    eventually("the time is told", || {
        let told = site.browser.text_of("[role=status].progress");
        (told.starts_with("Reading the lines…") && told.ends_with(" s") && !told.ends_with(" 0 s"))
            .then_some(())
    });
    assert_eq!(site.browser.count(".progress"), 1);
    assert_eq!(site.browser.run("return window.sent"), 1);
}

#[test]
fn what_is_sent_after_the_session_ended_is_not_lost_without_a_word() {
    let site = Site::with_admin(Look::DESK);
    site.open("/clients?q=203.0.");
    site.browser.fill("#target", "203.0.113.5");
    // In another tab, so to speak.
    site.browser.run_async(
        "const done = arguments[0]; const token = document.querySelector('input[name=token]').value; \
         fetch('/logout', {method: 'POST', body: new URLSearchParams({token})}).then(() => done(1))",
    );
    site.browser.click("form[action='/clients/add'] button");
    assert!(site.browser.text_of("[role=alert]").contains("nothing was changed"));
    assert!(!site.refuses("203.0.113.5"));
    site.browser.fill("#key", KEY);
    site.browser.click("main button");
    site.browser.text_of("#target");
    assert!(site.browser.url().ends_with("/clients?q=203.0."), "{}", site.browser.url());
}

#[test]
fn a_page_that_follows_what_happens_takes_no_notice_from_another_tab() {
    let site = Site::with_admin(Look::DESK);
    site.open("/");
    site.browser.run_async(
        "const done = arguments[0]; const token = document.querySelector('input[name=token]').value; \
         const body = new URLSearchParams({token, target: '203.0.113.77', kind: 'block', action: 'deny 403'}); \
         fetch('/clients/add', {method: 'POST', body, redirect: 'manual'}).then(() => done(1))",
    );
    eventually("the change is seen", || site.browser.text_of("#now").contains("203.0.113.77").then_some(()));
    site.open("/clients");
    assert!(site.browser.text_of(".notice.done").contains("203.0.113.77 is blocked."));
}

#[test]
fn only_the_page_that_is_looked_at_keeps_a_connection() {
    let site = Site::with_admin(Look::DESK);
    site.open("/");
    let listeners = |count: &str| {
        let metrics = site.manager.api().get("/metrics");
        metrics.body.lines().any(|line| line == count).then_some(())
    };
    eventually("it listens", || listeners("edge_manager_event_listeners 1"));
    let look = |is_hidden: bool| {
        site.browser.run(&format!(
            "Object.defineProperty(document, 'hidden', {{value: {is_hidden}, configurable: true}}); \
             document.dispatchEvent(new Event('visibilitychange')); return 1"
        ))
    };
    look(true);
    eventually("it does not listen", || listeners("edge_manager_event_listeners 0"));
    look(false);
    eventually("it listens again", || listeners("edge_manager_event_listeners 1"));
}
