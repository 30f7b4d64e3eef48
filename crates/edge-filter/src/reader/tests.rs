//! Verdicts on paths that backends read in two ways, and on what cannot be read at all.

use std::sync::Arc;

use crate::*;

const NOW_S: u32 = 1_000_000;

fn filter(settings: Settings, rules: &[&str]) -> Filter {
    let filter = Filter::new(settings);
    for line in rules {
        let (text, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (action, conditions) = rest.split_once(' ').unwrap_or((rest, ""));
        let resource = Resource::parse(text, filter.settings().parameter_segments, 1024).unwrap();
        put(
            &filter,
            Rule {
                target: Target::Resource(resource, conditions.parse().unwrap()),
                action: action.replace('-', " ").parse().unwrap_or(Action::Deny(Status::FORBIDDEN)),
                expires_at_s: NEVER,
                origin: Origin::List("list".into()),
                reason: "".into(),
            },
        );
    }
    filter
}

fn put(filter: &Filter, rule: Rule) {
    filter.submit(Operation::Put(rule), NOW_S).unwrap();
}

fn request<'a>(path: &'a [u8], query: &'a [u8]) -> Request<'a> {
    Request { host: b"a.example", path, query, method: b"GET", anonymous: true, client: None }
}

/// By host and path alone, and by the whole request.
fn verdicts(filter: &Filter, path: &str) -> (i16, i16) {
    let mut reader = filter.reader();
    let base = format!("a.example{path}");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let whole = reader.check(&request(path.as_bytes(), query.as_bytes()), NOW_S);
    (reader.resource(base.as_bytes(), NOW_S).code(), whole.verdict.code())
}

#[test]
fn a_rule_on_either_reading_refuses() {
    let rules =
        ["/.git/config", "a.example/.env deny-404", "/admin/* deny-410", "/u/%40admin", "/lit%2Feral"];
    let filter = filter(Settings::default(), &rules);
    for (path, expected) in [
        ("/.git%2fconfig", 403),
        ("/.git%2Fconfig", 403),
        ("/%2egit%2Fcon%66ig", 403),
        ("/a/..%2f.env", 404),
        ("/a%2f..%2F.env", 404),
        ("//a%2f%2f..%2f.env", 404),
        ("/%2f.env", 404),
        ("/%2e%2e%2fadmin/x", 410),
        ("/x%2F..%2Fadmin", 410),
        ("/admin%2fx", 410),
        // The first reading is `/`: what it was is gone with the dot segment.
        ("/admin%2fx/..", 410),
        ("/u/@admin", 403),
        ("/u/%40admin", 403),
        ("/u/%40%61dmin", 403),
        ("/u%2f@admin", 403),
        ("/lit%2feral", 403),
        ("/lit/eral", 0),
        ("/.git%2fconfi", 0),
        ("/.git%252fconfig", 0),
        ("/.git%5cconfig", 0),
        ("/.git\\config", 0),
        ("/x?a=/.git%2fconfig", 0),
    ] {
        assert_eq!(verdicts(&filter, path), (expected, expected), "{path}");
    }
}

#[test]
fn settings_add_to_the_second_reading() {
    let rules = ["/.git/config", "/.env", "/admin/*"];
    let of = |settings: Settings, path: &str| verdicts(&filter(settings, &rules), path).0;
    let backslash = || Settings { path_backslash: true, ..Settings::default() };
    let twice = || Settings { path_double_escape: true, ..Settings::default() };
    let drop = || Settings { parameter_segments: ParameterSegments::Drop, ..Settings::default() };
    for path in ["/.git\\config", "/.git%5cconfig", "/a\\..%5C.env", "/a%2f..\\admin\\x"] {
        assert_eq!((of(backslash(), path), of(twice(), path)), (403, 0), "{path}");
    }
    for path in [
        "/.git%252fconfig",
        "/%252egit/config",
        "/a%252f%252e%252E/.env",
        "/%25%32%65env",
        "/%%32eenv",
        "/.en%2576",
    ] {
        assert_eq!((of(twice(), path), of(backslash(), path)), (403, 0), "{path}");
    }
    assert_eq!(of(twice(), "/.env%25252f"), 0, "twice, not three times");
    for path in ["/admin%3Bx", "/.env%3b", "/x/..%3B/.env", "/admin;a%2f..%2f.env"] {
        assert_eq!(of(drop(), path), 403, "{path}");
    }
    assert_eq!(of(Settings::default(), "/admin%3Bx"), 0);
}

#[test]
fn a_rule_with_conditions_on_either_reading_is_asked_about() {
    let rules = ["/a/b deny method=GET", "/a%2Fb observe", "/c/d"];
    let filter = filter(Settings::default(), &rules);
    assert_eq!(verdicts(&filter, "/a%2fb"), (-1, 403));
    assert_eq!(verdicts(&filter, "/c%2fd"), (403, 403));
    let mut reader = filter.reader();
    let post = Request { method: b"POST", ..request(b"/a%2fb", b"") };
    let decision = reader.check_resource(&post, NOW_S);
    assert_eq!(decision.verdict, Verdict::Observe, "the other reading is observed still");
}

#[test]
fn a_learned_rule_that_lets_a_request_through_does_not_open_the_other_reading() {
    let filter = filter(Settings::default(), &[]);
    let learned = |path: &str| Rule {
        target: Target::Resource(
            Resource::exact(None, CanonicalPath::parse(path, ParameterSegments::Keep, 99).unwrap()),
            Conditions::default(),
        ),
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s: NOW_S + 100,
        origin: Origin::Learned(Arc::default()),
        reason: "".into(),
    };
    put(&filter, learned("/a%2Fb"));
    put(&filter, Rule { expires_at_s: NOW_S + 1000, ..learned("/a/b") });
    let mut reader = filter.reader();
    let first: Vec<_> = (0..3).map(|_| reader.resource(b"x/a%2fb", NOW_S + 95).code()).collect();
    assert_eq!(first, [403, 403, 403], "only the rule on the first reading is near its end");
}

#[test]
fn strict_paths_have_one_reading() {
    let strict = Settings { strict_paths: true, ..Settings::default() };
    for rules in [&[][..], &["/x"]] {
        let filter = filter(strict.clone(), rules);
        for path in ["/.git%2fconfig", "/a%2Fb", "/a/../%2f"] {
            assert_eq!(verdicts(&filter, path), (400, 400), "{path}");
        }
        for path in ["/%5c", "/%252f", "/a/../b", "/%40", "/a?%2f", "/"] {
            assert_eq!(verdicts(&filter, path), (0, 0), "{path}");
        }
    }
    let all = Settings { path_backslash: true, path_double_escape: true, ..strict };
    let filter = filter(all, &[]);
    for path in ["/%5c", "/\\", "/%252f", "/%2541"] {
        assert_eq!(verdicts(&filter, path), (400, 400), "{path}");
    }
}

#[test]
fn a_path_or_query_too_long_to_be_read_is_refused() {
    // With rules or without: it does not depend on them what a client may send.
    for rules in [&[][..], &["/x", "/q deny query=a", "/p observe param:a=b"]] {
        let filter = filter(Settings::default(), rules);
        let of = |path: &str| verdicts(&filter, path);
        for (path, fits) in
            [("a".repeat(65_535), true), ("a".repeat(65_536), false), ("é".repeat(11_000), false)]
        {
            let expected = if fits { (0, 0) } else { (414, 414) };
            assert_eq!(of(&format!("/{path}")), expected, "{} bytes", path.len());
        }
        let long = "\"".repeat(30_000);
        assert_eq!(of(&format!("/other?{long}")), (0, 0), "no rule asks for the query");
        if !rules.is_empty() {
            for path in ["/q", "/p"] {
                assert_eq!(of(&format!("{path}?{long}")).1, 414, "{path}");
                assert_eq!(
                    of(&format!("{path}?{}", "&".repeat(20_000))).1,
                    414,
                    "too many parameters for {path}"
                );
                assert_eq!(of(&format!("{path}?b")).1, 0, "{path}");
            }
        }
    }
}

#[test]
fn an_overlong_host_is_that_of_no_rule_but_of_every_host() {
    let filter = filter(Settings::default(), &["/every", "a.example/one"]);
    let host = "a".repeat(70_000);
    let of = |base: &str| filter.reader().resource(base.as_bytes(), NOW_S).code();
    assert_eq!((of(&format!("{host}/every")), of(&format!("{host}/one"))), (403, 0));
    // The port is no part of it, however long.
    assert_eq!(of(&format!("A.example:{host}/one")), 403);
}

#[test]
fn explanations_tell_of_both_readings() {
    let filter = filter(Settings::default(), &["/.git/config", "/.git%2Fconfig observe"]);
    let explain = |url: &str| filter.reader().explain_resource(url.as_bytes(), NOW_S).to_string();
    assert_eq!(
        explain("http://a.example/.git%2fconfig?x"),
        "a.example/.git%2Fconfig: deny 403\n  second reading: a.example/.git/config\n  \
         decides on the second reading: /.git/config: deny 403, no end, list, 0 hits\n  \
         overridden: /.git%2Fconfig: observe, no end, list, 0 hits\n"
    );
    let long = explain(&format!("/{}", "a".repeat(70_000)));
    assert!(long.contains(": deny 414\n  the path is too long to be held against the rules\n"), "{long}");
}
