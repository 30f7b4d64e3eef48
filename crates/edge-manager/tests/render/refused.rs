//! What a site may not be, and the words that say so.

use edge_manager::site::{MAX_SERVERS_PER_BACKEND, PageInput, Site, SiteInput};
use serde_json::{Value, json};

use crate::sites;

/// `shop` with changes at these pointers; `null` takes a field away.
fn refused(changes: &[(&str, Value)]) -> String {
    let mut json = sites::json("shop");
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        json.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    let parsed = Site::parse(&sites::input(json));
    parsed.err().unwrap_or_else(|| panic!("taken: {changes:?}")).to_string()
}

#[test]
fn each_error_names_the_field_the_value_and_the_reason() {
    let cases = [
        (
            "/domains/0/domain",
            json!("sh op.example"),
            "domains[0].domain: \"sh op.example\" has a space at byte 2; allowed are letters, digits and -_. (international names in their xn-- form)",
        ),
        (
            "/domains/0/ssl_cert_path",
            json!("certs/a.pem"),
            "domains[shop.example].ssl_cert_path: \"certs/a.pem\" is not an absolute path",
        ),
        (
            "/domains/0/ssl_cert_path",
            json!("/etc/../a.pem"),
            "domains[shop.example].ssl_cert_path: \"/etc/../a.pem\" leads through ..",
        ),
        (
            "/domains/0/ssl_cert_path",
            json!(null),
            "domains[shop.example].ssl_cert_path: \"\" is missing, and ssl_enabled is set",
        ),
        (
            "/domains/0/backend_name",
            json!("shopp"),
            "domains[shop.example].backend_name: \"shopp\" is not the name of a backend",
        ),
        (
            "/domains/3/domain",
            json!("SHOP.example"),
            "domains[SHOP.example].domain: \"SHOP.example\" is given twice",
        ),
        (
            "/domains/0/template_override",
            json!("../x"),
            "domains[shop.example].template_override: \"../x\" has '/' at byte 2; allowed are letters, digits and -_.",
        ),
        ("/backends/1/name", json!("shop"), "backends[shop].name: \"shop\" is the name of another backend"),
        ("/backends/1/learn_confirm", json!(0), "backends[images].learn_confirm: \"0\" is not from 1 to 16"),
        (
            "/backends/1/learn_confirm",
            json!(17),
            "backends[images].learn_confirm: \"17\" is not from 1 to 16",
        ),
        (
            "/global/trusted_proxies",
            json!(["192.0.2.0/24", {"header": "X-Real-IP", "networks": ["192.0.2.7"]}]),
            "global.trusted_proxies: \"192.0.2.7\" is named with two headers: a proxy names the client in one",
        ),
        (
            "/global/trusted_proxies",
            json!([{"header": "Forwarded", "networks": ["192.0.2.7"]}]),
            "global.trusted_proxies[0].header: \"Forwarded\" is no header that names a client, such as X-Forwarded-For, X-Real-IP, CF-Connecting-IP or True-Client-IP",
        ),
        (
            "/global/trusted_proxies",
            json!([{"header": "X-Real-IP", "networks": []}]),
            "global.trusted_proxies[0].networks: \"\" has no network: name one, or leave the group out",
        ),
        (
            "/global/keep_headers",
            json!(["X-Forwarded-Host", "X-Real-IP"]),
            "global.keep_headers[1]: \"X-Real-IP\" is written by HAProxy, with what it has found out: it cannot be kept",
        ),
        (
            "/global/keep_headers",
            json!(["X-Request-ID"]),
            "global.keep_headers[0]: \"X-Request-ID\" is none of the headers that are deleted: leave it out",
        ),
        (
            "/backends/1/name",
            json!("edge_stats"),
            "backends[1].name: \"edge_stats\" begins with edge_, as the sections of the templates do",
        ),
        ("/backends/1/name", json!(""), "backends[1].name: \"\" is empty"),
        (
            "/backends/0/balance",
            json!("magic"),
            "backends[shop].balance: \"magic\" is not one of roundrobin, static-rr, leastconn, first, random, source, uri, rdp-cookie, hdr(NAME), url_param(NAME)",
        ),
        (
            "/backends/0/wait_for_body",
            json!("10"),
            "backends[shop].wait_for_body: \"10\" is no length of time such as 500ms, 30s, 5m, 1h or 1d",
        ),
        (
            "/backends/0/wait_for_body",
            json!("30d"),
            "backends[shop].wait_for_body: \"30d\" is not between 1ms and 24d",
        ),
        ("/backends/0/resolve", json!(true), "backends[shop].resolve: \"true\" needs global.nameservers"),
        ("/backends/0/listen", json!(":99"), "backends[shop].listen: \"\" is for TCP, and the mode is http"),
        (
            "/backends/0/balance",
            json!("rdp-cookie"),
            "backends[shop].balance: \"\" is for TCP, and the mode is http",
        ),
        ("/backends/0/mode", json!("udp"), "backends[shop].mode: \"udp\" is neither http nor tcp"),
        (
            "/backends/0/hsts",
            json!({"preload": true}),
            "backends[shop].hsts.preload: \"true\" needs include_subdomains and a max_age_s of a year, 31536000",
        ),
        (
            "/backends/0/health_check/status",
            json!("999"),
            "backends[shop].health_check.status: \"999\" is no list of statuses such as 200 or 200-399",
        ),
        (
            "/backends/0/servers/1/name",
            json!("shop1"),
            "backends[shop].servers[shop1].name: \"shop1\" is the name of another server of this backend",
        ),
        (
            "/backends/0/servers/1/address",
            json!("1.2.3"),
            "backends[shop].servers[shop2].address: \"1.2.3\" is no IPv4 address",
        ),
        (
            "/backends/0/servers/1/address",
            json!("a\nuser root"),
            "backends[shop].servers[shop2].address: \"a\\nuser root\" has a line break at byte 1; allowed are letters, digits and -_. (international names in their xn-- form)",
        ),
        (
            "/backends/0/servers/1/port",
            json!(65536),
            "backends[shop].servers[shop2].port: \"65536\" is no port, 1 to 65535",
        ),
        (
            "/backends/0/servers/1/options",
            json!("check crt /etc/passwd"),
            "backends[shop].servers[shop2].options: \"check crt /etc/passwd\" has the option crt, which names a file",
        ),
        (
            "/backends/0/servers/1/options",
            json!("ca-file /etc/passwd"),
            "backends[shop].servers[shop2].options: \"ca-file /etc/passwd\" has ca-file with a bad argument, /etc/passwd: only @system-ca, no other file",
        ),
        (
            "/backends/0/servers/1/options",
            json!("external-check x"),
            "backends[shop].servers[shop2].options: \"external-check x\" has the option external-check, which runs a program",
        ),
        (
            "/backends/0/servers/1/options",
            json!("check inter"),
            "backends[shop].servers[shop2].options: \"check inter\" has inter without its argument",
        ),
        (
            "/backends/0/servers/1/options",
            json!("weight 257"),
            "backends[shop].servers[shop2].options: \"weight 257\" has weight with a bad argument, 257",
        ),
        (
            "/backends/0/servers/1/options",
            json!("chekc"),
            "backends[shop].servers[shop2].options: \"chekc\" has the unknown option chekc",
        ),
        (
            "/backends/0/servers/1/options",
            json!("sni env(HOME)"),
            "backends[shop].servers[shop2].options: \"sni env(HOME)\" has sni with a bad argument, env(HOME)",
        ),
        (
            "/global/stats_bind",
            json!("0.0.0.0:8404"),
            "global.stats_bind: \"0.0.0.0:8404\" is no loopback address",
        ),
        (
            "/global/acme_validation_server",
            json!("manager"),
            "global.acme_validation_server: \"manager\" is neither ADDRESS:PORT nor the path of a socket",
        ),
        ("/global/maxconn", json!(0), "global.maxconn: \"0\" lets nobody in"),
        ("/global/limits", json!({"concurrent": 0}), "global.limits.concurrent: \"0\" lets nobody in"),
        (
            "/global/exempt",
            json!(["10.0.0.0/8", "here"]),
            "global.exempt[1]: \"here\" is no IP address or network such as 192.0.2.0/24",
        ),
        (
            "/global/peers",
            json!({"local": "a", "members": [{"name": "b", "address": "192.0.2.1", "port": 1}]}),
            "global.peers.local: \"a\" is not the name of a member",
        ),
        (
            "/global/filter/settings",
            json!([{"name": "LD_PRELOAD", "value": "/x"}]),
            "global.filter.settings[0].name: \"LD_PRELOAD\" does not begin with EDGE_",
        ),
        (
            "/global/page",
            json!({"title": "a\u{7}b"}),
            "global.page.title: \"a\\u{7}b\" has the control character U+0007",
        ),
    ];
    for (pointer, value, expected) in cases {
        assert_eq!(refused(&[(pointer, value)]), expected);
    }
}

