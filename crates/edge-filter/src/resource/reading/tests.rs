use proptest::prelude::*;

use super::*;
use crate::CanonicalPath;
use crate::ParameterSegments::{Drop, Keep};

fn settings(bits: u8) -> Settings {
    Settings {
        parameter_segments: if bits & 1 == 0 { Keep } else { Drop },
        path_backslash: bits & 2 != 0,
        path_double_escape: bits & 4 != 0,
        ..Settings::default()
    }
}

fn readings(raw: &str, settings: &Settings) -> (String, Option<String>) {
    let (mut first, mut second) = ([0; 512], [0; 512]);
    let read = path_readings(raw.as_bytes(), settings, &mut first, &mut second).unwrap();
    let text = |path: &[u8]| String::from_utf8(path.to_vec()).unwrap();
    (text(read.first), read.second.map(text))
}

#[test]
fn a_path_has_a_second_reading_only_where_backends_differ() {
    for (raw, second) in [
        ("/a", None),
        ("/a/../b//c", None),
        ("/%40%5C%3F%23%25%00", None),
        ("/a%252f", None),
        ("/a?%2f", None),
        ("/a#%2f", None),
        ("*", None),
        ("%2fa", None),
        ("/a%2fb", Some("/a/b")),
        ("/%2F", Some("/")),
        ("/a%2f..", Some("/")),
        ("/a%2f%2e%2E/b", Some("/b")),
        ("/x%2fy/../z", Some("/x/z")),
        ("/a%2f%40%2F%3f", Some("/a/@/%3F")),
        ("/a%2f?%2f", Some("/a/")),
        ("/..%2f..%2f.env", Some("/.env")),
    ] {
        assert_eq!(readings(raw, &Settings::default()).1.as_deref(), second, "{raw}");
    }
}

#[test]
fn one_reading_is_that_of_canonical_paths_without_an_escaped_slash() {
    let of = |raw: &str, bits| has_one_reading(raw.as_bytes(), &settings(bits));
    for path in ["/", "/a/b.c", "/a/", "/@:!", "/%20%25%C3%A9", "/%5C", "/%2541", "/a;x"] {
        assert!(of(path, 0), "{path}");
    }
    for path in
        ["", "*", "a", "//", "/a/..", "/%41", "/%40", "/%2F", "/%2f", "/%c3", "/a?b", "/a#", "/é", "/%"]
    {
        assert!((0..8).all(|bits| !of(path, bits)), "{path}");
    }
    assert_eq!([of("/a;x", 1), of("/a%3Bx", 1), of("/%5C", 2), of("/%2541", 4)], [false; 4]);
}

#[test]
fn what_does_not_fit_is_too_long() {
    let of = |raw: &str, first: usize, second: usize| {
        let (mut first, mut second) = (vec![0; first], vec![0; second]);
        path_readings(raw.as_bytes(), &Settings::default(), &mut first, &mut second).map(drop)
    };
    assert_eq!(of("/abc", 4, 0), Ok(()));
    assert_eq!(of("/abc", 3, 0), Err(UnreadablePath::TooLong), "it is borrowed, and too long all the same");
    assert_eq!([of("/%2Fa", 5, 2), of("/%2Fa", 5, 1)], [Ok(()), Err(UnreadablePath::TooLong)]);
}

/// What a backend sees that decodes first and splits then, told as lists.
fn naive(raw: &str, settings: &Settings) -> String {
    let end = raw.find(['?', '#']).unwrap_or(raw.len());
    let decode = |text: &[u8]| {
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some((&byte, behind)) = rest.split_first() {
            let hex = behind.get(..2).filter(|_| byte == b'%').and_then(|hex| str::from_utf8(hex).ok());
            let value = hex.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
            bytes.push(value.map_or(byte, |hex| u8::from_str_radix(hex, 16).unwrap()));
            rest = if value.is_some() { &behind[2..] } else { behind };
        }
        bytes
    };
    let mut bytes = decode(&raw.as_bytes()[..end]);
    if settings.path_double_escape {
        bytes = decode(&bytes);
    }
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut is_open = true;
    for segment in bytes[1..].split(|&b| b == b'/' || settings.path_backslash && b == b'\\') {
        let end = segment.iter().position(|&b| b == b';').filter(|_| settings.parameter_segments == Drop);
        let name = &segment[..end.unwrap_or(segment.len())];
        is_open = matches!(name, b"" | b"." | b"..");
        match name {
            b"" | b"." => {}
            b".." => _ = kept.pop(),
            name => kept.push(name.to_vec()),
        }
    }
    kept.extend(is_open.then(Vec::new));
    let escaped = |name: Vec<u8>| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b);
        let escape = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
        name.into_iter().map(escape).collect::<String>()
    };
    format!("/{}", kept.into_iter().map(escaped).collect::<Vec<_>>().join("/"))
}

fn raw_path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        r"[/./a;%?\\]",
        prop::sample::select(vec![
            "%2f", "%2F", "%2e", "%5c", "%25", "%3b", "%40", "%32", "%%", "..", "%252f", "%252e",
        ])
        .prop_map(String::from),
        "[a-f0-9@:!é]",
    ];
    proptest::collection::vec(part, 0..16).prop_map(|parts| format!("/{}", parts.concat()))
}

proptest! {
    #[test]
    fn the_second_reading_is_that_of_a_backend_that_decodes_first(raw in raw_path(), bits in 0..8u8) {
        let settings = settings(bits);
        let (first, second) = readings(&raw, &settings);
        match &second {
            Some(second) => prop_assert_eq!(second, &naive(&raw, &settings), "{}", raw),
            None => prop_assert_eq!(&first, &naive(&raw, &settings), "{}", raw),
        }
        // Both are canonical: rules are found by them.
        for path in std::iter::once(&first).chain(&second) {
            let again = CanonicalPath::parse(path, settings.parameter_segments, 999).unwrap();
            prop_assert_eq!(again.as_str(), path);
        }
        let is_canonical = raw == first && second.is_none();
        prop_assert_eq!(has_one_reading(raw.as_bytes(), &settings), is_canonical, "{}", raw);
    }
}
