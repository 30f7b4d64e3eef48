//! Addresses of pages.

use std::fmt::Write;

/// A path with these parameters, but for the empty ones.
pub(super) fn link(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut link = path.to_owned();
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        link.push(if link.len() == path.len() { '?' } else { '&' });
        link.push_str(name);
        link.push('=');
        escape(value, &mut link);
    }
    link
}

/// A text as one value of an address (RFC 3986, section 2.3); slashes stay, since they mean nothing there.
pub(super) fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// A page of ours with what stood behind its `?`, as a form has sent it back.
pub(super) fn back(path: &str, query: &str) -> String {
    let is_plain = query.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>#".contains(&byte));
    if query.is_empty() || !is_plain { path.to_owned() } else { format!("{path}?{query}") }
}

/// Whether this leads to a page of ours, and to no other site: browsers take `//` and `/\` for the start of a host, and drop
/// tabs and ends of lines before they look (WHATWG URL, "basic URL parser").
pub(super) fn is_own(path: &str) -> bool {
    let rest = path.strip_prefix('/');
    rest.is_some_and(|rest| {
        !rest.starts_with(['/', '\\']) && rest.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_ours_leads_to_a_page_of_ours() {
        for foreign in ["", "evil", "https://evil.example", "//evil.example", "/\\evil.example"] {
            assert!(!is_own(foreign), "{foreign}");
        }
        for dropped in ['\t', '\r', '\n', '\0', ' ', '\u{e4}'] {
            assert!(!is_own(&format!("/{dropped}/evil.example")), "{dropped:?}");
            assert!(!is_own(&format!("/a{dropped}")), "{dropped:?}");
        }
        assert!(is_own("/") && is_own("/clients?q=192.0.2.1&kind=block#add"));
    }

    #[test]
    fn values_cannot_leave_their_place() {
        assert_eq!(link("/clients", &[]), "/clients");
        let parameters = [("kind", "block"), ("q", ""), ("list", "a&b=c #\u{e4}\r\n")];
        assert_eq!(link("/clients", &parameters), "/clients?kind=block&list=a%26b%3Dc%20%23%C3%A4%0D%0A");
        assert_eq!(back("/clients", "q=10.0.0.0/8&kind=block"), "/clients?q=10.0.0.0/8&kind=block");
        for bad in ["", "a\r\nSet-Cookie: x", "a b", "<script>"] {
            assert_eq!(back("/clients", bad), "/clients", "{bad}");
        }
    }
}
