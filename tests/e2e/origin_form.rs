//! A backend gets the path, the method, the host and the address that were judged, and no others that a client names beside.

use edge_e2e::{Backend, Edge, Hypercorn, Mode, Request, http2, in_every_mode};

in_every_mode!(
    a_url_becomes_a_path,
    a_target_that_can_be_read_in_two_ways_is_refused,
    a_path_that_begins_like_a_host_is_made_one_path,
    headers_that_choose_something_else_are_gone,
);

const CONFIGS: [&str; 3] = ["haproxy.cfg", "minimal.cfg", "multi-backend.cfg"];

fn each(mode: Mode, test: impl Fn(&Backend, &Edge, &str)) {
    for config in CONFIGS {
        let backend = Backend::start();
        let edge = Edge::before(&backend, mode).config(config).list("trusted_proxies.lst", "").start();
        test(&backend, &edge, config);
    }
}

fn a_url_becomes_a_path(mode: Mode) {
    each(mode, |backend, edge, config| {
        for (target, host, path) in [
            ("http://a.example/x?y=http://z", "a.example", "/x?y=http://z"),
            ("HTTP://A.example:80/x", "a.EXAMPLE", "/x"),
            ("http://a.example/", "a.example:80", "/"),
            ("http://a.example", "a.example", "/"),
            ("https://[::1]:8443/x", "[::1]:8443", "/x"),
            ("http://a.example//b", "a.example", "/b"),
        ] {
            for method in ["GET", "POST", "PUT"] {
                let answer = edge.send(&Request::new(method, target).host(host));
                assert!(answer.is_from_backend(), "{config}: {method} {target}: {answer:?}");
                assert_eq!(backend.last().target, path, "{config}: {method} {target}");
            }
        }
        edge.send(&Request::new("OPTIONS", "*"));
        assert_eq!(backend.last().target, "*", "{config}");
    });
}

fn a_target_that_can_be_read_in_two_ways_is_refused(mode: Mode) {
    each(mode, |backend, edge, config| {
        for (target, host) in [
            ("http://shop.example?p=99999@shop.example/checkout", "shop.example"),
            ("http://shop.example?p=99999@shop.example/checkout", "shop.example?p=99999@shop.example"),
            ("http://a?x", "a"),
            ("http://u@a/x", "a"),
            ("http://u:p@a/x", "u:p@a"),
            ("http://a@b/x", "b"),
            ("http://a#@b/x", "a"),
            ("http://a\\@b/x", "a"),
            ("http://a,b/x", "a"),
            ("http://a/x", "b"),
            ("http://a./x", "a."),
            ("http:///x", "a"),
            ("http:/x", "a"),
            ("//a/x", "a#"),
            ("ftp://a/x", "a"),
            ("x://a/x", "a"),
            ("a:80", "a:80"),
            ("a", "a"),
            ("a/x", "a"),
            ("x?/y", "a"),
            ("?/y", "a"),
            ("*", "a"),
            ("/x#y", "a"),
            ("/x?y#z", "a"),
            ("/\\a/x", "a"),
            ("//\\a/x", "a"),
            ("http://a/\\b/x", "a"),
        ] {
            let answer = edge.send(&Request::get(target).host(host));
            assert_eq!(answer.status, 400, "{config}: {target} for {host}");
        }
        assert_eq!(backend.asked_in_all(), 0, "{config}");
    });
}

/// Many backends read `//x/y` as a URL with the host `x`, and serve `/y`.
fn a_path_that_begins_like_a_host_is_made_one_path(mode: Mode) {
    each(mode, |backend, edge, config| {
        for (target, path) in
            [("//x/.env?//y", "/x/.env?//y"), ("///x//y", "/x//y"), ("//", "/"), ("/x//y", "/x//y")]
        {
            edge.get(target);
            assert_eq!(backend.last().target, path, "{config}: {target}");
        }
    });
}

