//! What is rendered does not change by accident: `EDGE_WRITE_GOLDEN=1` writes it anew.

use std::fmt::Write;
use std::fs;

use edge_manager::render::{Rendered, diff};

use edge_manager::site::{MAX_BACKENDS, MAX_DOMAINS, Site};
use serde_json::{Value, json};

use crate::sites;

fn assert_golden(name: &str, text: &str) {
    let path = sites::directory("golden").join(name);
    if std::env::var_os("EDGE_WRITE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap();
    let set = |text: &str| [(name.to_owned(), text.to_owned())].into_iter().collect::<Rendered>();
    assert!(golden == text, "EDGE_WRITE_GOLDEN=1 writes it anew:\n{}", diff(&set(&golden), &set(text)));
}

#[test]
fn each_site_is_rendered_as_recorded() {
    for name in sites::NAMES {
        let mut text = String::new();
        for (path, contents) in sites::rendered(&sites::site(name)).files() {
            // They are the same for all sites.
            if name == "minimal" || !path.starts_with("pages/4") && !path.starts_with("pages/5") {
                writeln!(text, "==> {path} <==\n{contents}").unwrap();
            }
        }
        assert_golden(&format!("{name}.txt"), &text);
    }
}

#[test]
fn a_version_gets_only_what_it_knows() {
    let site = sites::site("everything");
    let mut text = String::new();
    for (older, newer) in [("2.6", "3.0"), ("3.0", "3.2"), ("3.2", "3.3")] {
        let render = |series| sites::templates().render(&site, sites::version(series)).unwrap();
        text.push_str(&diff(&render(older), &render(newer)));
    }
    assert_golden("versions.diff", &text);
}

#[test]
fn the_same_site_gives_the_same_files_whatever_the_order_of_its_parts() {
    let mut json = sites::json("shop");
    for list in ["domains", "backends"] {
        json[list].as_array_mut().unwrap().reverse();
    }
    let reversed = Site::parse(&sites::input(json)).unwrap();
    assert_eq!(diff(&sites::rendered(&sites::site("shop")), &sites::rendered(&reversed)), "");
}

/// The limits on a rendering must not stand in the way of a large site.
#[test]
fn thousands_of_backends_are_rendered() {
    let server = |i| json!({"name": format!("server{i}"), "address": "192.0.2.10", "port": 80, "options": "check inter 5s"});
    let servers: Vec<Value> = (0..10).map(server).collect();
    let backend =
        |i| json!({"name": format!("backend{i}"), "servers": servers, "health_check": {}, "hsts": {}});
    let domain = |i| json!({"domain": format!("domain{i}.example"), "backend_name": format!("backend{}", i % MAX_BACKENDS)});
    let json = json!({
        "backends": (0..MAX_BACKENDS).map(backend).collect::<Vec<_>>(),
        "domains": (0..MAX_DOMAINS).map(domain).collect::<Vec<_>>(),
    });
    let files = sites::rendered(&Site::parse(&sites::input(json)).unwrap());
    let configuration = files.get(Rendered::MAIN).unwrap();
    assert_eq!(configuration.matches("\n  server ").count(), 10 * MAX_BACKENDS);
    assert_eq!(files.get("maps/hosts.map").unwrap().lines().count(), MAX_DOMAINS);
}
