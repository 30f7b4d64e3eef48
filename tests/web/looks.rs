//! Without scripts, on a phone, in the dark, by keyboard.

use edge_e2e::Look;

use crate::{KEY, Site, states, tls};

#[test]
fn everything_can_be_changed_without_scripts() {
    let site = Site::start(Look { has_script: false, ..Look::DESK });
    site.log_in(KEY);
    let is_done = || site.browser.text_of(".notice.done");
    site.open("/clients");
    site.browser.fill("#target", "203.0.113.5");
    site.browser.click("form[action='/clients/add'] button");
    is_done();
    assert!(site.refuses("203.0.113.5"));
    site.browser.click("td details.ask summary");
    site.browser.click("td details.ask button");
    is_done();
    assert!(!site.refuses("203.0.113.5"));

    site.open("/clients/paste");
    site.browser.fill("#lines", "203.0.113.6\n203.0.113.7");
    site.browser.click("form[action='/clients/paste/look'] button");
    site.browser.click("form[action='/clients/paste/make'] button");
    is_done();
    assert!(site.refuses("203.0.113.6") && site.refuses("203.0.113.7"));

    site.open("/resources");
    site.browser.fill("#target", "www.example/a");
    site.browser.click("form[action='/resources/add'] button");
    is_done();
    assert!(!site.serves("www.example", "/a"));
    site.browser.click("td details.ask summary");
    site.browser.click("td details.ask button");
    is_done();
    assert!(site.serves("www.example", "/a"));

    site.open("/domains/edit");
    site.browser.fill("#domain", "plain.example");
    site.browser.fill("#backend_name", "site");
    site.browser.click("form[action='/domains/look'] button");
    site.browser.click("form[action='/domains/apply'] button");
    is_done();
    assert!(site.serves("plain.example", "/"));
    site.open("/configuration");
    site.browser.click("tbody tr:nth-child(2) details.ask summary");
    site.browser.click("tbody tr:nth-child(2) details.ask button");
    is_done();
    assert!(!site.serves("plain.example", "/"));

    let (certificate, key) = tls::bought("first");
    site.open("/certificates");
    site.browser.fill("#domain", "www.example");
    site.browser.fill("#certificate", &certificate);
    site.browser.fill("#key", &key);
    site.browser.click("form[action='/certificates/upload'] button");
    is_done();
    assert!(tls::shown(site.manager.https_addr(), "www.example").contains("CN = first"));

    site.browser.click("form[action='/logout'] button");
    site.browser.text_of("#key");
}

#[test]
fn no_page_is_wider_than_a_phone() {
    let site = Site::start(Look::PHONE);
    let look = |name: &str| {
        site.browser.run(
            "document.querySelectorAll('details').forEach((details) => { details.open = true }); return 1",
        );
        let width = site.browser.run("return document.documentElement.scrollWidth").as_u64();
        let widest = site.browser.run(
            "return [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > 361 && \
             !e.closest('pre, .scroll')).map((e) => e.outerHTML.slice(0, 200)).slice(0, 3).join('\\n')",
        );
        assert_eq!(width, Some(360), "{name}: {widest}");
    };
    site.open("/login");
    look("/login");
    site.log_in(KEY);
    states::fill(&site);
    states::each(&site, look);
}

#[test]
fn who_likes_it_dark_gets_it_dark() {
    let site = Site::start(Look { is_dark: true, ..Look::DESK });
    site.open("/login");
    let ground = "return getComputedStyle(document.documentElement).backgroundColor";
    assert_eq!(site.browser.run(ground), "rgb(18, 24, 30)");
    site.browser.look(Look::DESK);
    assert_eq!(site.browser.run(ground), "rgb(255, 255, 255)");
}

#[test]
fn the_keyboard_is_enough() {
    let site = Site::start(Look::DESK);
    site.open("/login");
    site.browser.press(KEY);
    site.browser.press("\u{e007}");
    site.browser.text_of("nav[aria-label=Pages]");
    site.open("/clients");
    site.browser.press("\u{e004}");
    assert_eq!(site.browser.run("return document.activeElement.textContent"), "Skip to the contents");
    site.browser.press("\u{e007}");
    assert_eq!(site.browser.run("return location.hash"), "#main");
    site.browser.press("/");
    assert_eq!(site.browser.run("return document.activeElement.id"), "q", "a slash goes to the search");
    // What has the focus is seen to have it.
    let outline = "return getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(site.browser.run(outline), "solid");
}
