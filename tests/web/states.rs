//! Every page that an admin can open, and the states in which it is most likely to be wrong.

use crate::{Site, tls};

/// What is there at once when a page is opened.
const PAGES: [&str; 20] = [
    "/",
    "/clients",
    "/clients?q=203.0.113.5",
    "/clients?q=nothing",
    "/clients/paste",
    "/resources",
    "/resources?url=www.example/a",
    "/domains",
    "/domains/edit",
    "/domains/edit?domain=www.example",
    "/domains/edit?backend=site",
    // An error.
    "/domains/edit?domain=nobody.example",
    "/certificates",
    "/certificates?q=nothing",
    "/configuration",
    "/configuration/file?path=haproxy.cfg",
    "/configuration/diff?from=1&to=2",
    "/configuration/template",
    "/configuration/template?name=default.html.j2",
    "/audit",
];

/// A form, what is typed into it, what is pressed, and what is there then.
struct Sent {
    page: &'static str,
    fields: &'static [(&'static str, &'static str)],
    button: &'static str,
    shows: &'static str,
}

const SENT: [Sent; 8] = [
    Sent {
        page: "/clients",
        fields: &[("#target", "nonsense")],
        button: "form[action='/clients/add'] button",
        shows: "#wrong",
    },
    Sent {
        page: "/clients/paste",
        fields: &[("#lines", "203.0.113.77\n2001:db8:aaaa:bbbb:cccc:dddd:eeee:1111 # mail")],
        button: "form[action='/clients/paste/look'] button",
        shows: "form[action='/clients/paste/make']",
    },
    Sent {
        page: "/clients/paste",
        fields: &[("#lines", "203.0.113.77\na-line-that-is-nothing-at-all-and-has-no-place-to-break")],
        button: "form[action='/clients/paste/look'] button",
        shows: "li.bad",
    },
    Sent {
        page: "/resources",
        fields: &[("#target", "no host at all/")],
        button: "form[action='/resources/add'] button",
        shows: "#wrong",
    },
    Sent {
        page: "/domains/edit",
        fields: &[("#domain", "new.example"), ("#backend_name", "site")],
        button: "form[action='/domains/look'] button",
        shows: "form[action='/domains/apply']",
    },
    Sent {
        page: "/certificates",
        fields: &[("#names", "*.example"), ("#proof", "http-01")],
        button: "form[action='/certificates/request'] button",
        shows: "#wrong",
    },
    Sent {
        page: "/configuration/template?name=default.html.j2",
        fields: &[("#source", "<!doctype html><title>{{ page.title }}</title>Nobody lives here.")],
        button: "form[action='/configuration/template/look'] button",
        shows: "form[action='/configuration/template/save']",
    },
    Sent {
        page: "/configuration/template?name=default.html.j2",
        fields: &[("#source", "{{ nonsense")],
        button: "form[action='/configuration/template/look'] button",
        shows: "#wrong",
    },
];

/// Has something of everything, with texts as long as they come.
pub(crate) fn fill(site: &Site) {
    let long = "a-very-long-segment-without-a-place-to-break".repeat(4);
    let mut api = site.manager.api();
    for body in [
        format!(r#"{{"ip": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", "reason": "{long}"}}"#),
        r#"{"ip": "203.0.113.5", "ttl": 600}"#.to_owned(),
        format!(r#"{{"target": "www.example/{long}", "reason": "{long}"}}"#),
        r#"{"target": "www.example/a/*"}"#.to_owned(),
    ] {
        assert_eq!(api.post("/api/rules", &body).status, 200, "{body}");
    }
    let (certificate, key) = tls::bought("first");
    site.have_certificate(&certificate, &key);
}

/// Looks at each of them, whose name is told; whoever looks is logged in.
pub(crate) fn each(site: &Site, look: impl Fn(&str)) {
    for page in PAGES {
        site.open(page);
        look(page);
    }
    for Sent { page, fields, button, shows } in SENT {
        site.open(page);
        for (field, text) in fields {
            match site.browser.count(&format!("select{field}")) {
                0 => site.browser.fill(field, text),
                _ => site.browser.choose(field, text),
            }
        }
        site.browser.click(button);
        site.browser.has(shows);
        look(&format!("{page} with {fields:?}"));
    }
}
