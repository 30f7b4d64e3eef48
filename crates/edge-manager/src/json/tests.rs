use edge_filter::List;
use serde_json::json;

use super::*;
use crate::rules::{Change, End, Entry, IfPresent, Input, MAX_CHANGES, client, target};

const NOW_US: u64 = 1_000_000_000;

fn parsed(text: &str, form: Form) -> Result<Vec<Change>, String> {
    let bulk = Bulk::parse(text.as_bytes(), form, "me", NOW_US);
    bulk.map(|bulk| bulk.into_parts().0).map_err(|error| error.to_string())
}

fn put(input: Input<'_>, if_present: IfPresent) -> Change {
    Change::Put(input.parse(NOW_US).unwrap(), if_present)
}

fn error(text: &str) -> String {
    parsed(text, Form::Json).unwrap_err()
}

#[test]
fn an_array_an_object_and_lines_mean_the_same() {
    let block = Input { target: "192.0.2.1", by: "me", ..Input::default() };
    let page = Input {
        target: "shop.example/adm/*",
        conditions: "anon method=POST",
        action: "deny 404",
        end: End::Ttl(60),
        reason: "a \"b\" \u{e9}",
        list: "feed",
        by: "you",
        ..Input::default()
    };
    let allow =
        Input { allows: true, target: "2001:db8::/32", end: End::At(4_102_444_800), by: "me", ..page };
    let allow = Input { conditions: "", action: "", ..allow };
    let made = [put(block, IfPresent::Refuse), put(page, IfPresent::Replace), put(allow, IfPresent::Refuse)];
    let rules = [
        r#"{"ip":"192.0.2.1","ttl":null}"#,
        r#"{"url":"HTTPS://Shop.example/adm/*","conditions":"method=POST anon","action":"deny 404","ttl":60,"reason":"a \"b\" \u00e9","list":"feed","by":"you","replace":true}"#,
        r#"{"kind":"allow","target":"2001:DB8::1/32","expires_at":"2100-01-01T00:00:00Z","reason":"a \"b\" \u00e9","list":"feed"}"#,
    ];
    let array = format!("[{}]", rules.join(", "));
    assert_eq!(parsed(&array, Form::Json).unwrap(), made);
    let removed = [
        Change::Remove(target("192.0.2.1", "").unwrap()),
        Change::Remove(client(List::Allow, "192.0.2.1").unwrap()),
        Change::Remove(target("/a", "anon").unwrap()),
        Change::RemoveNumber(7),
    ];
    let all = [&removed[..], &made].concat();
    let remove = [
        r#"{"target":"192.0.2.1"}"#,
        r#"{"ip":"192.0.2.1","kind":"allow"}"#,
        r#"{"url":"/a","kind":"resource","conditions":"anon"}"#,
        r#"{"id":7}"#,
    ];
    let object = format!(r#"{{"rules":{array},"remove":[{}]}}"#, remove.join(","));
    assert_eq!(parsed(&object, Form::Json).unwrap(), all);
    let mut lines = remove.map(|removal| format!("{{\"remove\":{removal}}}\r\n")).concat();
    lines += &rules.map(|rule| format!("\n{rule}")).concat();
    assert_eq!(parsed(&lines, Form::Lines).unwrap(), all);
    let written = String::from_utf8(Bulk::lines(&all).unwrap()).unwrap();
    assert_eq!(parsed(&written, Form::Lines).unwrap(), all);
    assert_eq!(parsed("[]", Form::Json).unwrap(), []);
    assert_eq!(parsed("{}", Form::Json).unwrap(), []);
    assert_eq!(parsed("\n", Form::Lines).unwrap(), []);
}

#[test]
fn what_is_wrong_is_told_with_place_field_and_value() {
    for (rule, what) in [
        (
            r#"{"target":"nonsense"}"#,
            r#"target: "nonsense": not an IPv4 or IPv6 address or CIDR, nor /path or host/path"#,
        ),
        (r#"{"ip":"/path"}"#, r#"ip: "/path": not an IPv4 or IPv6 address or CIDR"#),
        (r#"{"ip":"192.0.2.1/33"}"#, r#"ip: "192.0.2.1/33": not an IPv4 or IPv6 address or CIDR"#),
        (r#"{"url":"192.0.2.0/24"}"#, r#"url: "192.0.2.0/24": a client, not a resource"#),
        (r#"{"kind":"resource","target":"::1"}"#, "kind: \"resource\": the target is a client"),
        (r#"{"kind":"block","target":"/a"}"#, "kind: \"block\": the target is a resource"),
        (r#"{"kind":"allow","target":"/a"}"#, r#"target: "/a": not an IPv4 or IPv6 address or CIDR"#),
        (r#"{"kind":"deny"}"#, "kind: unknown variant `deny`, expected one of `allow`, `block`, `resource`"),
        (r#"{}"#, "target: one of target, ip and url is needed, and only one"),
        (r#"{"target":"::1","ip":"::1"}"#, "target: one of target, ip and url is needed, and only one"),
        (r#"{"target":"::1","target":"::1"}"#, "target: given twice"),
        (r#"{"target":5}"#, "target: invalid type: integer `5`, expected a string"),
        (r#"{"ttl":"5"}"#, "ttl: invalid type: string \"5\", expected u64"),
        (r#"{"target":"::1","ttl":0}"#, "ttl: \"0\": 1 s at least, and to the year 2105 at most"),
        (r#"{"target":"::1","ttl":5,"expires_at":5000}"#, "ttl: not together with expires_at"),
        (r#"{"target":"::1","expires_at":5}"#, "expires_at: \"5\": is in the past"),
        (r#"{"kind":"allow","target":"::1","action":"drop"}"#, "action: an entry that allows has none"),
        (
            r#"{"kind":"allow","target":"::1","conditions":"anon"}"#,
            "conditions: an entry that allows has none",
        ),
        (
            r#"{"target":"::1","conditions":"anon"}"#,
            "conditions: \"anon\": conditions go with a resource, not with a client",
        ),
        (r#"{"target":"::1","reason":"a\nb"}"#, r#"reason: "a\nb": control characters"#),
        (r#"{"target":"::1","colour":1}"#, "\"colour\": no field of a rule that is to be made"),
        ("5", "invalid type: integer `5`, expected a rule that is to be made"),
    ] {
        assert_eq!(error(&format!(r#"[{{"target":"::2"}},{rule}]"#)), format!("rules[1]: {what}"));
        let what = what.replace("to be made", "to be made, nor remove");
        assert_eq!(parsed(&format!("\n\n{rule}\n"), Form::Lines).unwrap_err(), format!("line 3: {what}"));
    }
    for (removal, what) in [
        (r#"{"id":1,"kind":"allow"}"#, "id: not together with other fields"),
        (r#"{"target":"::1","ttl":1}"#, "\"ttl\": no field of a rule that is to be removed"),
        (r#"{"kind":"allow","ip":"::1","conditions":"anon"}"#, "conditions: an entry that allows has none"),
    ] {
        assert_eq!(error(&format!(r#"{{"remove":[{removal}]}}"#)), format!("remove[0]: {what}"));
    }
    assert_eq!(error(r#"{"rules":5}"#), "invalid type: integer `5`, expected rules, an array");
    assert_eq!(error(r#"{"rules":[],"rules":[]}"#), "rules: given twice");
    assert_eq!(error(r#"{"rule":[]}"#), "there is nothing but rules and remove in it");
    assert_eq!(error("[] []"), "trailing characters at line 1 column 4");
    assert_eq!(error("nonsense"), "expected ident at line 1 column 2");
    let error = parsed("{\"target\":\"::1\"} {}", Form::Lines).unwrap_err();
    assert_eq!(error, "line 1: trailing characters at column 18");
    let error = parsed(r#"{"remove":{"id":1},"ttl":1}"#, Form::Lines).unwrap_err();
    assert_eq!(error, "line 1: remove: not together with other fields");
    assert!(parsed("[{\"target\":\"\u{0}\"}]", Form::Json).is_err());
    assert!(Bulk::parse(b"\xff", Form::Lines, "me", NOW_US).is_err());
}

#[test]
fn there_are_no_more_changes_than_are_held_in_memory() {
    let rules = vec![r#"{"target":"::1"}"#; MAX_CHANGES];
    let array = format!("[{}]", rules.join(","));
    assert_eq!(parsed(&array, Form::Json).unwrap().len(), MAX_CHANGES);
    let lines = rules.join("\n");
    assert_eq!(parsed(&lines, Form::Lines).unwrap().len(), MAX_CHANGES);
    let too_many = "more than 100000 changes at once";
    assert_eq!(error(&format!(r#"{{"remove":[{{"id":1}}],"rules":{array}}}"#)), too_many);
    assert_eq!(parsed(&format!("{lines}\n{{\"remove\":{{\"id\":1}}}}"), Form::Lines).unwrap_err(), too_many);
}

#[test]
fn each_change_has_its_place() {
    let places = |text: &str, form| {
        let (changes, place) = Bulk::parse(text.as_bytes(), form, "me", NOW_US).unwrap().into_parts();
        (0..changes.len()).map(place).collect::<Vec<_>>()
    };
    let object = r#"{"rules":[{"ip":"::1"}],"remove":[{"id":1},{"id":2}]}"#;
    assert_eq!(places(object, Form::Json), ["remove[0]", "remove[1]", "rules[0]"]);
    assert_eq!(places("\n{\"ip\":\"::1\"}\n\n{\"ip\":\"::2\"}", Form::Lines), ["line 2", "line 4"]);
}

#[test]
fn a_rule_comes_back_as_it_was_sent() {
    for (target, conditions) in
        [("192.0.2.0/24", ""), ("/a/*", "anon src=192.0.2.1"), ("shop.example/", ""), ("/*", "param:a=b")]
    {
        let input = Input { target, conditions, action: "tarpit", reason: "why", ..Input::default() };
        let rule = input.parse(NOW_US).unwrap().rule;
        let entry = Entry { id: 3, rule, created_at_s: 5, created_by: "me".to_owned() };
        let json = serde_json::to_string(&RuleJson::from(&entry)).unwrap();
        let back: RuleJson = serde_json::from_str(&json).unwrap();
        assert_eq!(Entry::try_from(back).unwrap(), entry, "{json}");
    }
    let input = Input { allows: true, target: "::1", end: End::At(5000), ..Input::default() };
    let entry =
        Entry { id: 1, rule: input.parse(NOW_US).unwrap().rule, created_at_s: 1, created_by: String::new() };
    let expected = json!({
        "id": 1, "kind": "allow", "target": "::1", "action": "deny 403", "expires_at_s": 5000, "list": "manual",
        "reason": "", "created_at_s": 1, "created_by": "",
    });
    assert_eq!(serde_json::to_value(RuleJson::from(&entry)).unwrap(), expected);
}
