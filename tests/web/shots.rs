//! Pictures of each page for the README, by `make screenshots`: into the directory `EDGE_SCREENSHOTS`.

use std::path::PathBuf;

use edge_e2e::{Look, Request, eventually};
use serde_json::json;

use crate::{Site, tls};

const SHOTS: [(&str, &str); 10] = [
    ("overview", "/"),
    ("clients", "/clients?q=203.0.113.9"),
    ("resources", "/resources?url=www.example/wp-login.php"),
    ("domains", "/domains"),
    ("domain", "/domains/edit?domain=shop.example"),
    ("backend", "/domains/edit?backend=shop"),
    ("certificates", "/certificates"),
    ("configuration", "/configuration"),
    ("template", "/configuration/template?name=default.html.j2"),
    ("audit", "/audit"),
];

/// As somebody would paste it.
const LIST: &str = "198.51.100.0/24 # scanners\n192.0.2.77, mail relay\n2001:db8:77::/48\n";

#[test]
#[ignore = "it writes into the sources: `make screenshots`"]
fn pictures_are_taken() {
    let dir = PathBuf::from(std::env::var_os("EDGE_SCREENSHOTS").expect("EDGE_SCREENSHOTS"));
    let site = Site::start(Look::DESK);
    let shoot = |name: &str| site.browser.shoot(&dir.join(format!("{name}.png")));
    site.open("/login");
    shoot("login");
    site.browser.look(Look::DESK);
    site.log_in(&site.key("admin"));
    let (certificate, key) = tls::signed_by("Example CA");
    site.have_certificate(&certificate, &key);
    let mut api = site.manager.api();
    for rule in [
        json!({"ip": "203.0.113.0/24", "reason": "scans for logins", "ttl": 86_400}),
        json!({"ip": "198.51.100.7", "reason": "mail relay probes", "action": "drop"}),
        json!({"ip": "2001:db8:bad::/48", "reason": "crawler that ignores robots.txt", "action": "tarpit"}),
        json!({"target": "www.example/wp-login.php", "action": "deny 404", "reason": "no such program here"}),
        json!({"target": "/.git/*", "action": "deny 404"}),
    ] {
        assert_eq!(api.post("/api/rules", &rule.to_string()).status, 200, "{rule}");
    }
    let domain = json!({"domain": "shop.example", "backend_name": "shop",
        "servers": [{"name": "web1", "address": "127.0.0.1", "port": site.backend.addr().port(), "options": "check"}]});
    assert_eq!(api.post("/api/domain", &domain.to_string()).status, 200);
    let mut turn = 0_u32;
    eventually("there is something to draw", || {
        for n in 0..20 + turn * 7 % 30 {
            let client = if n % 4 == 0 { "203.0.113.9" } else { "192.0.2.50" };
            let path = if n % 7 == 1 { "/.git/config" } else { "/" };
            site.manager.send(&Request::get(path).forwarded_for(client));
        }
        turn += 1;
        site.open("/");
        let is_drawn = "const line = document.querySelector('.plot .line'); \
            return line && line.getAttribute('d').length > 10 && !document.body.innerText.includes('None was refused')";
        (site.browser.run(is_drawn) == true).then_some(())
    });
    for (name, path) in SHOTS {
        site.browser.look(Look::DESK);
        site.open(path);
        shoot(name);
    }
    site.browser.look(Look::DESK);
    site.open("/clients/paste");
    site.browser.fill("#lines", LIST);
    site.browser.fill("#reason", "from the abuse desk");
    site.browser.click("form[action='/clients/paste/look'] button");
    site.browser.has("form[action='/clients/paste/make']");
    shoot("paste");
    site.browser.look(Look::DESK);
    site.open("/domains/edit?backend=shop");
    site.browser.fill("#cookie", "SERVER");
    site.browser.click("form[action='/domains/look'] button");
    site.browser.has("form[action='/domains/apply']");
    shoot("domain-preview");
    site.browser.look(Look { is_dark: true, ..Look::DESK });
    site.open("/");
    shoot("overview-dark");
}
