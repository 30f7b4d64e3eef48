//! Configurations that are wrong in every way there is: HAProxy serves the last good one, the error names the cause, and
//! nothing is half written.

use std::fs;
use std::net::TcpListener;

use edge_manager::configuration::Configuration;
use edge_manager::site::{Site, SiteInput};
use serde_json::{Value, json};

use crate::client::Steady;
use crate::home::{Home, listens};
use crate::programs;

/// What a caller hears of a site.
fn refusal(configuration: &Configuration, json: Value) -> Result<u64, String> {
    let input: SiteInput = serde_json::from_value(json).map_err(|error| error.to_string())?;
    let site = Site::parse(&input).map_err(|error| error.to_string())?;
    let published = configuration.publish(&site, "test").map_err(|error| error.to_string())?;
    Ok(published.set)
}

type Change = fn(&Home, &mut Value);

/// What is wrong, how it gets so, and what the error says.
const BROKEN: &[(&str, Change, &str)] = &[
    (
        "a template that is none",
        |home, _| home.template("stats.cfg.j2", "frontend x\n{% if %}\n"),
        "stats.cfg.j2, line 2: ",
    ),
    (
        "a template with a name that there is not",
        |home, _| home.template("stats.cfg.j2", "frontend x\n  bind {{ global.stats_bnd }}\n"),
        "stats.cfg.j2, line 2: ",
    ),
    (
        "a template without an end",
        |home, _| {
            home.template(
                "stats.cfg.j2",
                "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
            )
        },
        "stats.cfg.j2",
    ),
    (
        "a template that writes nonsense",
        |home, _| home.template("stats.cfg.j2", "nonsense here\n"),
        "unknown keyword 'nonsense' in 'backend' section (the line is: nonsense here)",
    ),
    (
        "a template with a second global section",
        |home, _| home.template("helpers.cfg.j2", "global\n  chroot /none\n"),
        "chroot /none: there is no such directory",
    ),
    (
        "a template with a second backend of one name",
        |home, _| home.template("stats.cfg.j2", "backend edge_default\n"),
        "'edge_default'",
    ),
    (
        "an override with a directive that there is not",
        |home, json| {
            home.template("mine.j2", "backend {{ backend.name }}\n  blance roundrobin\n");
            json["domains"][0]["template_override"] = json!("mine");
        },
        "unknown keyword 'blance' in 'backend' section",
    ),
    (
        "an override that is not there",
        |_, json| json["domains"][0]["template_override"] = json!("mine"),
        "template mine.j2: the domain www.example.com names it, and it is not in ",
    ),
    (
        "an override whose server has no address",
        |home, json| {
            home.template(
                "mine.j2",
                "backend {{ backend.name }}\n  default-server init-addr libc\n  server a a.invalid:80\n",
            );
            json["domains"][0]["template_override"] = json!("mine");
        },
        "could not resolve address 'a.invalid'",
    ),
    (
        "an override with resolvers that there are not",
        |home, json| {
            home.template(
                "mine.j2",
                "backend {{ backend.name }}\n  server a localhost:80 resolvers nobody\n",
            );
            json["domains"][0]["template_override"] = json!("mine");
        },
        "'nobody'",
    ),
    (
        "a server with a mistyped address",
        |_, json| json["backends"][0]["servers"][0]["address"] = json!("127.0.0.256"),
        "backends[web].servers[one].address: \"127.0.0.256\" is no IPv4 address",
    ),
    (
        "a server that nobody knows",
        |_, json| json["backends"][0]["servers"][0]["address"] = json!("one.invalid"),
        "could not resolve address 'one.invalid'",
    ),
    (
        "a server with a bad option",
        |_, json| json["backends"][0]["servers"][0]["options"] = json!("check wieght 5"),
        "has the unknown option wieght",
    ),
    (
        "a server with an option that names a file",
        |_, json| json["backends"][0]["servers"][0]["options"] = json!("ssl crt /etc/shadow"),
        "has the option crt, which names a file",
    ),
    (
        "a server that follows another that there is not",
        |_, json| json["backends"][0]["servers"][0]["options"] = json!("track web/two"),
        "track",
    ),
    (
        "two servers of one name",
        |_, json| {
            let server = json["backends"][0]["servers"][0].clone();
            json["backends"][0]["servers"].as_array_mut().unwrap().push(server);
        },
        "is the name of another server of this backend",
    ),
    (
        "two backends of one name",
        |_, json| {
            let backend = json["backends"][0].clone();
            json["backends"].as_array_mut().unwrap().push(backend);
        },
        "backends[web].name: \"web\" is the name of another backend",
    ),
    (
        "two domains of one name",
        |_, json| {
            let domain = json["domains"][0].clone();
            json["domains"].as_array_mut().unwrap().push(domain);
        },
        "domains[www.example.com].domain: \"www.example.com\" is given twice",
    ),
    (
        "a wildcard in the middle",
        |_, json| json["domains"][0]["domain"] = json!("www.*.example"),
        "domains[0].domain: \"www.*.example\" has '*' at byte 4",
    ),
    (
        "a domain of a backend that there is not",
        |_, json| json["domains"][0]["backend_name"] = json!("wbe"),
        "\"wbe\" is not the name of a backend",
    ),
    (
        "a certificate that is not there",
        |_, json| {
            json["domains"][0]["ssl_enabled"] = json!(true);
            json["domains"][0]["ssl_cert_path"] = json!("/none/a.pem");
        },
        "/none/a.pem",
    ),
    (
        "a certificate that is none",
        |home, json| {
            let path = home.path("empty.pem");
            fs::write(&path, "").unwrap();
            json["domains"][0]["ssl_enabled"] = json!(true);
            json["domains"][0]["ssl_cert_path"] = json!(path);
        },
        "empty.pem",
    ),
    (
        "a way to spread that there is not",
        |_, json| json["backends"][0]["balance"] = json!("fairly"),
        "\"fairly\" is not one of roundrobin, ",
    ),
    (
        "a check that is none",
        |_, json| json["backends"][0]["health_check"] = json!({"path": "healthz"}),
        "backends[web].health_check.path: \"healthz\" does not begin with /",
    ),
    (
        "a name of 10,000 characters",
        |_, json| json["backends"][0]["name"] = json!("a".repeat(10_000)),
        "is longer than 64 bytes",
    ),
    (
        "two TCP backends on one port",
        |_, json| {
            for name in ["one", "two"] {
                let backend = json!({"name": name, "mode": "tcp", "listen": "127.0.0.1:1", "servers": []});
                json["backends"].as_array_mut().unwrap().push(backend);
            }
        },
        "backends[two].listen: \"127.0.0.1:1\" is listened on already",
    ),
    (
        "a stats socket where there is no directory",
        |_, json| json["global"]["stats_socket"] = json!("/none/edge.sock"),
        "cannot bind UNIX socket",
    ),
    (
        "statistics for everybody",
        |_, json| json["global"]["stats_bind"] = json!(":8404"),
        "global.stats_bind: \":8404\" is no loopback address",
    ),
    (
        "a user that there is not",
        |_, json| json["global"]["user"] = json!("nobody-of-this-name"),
        "nobody-of-this-name",
    ),
    (
        "a field that there is not",
        |_, json| json["backends"][0]["blance"] = json!("roundrobin"),
        "unknown field `blance`",
    ),
];

