//! The form in which haproxy.cfg is written, however its templates use whitespace.

/// Drops lines that hold nothing and spaces at the ends of lines, and puts an empty line before each section and the
/// comment above it. So a block tag on a line of its own leaves no trace, and no template has to control whitespace.
pub(super) fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut is_in_section = false;
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        let begins_section = !line.starts_with([' ', '\t']);
        if begins_section && is_in_section {
            tidied.push('\n');
        }
        is_in_section = !(begins_section && line.starts_with('#'));
        tidied.push_str(line);
        tidied.push('\n');
    }
    tidied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_apart_and_lines_in_them_are_not() {
        let text =
            "# head\n\n\nglobal\n\n  maxconn 1  \n \n  user x\n# why\n# so\nbackend a\nbackend b\n  server x";
        let tidied =
            "# head\nglobal\n  maxconn 1\n  user x\n\n# why\n# so\nbackend a\n\nbackend b\n  server x\n";
        assert_eq!(tidy(text), tidied);
        assert_eq!(tidy(tidied), tidied);
    }
}
