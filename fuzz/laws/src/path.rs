//! The canonical form of paths, queries and hosts.

use edge_filter::{
    CanonicalPath, ParameterSegments, Scratch, canonical_host, canonical_path, canonical_query, split_base,
};

pub(crate) const WORDS: &[&str] = &[
    "/", "//", ".", "..", "/./", "/../", ";", "%2e", "%2E", "%2f", "%61", "%c3", "%", "%4", "%25", "?", "#",
    "*", ":80",
];

/// The canonical form of a path is idempotent, pure ASCII, without empty or dot segments, borrowed exactly
/// where the input is canonical, and what a slow reference makes of it. Queries and hosts likewise.
pub fn path(data: &[u8]) {
    let mut scratch = Scratch::new();
    for parameters in [ParameterSegments::Keep, ParameterSegments::Drop] {
        one_path(data, parameters, &mut scratch);
        one_path(&[b"/", data].concat(), parameters, &mut scratch);
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

fn query(raw: &[u8], scratch: &mut Scratch) {
    let Ok(query) = canonical_query(raw, &mut scratch.query) else { return };
    let raw = raw.split(|&b| b == b'#').next().unwrap_or_default();
    assert_eq!(query, reference_escapes(raw).as_bytes());
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
        let name = reference_escapes(name);
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

fn reference_escapes(raw: &[u8]) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut text = String::new();
    let mut rest = raw;
    while !rest.is_empty() {
        let digits =
            rest.get(1..3).filter(|digits| rest[0] == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let value = digits.map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap());
        let byte = value.unwrap_or(rest[0]);
        let is_plain = unreserved(byte) || (value.is_none() && b"!$&'()*+,;=:@/?".contains(&byte));
        text += &if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        rest = &rest[if value.is_some() { 3 } else { 1 }..];
    }
    text
}