#[test]
fn haproxy_serves_the_last_good_configuration_whatever_is_wrong_with_the_next() {
    for series in programs::all() {
        let home = Home::new();
        let edge = home.supervised(series);
        edge.publish("good").unwrap();
        let (before, worker) = (home.listing(), home.master().processes().unwrap().workers);
        let client = Steady::start(home.web());
        for (what, change, expected) in BROKEN {
            let mut json = home.json("bad");
            change(&home, &mut json);
            let words = refusal(&edge.configuration, json).expect_err(what);
            assert!(words.contains(expected), "{what} on {series:?}: {words}");
            assert!(!words.contains('\n') && words.len() < 4000, "{what}: {words}");
            assert_eq!(home.listing(), before, "{what} on {series:?}");
            assert_eq!(home.title().unwrap(), "good", "{what} on {series:?}");
            home.without_templates();
        }
        // Beside the reservation, so that nobody else gets the port when this one has gone.
        let port = crate::home::Port::reserve();
        let taken = port.address;
        let holder = TcpListener::bind(taken).unwrap();
        let mut json = home.json("bad");
        json["global"]["http_bind"] = json!([home.web().to_string(), taken.to_string()]);
        let words = refusal(&edge.configuration, json.clone()).unwrap_err();
        assert!(words.contains(&format!("bind {taken}: another program listens there")), "{words}");
        assert_eq!(home.listing(), before);

        assert_eq!(client.stop(), Vec::<String>::new(), "{series:?}");
        let processes = home.master().processes().unwrap();
        let serving: Vec<u32> = [processes.workers, processes.old_workers].concat();
        assert_eq!(serving, worker, "{series:?}: the same worker all the time");
        drop(holder);
        assert!(refusal(&edge.configuration, json).unwrap() > 1 && listens(taken), "{series:?}");
    }
}

