//! The canonical form of paths, queries and hosts.

use edge_filter::{
    CanonicalPath, ParameterSegments, PathReadings, Scratch, Settings, canonical_host, canonical_path,
    canonical_query, has_one_reading, path_readings, split_base,
};

pub(crate) const WORDS: &[&str] = &[
    "/", "//", ".", "..", "/./", "/../", ";", "%2e", "%2E", "%2f", "%2F", "%40", "%3b", "%5c", "\\", "%252f",
    "%252e", "%61", "%c3", "%", "%4", "%25", "?", "#", "*", ":80",
];

/// The canonical form of a path is idempotent, pure ASCII, without empty or dot segments, borrowed exactly
/// where the input is canonical, and what a slow reference makes of it. The second reading is what a backend sees that
/// decodes first and splits then, and is there where that may differ. Queries and hosts likewise.
pub fn path(data: &[u8]) {
    let mut scratch = Scratch::new();
    for parameters in [ParameterSegments::Keep, ParameterSegments::Drop] {
        one_path(data, parameters, &mut scratch);
        one_path(&[b"/", data].concat(), parameters, &mut scratch);
    }
    for bits in 0..8 {
        let settings = Settings {
            parameter_segments: if bits & 1 == 0 { ParameterSegments::Keep } else { ParameterSegments::Drop },
            path_backslash: bits & 2 != 0,
            path_double_escape: bits & 4 != 0,
            ..Settings::default()
        };
        readings(&[b"/", data].concat(), &settings, &mut scratch);
    }
    query(data, &mut scratch);
    host(data, &mut scratch);
}

fn one_path(raw: &[u8], parameters: ParameterSegments, scratch: &mut Scratch) {
    let expected = reference_path(raw, parameters);
    let Ok(path) = canonical_path(raw, parameters, &mut scratch.path) else {
        assert!(raw.len() * 3 > 64 * 1024, "too long");
        return;
    };
    assert_eq!(path, expected.as_bytes(), "{} is not {expected}", path.escape_ascii());
    assert!(path.iter().all(u8::is_ascii_graphic));
    assert!(path == b"*" || path.starts_with(b"/"));
    let mut segments = path.split(|&b| b == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        assert!(segment != b"." && segment != b"..", "dot segment");
        assert!(!segment.is_empty() || segments.peek().is_none(), "empty segment");
    }
    if raw.starts_with(b"/") {
        let is_canonical = without_query(raw) == expected.as_bytes();
        assert_eq!(path.as_ptr() == raw.as_ptr(), is_canonical, "borrowed exactly where canonical");
    }
    // The form of a form is itself, and needs no buffer.
    assert_eq!(canonical_path(path, parameters, &mut []), Ok(path));

    let of_rule = CanonicalPath::parse(raw, parameters, usize::MAX);
    let may_be_rule = raw.starts_with(b"/") && !raw.iter().any(|b| b"?#".contains(b) || b.is_ascii_control());
    assert_eq!(of_rule.is_ok(), may_be_rule, "{of_rule:?}");
    if let Ok(of_rule) = of_rule {
        assert_eq!(of_rule.as_str(), expected, "a rule finds the path that it was made from");
    }
}

fn readings(raw: &[u8], settings: &Settings, scratch: &mut Scratch) {
    let Scratch { path, second_path, .. } = scratch;
    let Ok(PathReadings { first, second }) = path_readings(raw, settings, path, second_path) else {
        assert!(raw.len() * 3 > 64 * 1024, "too long");
        return;
    };
    let parameters = settings.parameter_segments;
    assert_eq!(first, reference_path(raw, parameters).as_bytes());
    let expected = reference_second(raw, settings);
    assert_eq!(second.unwrap_or(first), expected.as_bytes(), "what a lenient backend reads");
    assert_eq!(canonical_path(expected.as_bytes(), parameters, &mut []), Ok(expected.as_bytes()));
    let is_plain = first == raw && second.is_none();
    assert_eq!(has_one_reading(raw, settings), is_plain);
    // Strict settings refuse exactly the paths with two readings.
    let strict = Settings { strict_paths: true, ..settings.clone() };
    let has_second = second.is_some();
    assert_eq!(path_readings(raw, &strict, path, second_path).is_err(), has_second);
}

