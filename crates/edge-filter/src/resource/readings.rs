//! Paths that a backend can only read as the edge does.

use super::path::canonical_path;
use crate::Settings;

/// Whether this raw path of a request is its own canonical form and has no second reading, as an escaped slash gives
/// it. Of such a path alone the edge knows which resource the backend has answered for.
pub fn has_one_reading(raw_path: &[u8], settings: &Settings) -> bool {
    // A path that is canonical is borrowed; any other has no room to be written.
    raw_path.starts_with(b"/")
        && canonical_path(raw_path, settings.parameter_segments, &mut []) == Ok(raw_path)
        && !raw_path.windows(3).any(|escape| escape == b"%2F")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParameterSegments;

    #[test]
    fn only_a_canonical_path_without_an_escaped_slash_has_one_reading() {
        let settings = Settings::default();
        for path in ["/", "/a", "/a/", "/a/b.c", "/a;x=1", "/%20", "/u/@admin", "/%C3%A4"] {
            assert!(has_one_reading(path.as_bytes(), &settings), "{path}");
        }
        for path in [
            "",
            "*",
            "a",
            "//a",
            "/a//b",
            "/.",
            "/./a",
            "/a/..",
            "/a/../b",
            "/a/%2e%2e/b",
            "/%61",
            "/a%2Fb",
            "/a%2fb",
            "/%c3%a4",
            "/a?",
            "/a#",
            "/a b",
            "/%",
            "/\\",
            "/\u{e4}",
        ] {
            assert!(!has_one_reading(path.as_bytes(), &settings), "{path}");
        }
        let drop = Settings { parameter_segments: ParameterSegments::Drop, ..settings };
        assert!(!has_one_reading(b"/a;x=1", &drop) && has_one_reading(b"/a", &drop));
    }
}