/// Pointers to all texts of a site (RFC 6901).
fn texts(json: &Value, pointer: &str, found: &mut Vec<String>) {
    match json {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| texts(value, &format!("{pointer}/{key}"), found));
        }
        Value::Array(entries) => {
            entries.iter().enumerate().for_each(|(i, value)| texts(value, &format!("{pointer}/{i}"), found));
        }
        Value::String(_) => found.push(pointer.into()),
        _ => {}
    }
}

#[test]
fn line_breaks_quotes_and_nuls_in_any_field_change_nothing_in_haproxy() {
    let home = Home::new();
    let edge = home.supervised(programs::installed());
    edge.publish("good").unwrap();
    let lines = |set: u64| {
        let path = home.sets().join("sets").join(set.to_string()).join("haproxy.cfg");
        fs::read_to_string(path).unwrap().lines().count()
    };
    let good_lines = lines(1);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/render/sites/everything.json");
    let input: SiteInput = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    // As its types write it: numbers that stand for texts are texts.
    let everything = serde_json::to_value(input).unwrap();
    let mut pointers = Vec::new();
    texts(&everything, "", &mut pointers);
    assert!(pointers.len() > 80);
    let before = home.listing();
    let (mut refused, mut published) = (0, Vec::new());
    for pointer in &pointers {
        let harmless = everything.pointer(pointer).unwrap().as_str().unwrap();
        for hostile in
            ["\n", "\r", "\"", "'", "\0", "\\", "\n  user root", "\nglobal\n  daemon\n", "#", "${HOME}"]
        {
            for text in [format!("{harmless}{hostile}"), format!("{hostile}{harmless}"), hostile.to_owned()] {
                let mut json = everything.clone();
                *json.pointer_mut(pointer).unwrap() = json!(text);
                let input: SiteInput = serde_json::from_value(json).unwrap();
                match Site::parse(&input) {
                    Err(error) => {
                        refused += 1;
                        assert!(!error.to_string().contains(char::is_control), "{pointer}: {error}");
                    }
                    Ok(_) => published.push((pointer.clone(), text)),
                }
            }
        }
    }
    assert_eq!(home.listing(), before);
    assert!(refused > 2000, "{refused}");
    for (pointer, text) in published {
        // Only the texts of the page take anything that is printed.
        let name = pointer.strip_prefix("/global/page/").unwrap_or_else(|| panic!("{pointer} took {text:?}"));
        let mut json = home.json("good");
        json["global"]["page"][name] = json!(text);
        let set = refusal(&edge.configuration, json).unwrap();
        assert_eq!(lines(set), good_lines, "{pointer} = {text:?}");
        assert!(home.title().is_ok());
    }
}
