//! Without scripts, on a phone, in the dark, by keyboard.

use edge_e2e::Look;

use crate::{KEY, Site};

/// Every page that an admin can open.
const PAGES: [&str; 12] = [
    "/",
    "/clients",
    "/clients?q=203.0.113.5",
    "/clients/paste",
    "/resources",
    "/resources?url=www.example/a",
    "/domains",
    "/domains/edit",
    "/domains/edit?backend=site",
    "/configuration",
    "/configuration/file?path=haproxy.cfg",
    "/audit",
];

/// Rules with texts as long as they come.
fn fill(site: &Site) {
    let long = "a-very-long-segment-without-a-place-to-break".repeat(4);
    let mut api = site.manager.api();
    for body in [
        format!(r#"{{"ip": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", "reason": "{long}"}}"#),
        r#"{"ip": "203.0.113.5", "ttl": 600}"#.to_owned(),
        format!(r#"{{"target": "www.example/{long}", "reason": "{long}"}}"#),
    ] {
        assert_eq!(api.post("/api/rules", &body).status, 200, "{body}");
    }
}

#[test]
fn everything_can_be_changed_without_scripts() {
    let site = Site::start(Look { has_script: false, ..Look::DESK });
    site.log_in(KEY);
    site.open("/clients");
    site.browser.fill("#target", "203.0.113.5");
    site.browser.click("form[action='/clients/add'] button");
    site.browser.text_of(".notice.done");
    assert!(site.refuses("203.0.113.5"));
    site.browser.click("td details.ask summary");
    site.browser.click("td details.ask button");
    site.browser.text_of(".notice.done");
    assert!(!site.refuses("203.0.113.5"));
    site.open("/domains/edit");
    site.browser.fill("#domain", "plain.example");
    site.browser.fill("#backend_name", "site");
    site.browser.click("form[action='/domains/look'] button");
    site.browser.click("form[action='/domains/apply'] button");
    site.browser.text_of(".notice.done");
    assert!(site.serves("plain.example", "/"));
    site.browser.click("form[action='/logout'] button");
    site.browser.text_of("#key");
}

#[test]
fn no_page_is_wider_than_a_phone() {
    let site = Site::with_admin(Look::PHONE);
    fill(&site);
    for page in PAGES {
        site.open(page);
        let width = site.browser.run("return document.documentElement.scrollWidth").as_u64();
        let widest = site.browser.run(
            "return [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > 361 && \
             !e.closest('pre, .scroll')).map((e) => e.outerHTML.slice(0, 200)).slice(0, 3).join('\\n')",
        );
        assert_eq!(width, Some(360), "{page}: {widest}");
    }
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
