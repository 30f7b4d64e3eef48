use super::me;
use crate::publish::Publication;
use crate::rules::{AnsweredRule, Change, IfPresent, Input, Question, Rules, RulesError, explain};
use crate::site::{FilterInput, SettingInput};
use crate::sites::SiteRecord;
use crate::store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

const NOW_US: u64 = 1_000_000_000;

fn asked(rules: &Rules, subject: &str) -> Vec<String> {
    let question: Question = subject.parse().unwrap();
    let answer = rules.record().read::<_, RulesError>(|view| explain(view, &question, 1000)).unwrap();
    let parts = answer.rules.iter().map(|AnsweredRule { part, is_of_second, entry }| {
        let reading = if *is_of_second { " second" } else { "" };
        format!("{part:?}{reading} {}", entry.rule.target)
    });
    let readings = answer.second_reading.map(|second| format!("or {second}"));
    let why = answer.unreadable.map(|unreadable| unreadable.to_string());
    let head = format!("{}: {}", answer.subject, answer.verdict);
    std::iter::once(head).chain(readings).chain(why).chain(parts).collect()
}

#[test]
fn the_record_is_explained_by_the_matcher_of_the_data_path() {
    let dir = tempfile::tempdir().unwrap();
    let publication = Publication::open(dir.path(), NOW_US, Duration::ZERO).unwrap();
    let rules =
        Rules::open(Arc::new(Store::open(&dir.path().join("rules.db")).unwrap()), publication, NOW_US)
            .unwrap();
    let block = |target, conditions, action| Input { target, conditions, action, ..Input::default() };
    let inputs = [
        block("192.0.2.0/24", "", "drop"),
        block("192.0.2.7", "", "tarpit"),
        block("::/0", "", ""),
        Input { allows: true, target: "192.0.2.9", ..Input::default() },
        block("/*", "", "observe"),
        block("shop.example/adm/*", "", "deny 404"),
        block("shop.example/adm/x", "method=POST", "deny 410"),
        block("shop.example/adm", "", ""),
    ];
    let put = inputs.map(|input| Change::Put(input.parse(NOW_US).unwrap(), IfPresent::Refuse));
    rules.apply(&me(), put, NOW_US).unwrap();

    let expected = ["192.0.2.7: tarpit", "Decides block 192.0.2.7", "Overridden block 192.0.2.0/24"];
    assert_eq!(asked(&rules, "192.0.2.7"), expected);
    assert_eq!(asked(&rules, "::ffff:192.0.2.7"), expected);
    let allowed = ["192.0.2.9: pass", "Decides allow 192.0.2.9", "Overridden block 192.0.2.0/24"];
    assert_eq!(asked(&rules, "192.0.2.9"), allowed);
    assert_eq!(asked(&rules, "2001:db8::1"), ["2001:db8::1: deny 403", "Decides block ::/0"]);
    assert_eq!(asked(&rules, "198.51.100.1"), ["198.51.100.1: pass"]);
    let resource = [
        "shop.example/adm/x: depends on the request",
        "Conditional shop.example/adm/x method=POST",
        "Decides shop.example/adm/*",
        "Overridden /*",
    ];
    assert_eq!(asked(&rules, "HTTPS://Shop.Example//%61dm/x?q"), resource);
    let exact = [
        "shop.example/adm: deny 403",
        "Decides shop.example/adm",
        "Overridden shop.example/adm/*",
        "Overridden /*",
    ];
    assert_eq!(asked(&rules, "shop.example/adm"), exact);
    assert_eq!(
        asked(&rules, "shop.example/adm/")[..2],
        ["shop.example/adm/: deny 404", "Decides shop.example/adm/*"]
    );
    assert_eq!(asked(&rules, "/admin"), ["/admin: observe", "Decides /*"]);
}

#[test]
fn both_readings_of_a_path_are_explained_as_the_filter_is_set() {
    let dir = tempfile::tempdir().unwrap();
    let publication = Publication::open(dir.path(), NOW_US, Duration::ZERO).unwrap();
    let rules =
        Rules::open(Arc::new(Store::open(&dir.path().join("rules.db")).unwrap()), publication, NOW_US)
            .unwrap();
    let inputs = ["/.git/config", "/u/%40admin"].map(|target| Input { target, ..Input::default() });
    let put = inputs.map(|input| Change::Put(input.parse(NOW_US).unwrap(), IfPresent::Refuse));
    rules.apply(&me(), put, NOW_US).unwrap();
    let git = ["a/.git%2Fconfig: deny 403", "or a/.git/config", "Decides second /.git/config"];
    assert_eq!(asked(&rules, "a/.git%2fconfig"), git);
    assert_eq!(asked(&rules, "/u/@admin"), ["/u/@admin: deny 403", "Decides /u/@admin"]);
    let setting = SettingInput { name: "EDGE_STRICT_PATHS".into(), value: "on".into() };
    let mut site = SiteRecord::default();
    site.input.global.filter = Some(FilterInput { settings: vec![setting], ..FilterInput::default() });
    rules.record().write::<_, StoreError>(|record| record.set_site(&site)).unwrap();
    let refused = asked(&rules, "a/x%2f");
    let why = "backends may read the path in two ways, and EDGE_STRICT_PATHS is on";
    assert_eq!(refused, ["a/x%2F: deny 400", why]);
}

#[test]
fn a_path_that_no_rule_can_have_is_refused() {
    let longest = format!("/{}", "a".repeat(edge_journal::MAX_PATH_BYTES - 1));
    for (good, bad) in [
        (longest.clone(), format!("{longest}a")),
        (format!("a.example{longest}?query"), format!("http://a.example{longest}a")),
        (longest.replace('a', "%61"), longest.replace('a', "%ff")),
        (format!("/./{}", &longest[1..]), "/a".repeat(16 << 10)),
    ] {
        assert!(good.parse::<Question>().is_ok(), "{} bytes", good.len());
        let error = bad.parse::<Question>().unwrap_err().to_string();
        assert!(error.ends_with("\": its path is longer than 16384 bytes"), "{error}");
    }
}

#[test]
fn what_is_neither_address_nor_resource_is_refused() {
    for text in ["", "garbage", "999.1.1.1", ":::", "http://", "http:///yeet", "192.0.2.0/24"] {
        let error = text.parse::<Question>().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("subject: {text:?}: not one address, nor a URL, host/path or /path")
        );
    }
}
