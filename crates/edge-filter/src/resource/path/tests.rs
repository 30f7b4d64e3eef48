use proptest::prelude::*;

use super::ParameterSegments::{Drop, Keep};
use super::*;

fn canonical(raw: &str, parameters: ParameterSegments) -> String {
    let mut out = [0; 512];
    let path = canonical_path(raw.as_bytes(), parameters, &mut out).unwrap();
    String::from_utf8(path.to_vec()).unwrap()
}

#[test]
fn every_way_to_write_a_path_is_one_path() {
    for raw in ["/yeet", "//yeet", "/%79eet", "/a/../yeet", "/yeet?x=1", "/yeet#x", "/./yeet", "/../yeet"] {
        assert_eq!(canonical(raw, Keep), "/yeet", "{raw}");
    }
    for raw in ["/yeetish", "/YEET", "/yeet/x", "/yeet/", "/yeet;x", "/yeet%2F"] {
        assert_ne!(canonical(raw, Keep), "/yeet", "{raw}");
    }
}

#[test]
fn each_rule_of_the_canonical_form_holds() {
    for (raw, expected) in [
        ("", "/"),
        ("?a", "/"),
        ("/", "/"),
        ("*", "*"),
        ("yeet", "*"),
        ("%2Fyeet", "*"),
        ("/a//../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/../", "/a/"),
        ("/a/.", "/a/"),
        ("/a/..?x", "/"),
        ("/a/...", "/a/..."),
        ("/a/.b/..c", "/a/.b/..c"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e", "/"),
        ("/%2f%3f%2f", "/%2F%3F%2F"),
        ("/%d0%B0", "/%D0%B0"),
        ("/а", "/%D0%B0"),
        ("/%00\u{1}\u{7f} ", "/%00%01%7F%20"),
        ("/%", "/%25"),
        ("/%4", "/%254"),
        ("/%zz", "/%25zz"),
        ("/%%341", "/%2541"),
        ("/%2541", "/%2541"),
        ("/a\"<>\\^`{|}[]", "/a%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D"),
        ("/%7Euser", "/~user"),
        ("/%21%24%26%27%28%29%2a%2B%2c%3b%3D%3A%40", "/!$&'()*+,;=:@"),
        ("/u/%40admin", "/u/@admin"),
        ("/!$&'()*+,;=:@", "/!$&'()*+,;=:@"),
        ("/..;/a", "/..;/a"),
    ] {
        assert_eq!(canonical(raw, Keep), expected, "{raw}");
    }
}

#[test]
fn parameters_of_segments_are_dropped_where_configured() {
    for (raw, expected) in [
        ("/a;x=1/b;y", "/a/b"),
        ("/a;x=1", "/a"),
        ("/a/..;/b", "/b"),
        ("/a/;x/b", "/a/b"),
        ("/a/;x", "/a/"),
        ("/;x", "/"),
        ("/a;x;y/../b", "/b"),
        ("/a;%2e?;", "/a"),
        ("/a%3bx%40", "/a%3Bx@"),
        ("/a/..%3B/b", "/a/..%3B/b"),
    ] {
        assert_eq!(canonical(raw, Drop), expected, "{raw}");
        assert_eq!(canonical(&canonical(raw, Drop), Drop), expected, "{raw}");
    }
}

#[test]
fn canonical_input_is_borrowed_without_a_buffer() {
    for raw in ["/", "/a/b.c/~d", "/%2F%D0%B0", "/..a/.b/...", "/a;b", "/a/"] {
        let path = canonical_path(raw.as_bytes(), Keep, &mut []).unwrap();
        assert_eq!((path.as_ptr(), path.len()), (raw.as_ptr(), raw.len()), "{raw}");
    }
    assert_eq!(canonical_path(b"/a?b", Keep, &mut []), Ok(&b"/a"[..]));
}

#[test]
fn what_does_not_fit_the_buffer_is_too_long() {
    assert_eq!(canonical_path(b"//ab", Keep, &mut [0; 2]), Err(TooLong));
    assert_eq!(canonical_path(b"//ab", Keep, &mut [0; 3]), Ok(&b"/ab"[..]));
    assert_eq!(canonical_path(b"//", Keep, &mut []), Err(TooLong));
}

#[test]
fn paths_of_rules_are_checked() {
    let parse = |text: &str| CanonicalPath::parse(text, Keep, 8).map(|path| path.as_str().to_owned());
    assert_eq!(parse("//%61/"), Ok("/a/".to_owned()));
    assert_eq!(parse("/1234567"), Ok("/1234567".to_owned()));
    assert_eq!(parse("/12345678"), Err(InvalidPath::TooLong(8)));
    assert_eq!(parse("/12345/..//"), Ok("/".to_owned()));
    assert_eq!(parse("/éé"), Err(InvalidPath::TooLong(8)));
    assert_eq!(parse(""), Err(InvalidPath::NoSlash));
    assert_eq!(parse("a/b"), Err(InvalidPath::NoSlash));
    assert_eq!(parse("*"), Err(InvalidPath::NoSlash));
    assert_eq!(parse("/a?b"), Err(InvalidPath::QueryOrFragment));
    assert_eq!(parse("/a#b"), Err(InvalidPath::QueryOrFragment));
    assert_eq!(parse("/a\nb"), Err(InvalidPath::Control));
    assert_eq!(parse("/a\0"), Err(InvalidPath::Control));
}

#[test]
fn prefixes_cover_whole_segments() {
    let path = |text| CanonicalPath::parse(text, Keep, 99).unwrap();
    for covered in ["/adm", "/adm/", "/adm/x"] {
        assert!(path("/adm").is_prefix_of(covered), "{covered}");
        assert!(path("/").is_prefix_of(covered), "{covered}");
    }
    for other in ["/admin", "/ad", "/", "/x/adm"] {
        assert!(!path("/adm").is_prefix_of(other), "{other}");
    }
}

/// Paths made of what the canonical form is about.
fn raw_path() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"/".to_vec()),
        Just(b".".to_vec()),
        Just(b"..".to_vec()),
        Just(b";".to_vec()),
        Just(b"%2e".to_vec()),
        Just(b"%2F".to_vec()),
        Just(b"%".to_vec()),
        "[a-zA-Z0-9?#~]".prop_map(String::into_bytes),
        any::<u8>().prop_map(|byte| vec![byte]),
    ];
    proptest::collection::vec(part, 0..24).prop_map(|parts| [b"/".to_vec(), parts.concat()].concat())
}

proptest! {
    #[test]
    fn canonical_path_is_idempotent_and_borrows_its_own_output(raw in raw_path(), drop in any::<bool>()) {
        let parameters = if drop { Drop } else { Keep };
        let mut out = [0; 512];
        let path = canonical_path(&raw, parameters, &mut out).unwrap();
        prop_assert!(path.iter().all(u8::is_ascii_graphic));
        prop_assert!(!path.windows(2).any(|pair| pair == b"//"));
        prop_assert!(!path.split(|&b| b == b'/').any(|segment| segment == b"." || segment == b".."));
        prop_assert_eq!(canonical_path(path, parameters, &mut []), Ok(path));
    }

    #[test]
    fn an_escaped_character_of_a_segment_is_the_character(segment in "[a-zA-Z0-9.~_!$&'()*+,;=:@-]{1,8}",
        at in any::<prop::sample::Index>()) {
        let at = at.index(segment.len());
        let escaped = format!("{}%{:02x}{}", &segment[..at], segment.as_bytes()[at], &segment[at + 1..]);
        let escaped = canonical(&format!("/a/{escaped}/b"), Keep);
        prop_assert_eq!(escaped, canonical(&format!("/a/{segment}/b"), Keep));
    }
}
