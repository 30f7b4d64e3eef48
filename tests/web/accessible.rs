//! axe-core (Deque, MPL-2.0) finds no serious fault on any page, light and dark. `scripts/web-test.sh` fetches it.

use edge_e2e::Look;
use serde_json::Value;

use crate::Site;

const PAGES: [&str; 13] = [
    "/",
    "/clients",
    "/clients?q=203.0.113.5",
    "/clients?q=nothing",
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

fn axe() -> String {
    let path = std::env::var_os("EDGE_AXE").expect("EDGE_AXE, axe.min.js: `make test-web`");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What it finds on the page that is open: the rule, and where.
fn faults(site: &Site, axe: &str) -> Vec<String> {
    site.browser.run(&format!("{axe}; return 1"));
    let found = site.browser.run_async(
        "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then((found) => done(found.violations))",
    );
    let fault = |fault: &Value| {
        let place = |node: &Value| format!("{} {}", node["html"], node["failureSummary"]);
        let places: Vec<String> = fault["nodes"].as_array().into_iter().flatten().map(place).collect();
        format!("{} ({}): {}", fault["id"], fault["impact"], places.join("; "))
    };
    found.as_array().expect("a list").iter().map(fault).collect()
}

#[test]
fn no_page_keeps_anybody_out() {
    let axe = axe();
    for look in [Look::DESK, Look { is_dark: true, ..Look::DESK }, Look::PHONE] {
        let site = Site::start(look);
        site.open("/login");
        assert_eq!(faults(&site, &axe), [""; 0], "/login {look:?}");
        site.log_in(crate::KEY);
        for body in
            [r#"{"ip": "203.0.113.5", "ttl": 600, "reason": "scans"}"#, r#"{"target": "www.example/a/*"}"#]
        {
            assert_eq!(site.manager.api().post("/api/rules", body).status, 200);
        }
        for page in PAGES {
            site.open(page);
            site.browser.run("document.querySelectorAll('details').forEach((details) => { details.open = true }); return 1");
            assert_eq!(faults(&site, &axe), [""; 0], "{page} {look:?}");
        }
        site.open("/clients");
        site.browser.fill("#target", "nonsense");
        site.browser.click("form[action='/clients/add'] button");
        site.browser.text_of("#wrong");
        assert_eq!(faults(&site, &axe), [""; 0], "an error {look:?}");
    }
}

#[test]
fn the_check_finds_what_is_wrong() {
    let (axe, site) = (axe(), Site::start(Look::DESK));
    site.open("/login");
    site.browser.run("document.querySelector('label').remove(); return 1");
    assert!(faults(&site, &axe).iter().any(|fault| fault.contains("\"label\"")));
}