#[test]
fn parts_that_do_not_go_together_are_refused() {
    let tcp = [
        ("/backends/1/mode", json!("tcp")),
        ("/backends/1/listen", json!(":99")),
        ("/backends/1/balance", json!("first")),
    ];
    assert_eq!(
        refused(&tcp),
        "domains[img.cdn.shop.example].backend_name: \"images\" is a TCP backend, which knows no domains"
    );
    let listen = |port: &str| {
        [
            ("/backends/1/mode", json!("tcp")),
            ("/backends/1/listen", json!(port)),
            ("/backends/1/balance", json!("first")),
            ("/domains/2/backend_name", json!("shop")),
        ]
    };
    assert_eq!(refused(&listen(":80")), "backends[images].listen: \":80\" is listened on already");
    assert_eq!(refused(&listen("0.0.0.0:80")), "backends[images].listen: \":80\" is listened on already");
    let twice = [("/global/http_bind", json!([":8080", "*:8080"]))];
    assert_eq!(refused(&twice), "global.http_bind[1]: \":8080\" is listened on already");
    let tls = [("/global/http_bind", json!([":443"]))];
    assert_eq!(refused(&tls), "global.https_bind[0]: \":443\" is listened on already");
    assert_eq!(refused(&tcp[..2]), "backends[images].balance: \"\" is for HTTP, and the mode is tcp");
    let tcp_sse = [&tcp[..], &[("/backends/1/sse_timeout", json!("2h"))]].concat();
    assert_eq!(refused(&tcp_sse), "backends[images].sse_timeout: \"\" is for HTTP, and the mode is tcp");
    let templates =
        [("/domains/0/template_override", json!("a")), ("/domains/1/template_override", json!("b"))];
    let error = refused(&templates);
    assert!(
        error.ends_with("\"b.j2\" is not the template that another domain of the backend names, a.j2"),
        "{error}"
    );
}

