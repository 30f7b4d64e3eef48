//! axe-core (Deque, MPL-2.0) finds no serious fault on any page, light and dark, on a desk and on a phone. `make test-web` fetches
//! it.

use edge_e2e::Look;
use serde_json::Value;

use crate::{KEY, Site, states};

fn axe() -> String {
    let path = std::env::var_os("EDGE_AXE").expect("EDGE_AXE, axe.min.js: `make test-web`");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What it finds on the page that is open: the rule, and where. Of `rules`, apart by commas, or of all where none is named.
fn faults(site: &Site, rules: &str) -> Vec<String> {
    let found = site.browser.run_async(&format!(
        "const [rules, done] = ['{rules}', arguments[0]]; \
         const only = rules ? {{runOnly: {{type: 'rule', values: rules.split(',')}}}} : {{}}; \
         axe.run(document, {{resultTypes: ['violations'], ...only}}).then((found) => done(found.violations))",
    ));
    let fault = |fault: &Value| {
        let place = |node: &Value| format!("{} {}", node["html"], node["failureSummary"]);
        let places: Vec<String> = fault["nodes"].as_array().into_iter().flatten().map(place).collect();
        format!("{} ({}): {}", fault["id"], fault["impact"], places.join("; "))
    };
    found.as_array().expect("a list").iter().map(fault).collect()
}

/// The page that is open, as it is and in the dark: there only colours differ.
fn look_at(site: &Site, axe: &str, name: &str, look: Look) {
    site.browser.run(&format!("{axe}; return 1"));
    site.browser
        .run("document.querySelectorAll('details').forEach((details) => { details.open = true }); return 1");
    assert_eq!(faults(site, ""), [""; 0], "{name} {look:?}");
    site.browser.look(Look { is_dark: true, ..look });
    assert_eq!(faults(site, "color-contrast"), [""; 0], "{name} in the dark {look:?}");
    site.browser.look(look);
}

fn no_page_keeps_anybody_out(look: Look) {
    let (axe, site) = (axe(), Site::start(look));
    site.open("/login");
    look_at(&site, &axe, "/login", look);
    site.log_in(KEY);
    states::fill(&site);
    states::each(&site, |name| look_at(&site, &axe, name, look));
}

#[test]
fn no_page_keeps_anybody_out_at_a_desk() {
    no_page_keeps_anybody_out(Look::DESK);
}

#[test]
fn no_page_keeps_anybody_out_on_a_phone() {
    no_page_keeps_anybody_out(Look::PHONE);
}

#[test]
fn the_check_finds_what_is_wrong() {
    let site = Site::start(Look::DESK);
    site.open("/login");
    site.browser.run(&format!("{}; return 1", axe()));
    site.browser.run("document.querySelector('label').remove(); return 1");
    assert!(faults(&site, "").iter().any(|fault| fault.contains("\"label\"")));
    site.browser.run("document.querySelector('h1').style.color = '#eee'; return 1");
    assert!(faults(&site, "color-contrast").iter().any(|fault| fault.contains("color-contrast")));
}