fn headers_that_choose_something_else_are_gone(mode: Mode) {
    let gone = [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Original-URI",
        "X-Forwarded-Prefix",
        "X-Forwarded-Path",
        "Script-Name",
        "X-Script-Name",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Forwarded-Host",
        "X-Forwarded-Server",
        "X-Forwarded-Port",
        "X-Host",
        "X-Original-Host",
        "X-HTTP-Host-Override",
        "Proxy",
        "X-Forwarded-Scheme",
        "X-Scheme",
        "Front-End-Https",
        "Forwarded",
        "X-Client-IP",
        "Client-IP",
        "True-Client-IP",
        "X-Cluster-Client-IP",
        "CF-Connecting-IP",
        "Fastly-Client-IP",
        "X-Original-Forwarded-For",
        "X-Originating-IP",
        "X-Remote-Addr",
        "X-Accel-Mapping",
        "X-Middleware-Subrequest",
    ];
    let kept = [
        "X-Requested-With",
        "X-Request-ID",
        "X-CSRF-Token",
        "X-Forwarded-User",
        "X-Hostess",
        "Forwarded-Proto-Col",
        "Proxy-Like",
        "X_Y",
    ];
    each(mode, |backend, edge, config| {
        for spelling in [
            |name: &str| name.to_owned(),
            |name: &str| name.replace('-', "_"),
            |name: &str| name.to_uppercase().replacen('-', "_", 1),
        ] {
            let request = |names: &[&str]| {
                names.iter().fold(Request::get("/x"), |request, name| request.header(&spelling(name), "evil"))
            };
            let count = |value: &str| backend.last().headers.iter().filter(|(_, sent)| sent == value).count();
            assert!(edge.send(&request(&gone)).is_from_backend(), "{config}");
            assert_eq!(count("evil"), 0, "{config}: {:?}", backend.last().headers);
            assert!(edge.send(&request(&kept)).is_from_backend(), "{config}");
            assert_eq!(count("evil"), kept.len(), "{config}: {:?}", backend.last().headers);
            // Those that are written anew have one value, which the client has not chosen.
            edge.send(&request(&["X-Forwarded-For", "X-Real-IP", "X-Forwarded-Proto"]));
            let written = ["x-forwarded-for", "x-real-ip", "x-forwarded-proto"];
            let written = if config == "haproxy.cfg" { &written[..] } else { &written[..1] };
            assert_eq!(count("evil"), 0, "{config}: {:?}", backend.last().headers);
            for name in written {
                assert_eq!(
                    backend.last().headers.iter().filter(|(sent, _)| sent == name).count(),
                    1,
                    "{config}: {name}"
                );
            }
        }
    });
}

#[test]
fn requests_of_http2_reach_a_backend_as_a_path_too() {
    if Hypercorn::start().is_none() {
        return;
    }
    each(Mode::DEFAULT, |backend, edge, config| {
        let ask = |words: &[&str]| http2(edge.web_addr(), words).0;
        let of = |path: &str, authority: &str, scheme: &str| {
            ask(&[
                ":method=GET",
                &format!(":scheme={scheme}"),
                &format!(":path={path}"),
                &format!(":authority={authority}"),
            ])
        };
        for (path, authority, scheme, received) in [
            ("/x?y=1", "a.example", "https", "/x?y=1"),
            ("/", "A.example:8443", "http", "/"),
            ("//x/y", "[::1]", "http", "/x/y"),
        ] {
            assert_eq!(of(path, authority, scheme), "200", "{config}: {path} {authority}");
            assert_eq!(backend.last().target, received, "{config}: {path} {authority}");
            assert_eq!(backend.last().header("host"), Some(authority), "{config}");
        }
        assert_eq!(ask(&[":method=GET", ":scheme=http", ":path=/x", "host=b.example"]), "200", "{config}");
        assert_eq!(backend.last().header("host"), Some("b.example"), "{config}");
        let asked = backend.asked_in_all();
        for (path, authority, scheme) in [
            ("/checkout", "shop.example?p=99999@shop.example", "http"),
            ("/x", "u@a.example", "http"),
            ("/x", "a.example/b", "http"),
            ("/x", "a.example#b", "http"),
            ("/x", "a.example", "ftp"),
            ("/x", "", "http"),
            ("/\\a/x", "a.example", "http"),
            ("/x#y", "a.example", "http"),
            ("x", "a.example", "http"),
            ("http://b/x", "a.example", "http"),
        ] {
            // HAProxy refuses some by itself, and resets the stream.
            let status = of(path, authority, scheme);
            assert!(["400", "none"].contains(&&*status), "{config}: {path} {authority} {scheme}: {status}");
        }
        assert_eq!(backend.asked_in_all(), asked, "{config}");
    });
}