#[test]
fn a_long_value_is_cut_in_its_error() {
    let error = refused(&[("/domains/0/domain", json!("é".repeat(5000)))]);
    assert!(error.len() < 400 && error.contains("é...\""), "{error}");
}

#[test]
fn numbers_of_parts_are_capped() {
    let servers: Vec<Value> = (0..=MAX_SERVERS_PER_BACKEND)
        .map(|i| json!({"name": format!("s{i}"), "address": "192.0.2.1", "port": 80}))
        .collect();
    let error = refused(&[("/backends/0/servers", json!(servers))]);
    assert_eq!(error, "backends[shop].servers: \"1001 entries\" are more than 1000");
}

#[test]
fn a_port_is_a_text_or_a_number_and_nothing_else() {
    let mut json = sites::json("minimal");
    for (port, is_taken) in
        [(json!("8080"), true), (json!(8080), true), (json!(true), false), (json!(-1), false)]
    {
        json["backends"][0]["servers"][0]["port"] = port.clone();
        let input: Result<SiteInput, _> = serde_json::from_value(json.clone());
        assert_eq!(input.is_ok_and(|input| Site::parse(&input).is_ok()), is_taken, "{port}");
    }
}

#[test]
fn what_clients_leave_empty_is_left_out() {
    let mut json = sites::json("minimal");
    json["domains"][0]["template_override"] = json!("");
    json["backends"][0]["servers"][0]["options"] = json!("");
    assert_eq!(Site::parse(&sites::input(json)).unwrap(), sites::site("minimal"));
}

#[test]
fn the_environment_gives_the_texts_of_the_page() {
    let page = PageInput::from_environment(|name| {
        (name != "HAPROXY_DEFAULT_SECONDARY_MESSAGE").then(|| name.into())
    });
    assert_eq!(page.title, Some("HAPROXY_DEFAULT_PAGE_TITLE".into()));
    assert_eq!(page.main_message, Some("HAPROXY_DEFAULT_MAIN_MESSAGE".into()));
    assert_eq!(page.secondary_message, None);
}