fn query(raw: &[u8], scratch: &mut Scratch) {
    let Ok(query) = canonical_query(raw, &mut scratch.query) else { return };
    let raw = raw.split(|&b| b == b'#').next().unwrap_or_default();
    assert_eq!(query, reference_query(raw).as_bytes());
    assert_eq!(canonical_query(query, &mut []), Ok(query));
}

fn host(raw: &[u8], scratch: &mut Scratch) {
    let host = canonical_host(raw, &mut scratch.host);
    assert_eq!(canonical_host(host, &mut [0; 512]), host, "idempotent");
    assert!(host.len() > 512 || !host.iter().any(u8::is_ascii_uppercase));
    let (host, path) = split_base(raw);
    assert_eq!([host, path].concat(), raw);
    assert!(!host.contains(&b'/') && (path.is_empty() || path[0] == b'/'));
}

fn without_query(raw: &[u8]) -> &[u8] {
    raw.split(|b| b"?#".contains(b)).next().unwrap_or_default()
}

/// The canonical form, told as a list of segments.
fn reference_path(raw: &[u8], parameters: ParameterSegments) -> String {
    let raw = without_query(raw);
    let mut segments = raw.split(|&b| b == b'/');
    if raw.is_empty() {
        return "/".to_owned();
    }
    if segments.next() != Some(b"") {
        return "*".to_owned();
    }
    let mut kept: Vec<String> = Vec::new();
    let mut is_open = true;
    for segment in segments {
        let name = match parameters {
            ParameterSegments::Keep => segment,
            ParameterSegments::Drop => segment.split(|&b| b == b';').next().unwrap_or_default(),
        };
        let name = reference_escapes(name, parameters);
        is_open = matches!(&*name, "" | "." | "..");
        match &*name {
            "" | "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(name),
        }
    }
    if is_open {
        kept.push(String::new());
    }
    format!("/{}", kept.join("/"))
}

/// The second reading: decoded as a whole, and split then.
fn reference_second(raw: &[u8], settings: &Settings) -> String {
    let mut decoded: Vec<u8> = decoded(without_query(raw)).into_iter().map(|(byte, _)| byte).collect();
    if settings.path_double_escape {
        decoded = self::decoded(&decoded).into_iter().map(|(byte, _)| byte).collect();
    }
    // As a path in which each byte but those that separate is an escape, and none has a second meaning.
    let mut plain = String::new();
    for byte in decoded {
        match byte {
            b'/' => plain.push('/'),
            b'\\' if settings.path_backslash => plain.push('/'),
            b';' if settings.parameter_segments == ParameterSegments::Drop => plain.push(';'),
            byte => plain += &format!("%{byte:02X}"),
        }
    }
    reference_path(plain.as_bytes(), settings.parameter_segments)
}

/// Each byte, and whether it was an escape.
fn decoded(raw: &[u8]) -> Vec<(u8, bool)> {
    let mut bytes = Vec::new();
    let mut rest = raw;
    while !rest.is_empty() {
        let digits =
            rest.get(1..3).filter(|digits| rest[0] == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let value = digits.map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap());
        bytes.push((value.unwrap_or(rest[0]), value.is_some()));
        rest = &rest[if value.is_some() { 3 } else { 1 }..];
    }
    bytes
}

fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

fn text(bytes: Vec<(u8, bool)>, is_plain: impl Fn(u8, bool) -> bool) -> String {
    let text = |(byte, is_escaped)| {
        if is_plain(byte, is_escaped) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    bytes.into_iter().map(text).collect()
}

fn reference_escapes(segment: &[u8], parameters: ParameterSegments) -> String {
    let keeps_semicolon = parameters == ParameterSegments::Drop;
    text(decoded(segment), |byte, _| is_pchar(byte) && !(byte == b';' && keeps_semicolon))
}

fn reference_query(raw: &[u8]) -> String {
    text(decoded(raw), |byte, is_escaped| {
        (is_pchar(byte) || b"/?".contains(&byte)) && !(is_escaped && b"&=+".contains(&byte))
    })
}
