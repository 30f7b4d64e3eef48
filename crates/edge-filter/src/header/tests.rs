use proptest::prelude::*;

use super::*;

fn parse(value: &str) -> Result<Directive, HeaderError> {
    Directive::parse(value.as_bytes(), 1024)
}

fn plain(change: Change) -> Directive {
    Directive::of_value(&BareItem::Boolean(change == Change::TakeBack)).unwrap()
}

#[test]
fn the_value_says_block_or_take_back() {
    for value in ["false", "?0", " false ", "?0;method=?0", "false;match=exact;scope=resource;action=deny"] {
        assert_eq!(parse(value), Ok(plain(Change::Block)), "{value}");
    }
    for value in ["true", "?1"] {
        assert_eq!(parse(value), Ok(plain(Change::TakeBack)), "{value}");
    }
}

#[test]
fn every_parameter_is_read() {
    let value = r#"false;ttl=60;match=prefix;path="/x/";method;query;anon;src;param="id";status=410;reason="it \"is\" gone";confirm=3"#;
    assert_eq!(
        parse(value),
        Ok(Directive {
            ttl_s: Some(60),
            matching: Match::Prefix,
            path: Some("/x/".to_owned()),
            method: Methods::Own,
            query: true,
            anonymous: true,
            client: true,
            parameter: Some("id".to_owned()),
            status: Status::new(410),
            reason: Some(r#"it "is" gone"#.to_owned()),
            confirm: Some(3),
            ..plain(Change::Block)
        })
    );
    assert_eq!(parse("false;method=any"), Ok(Directive { method: Methods::Any, ..plain(Change::Block) }));
    assert_eq!(parse("true;confirm=16"), Ok(Directive { confirm: Some(16), ..plain(Change::TakeBack) }));
    for (word, action) in
        [("tarpit", ActionName::Tarpit), ("drop", ActionName::Drop), ("observe", ActionName::Observe)]
    {
        let value = format!("false;scope=client;action={word}");
        assert_eq!(parse(&value), Ok(Directive { scope: Scope::Client, action, ..plain(Change::Block) }));
    }
}

#[test]
fn the_last_of_two_parameters_counts_and_a_large_ttl_saturates() {
    assert_eq!(parse("false;ttl=0;ttl=5").map(|directive| directive.ttl_s), Ok(Some(5)));
    assert_eq!(parse("false;ttl=5;ttl=0"), Err(HeaderError::InvalidTtl));
    assert_eq!(parse("false;ttl=999999999999999").map(|directive| directive.ttl_s), Ok(Some(u32::MAX)));
}

#[test]
fn each_mistake_has_its_error() {
    let wrong_type = |parameter, expected| HeaderError::WrongType { parameter, expected };
    let unknown_word = |parameter, expected| HeaderError::UnknownWord { parameter, expected };
    for (value, expected) in [
        ("", HeaderError::Malformed),
        ("   ", HeaderError::Malformed),
        ("false;", HeaderError::Malformed),
        ("false ;ttl=1", HeaderError::Malformed),
        ("false;ttl=1 2", HeaderError::Malformed),
        ("false;reason=\"a\nb\"", HeaderError::Malformed),
        ("false;reason=\"é\"", HeaderError::Malformed),
        ("false;ttl=1000000000000000", HeaderError::Malformed),
        ("false, false", HeaderError::SeveralValues),
        ("?0;ttl=1,?1", HeaderError::SeveralValues),
        ("(false true)", HeaderError::SeveralValues),
        ("False", HeaderError::UnknownValue),
        ("0", HeaderError::UnknownValue),
        ("\"false\"", HeaderError::UnknownValue),
        ("false;foo", HeaderError::UnknownParameter("foo".to_owned())),
        ("false;tt=1", HeaderError::UnknownParameter("tt".to_owned())),
        ("false;ttl=0", HeaderError::InvalidTtl),
        ("false;ttl=-1", HeaderError::InvalidTtl),
        ("false;ttl=1.5", HeaderError::InvalidTtl),
        ("false;ttl", wrong_type("ttl", "an integer")),
        ("false;ttl=\"1\"", wrong_type("ttl", "an integer")),
        ("false;method=\"GET\"", wrong_type("method", "a boolean or the token any")),
        ("false;method=ANY", unknown_word("method", "a boolean or any")),
        ("false;method=GET", unknown_word("method", "a boolean or any")),
        ("false;confirm=0", HeaderError::InvalidConfirm),
        ("false;confirm=17", HeaderError::InvalidConfirm),
        ("false;confirm=-1", HeaderError::InvalidConfirm),
        ("false;confirm=257", HeaderError::InvalidConfirm),
        ("false;confirm", wrong_type("confirm", "an integer")),
        ("false;confirm=2.0", wrong_type("confirm", "an integer")),
        ("false;src=1", wrong_type("src", "a boolean")),
        ("false;path=/x", HeaderError::Malformed),
        ("false;path=x", wrong_type("path", "a quoted string")),
        ("false;param", wrong_type("param", "a quoted string")),
        ("false;match=\"exact\"", wrong_type("match", "a token")),
        ("false;match=regex", unknown_word("match", "exact or prefix")),
        ("false;scope=all", unknown_word("scope", "resource or client")),
        ("false;action=deny503", unknown_word("action", "deny, tarpit, drop or observe")),
        ("false;status=399", HeaderError::InvalidStatus),
        ("false;status=600", HeaderError::InvalidStatus),
        ("false;status=-404", HeaderError::InvalidStatus),
        ("false;status=65936", HeaderError::InvalidStatus),
        ("false;status=404.0", wrong_type("status", "an integer")),
        ("false;status=404;action=tarpit", HeaderError::StatusWithoutDeny),
        ("false;action=drop;status=404", HeaderError::StatusWithoutDeny),
        ("false;scope=client;path=\"/x\"", HeaderError::NotOfClient("path")),
        ("false;method;scope=client", HeaderError::NotOfClient("method")),
        ("false;method=any;scope=client", HeaderError::NotOfClient("method")),
        ("false;match=prefix;scope=client", HeaderError::NotOfClient("match")),
        ("false;scope=client;src", HeaderError::NotOfClient("src")),
    ] {
        assert_eq!(parse(value), Err(expected), "{value}");
    }
}

#[test]
fn length_is_bounded_before_anything_else() {
    assert_eq!(Directive::parse(b"false", 4), Err(HeaderError::TooLong(4)));
    assert_eq!(parse(&"x".repeat(1025)), Err(HeaderError::TooLong(1024)));
    let name = "x".repeat(1000);
    assert_eq!(parse(&format!("false;{name}")), Err(HeaderError::UnknownParameter("x".repeat(32))));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_in_one_printable_line(value in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        r#"(false|true|\?0|[ -~]{0,5})(;(ttl|path|match|status|[a-z]{1,6})(=([0-9]{1,4}|"[ -~]{0,6}"|[a-z]{1,8}))?){0,4}"#
            .prop_map(String::into_bytes),
    ]) {
        if let Err(error) = Directive::parse(&value, 1024) {
            prop_assert!(!error.to_string().chars().any(char::is_control));
        }
    }
}
