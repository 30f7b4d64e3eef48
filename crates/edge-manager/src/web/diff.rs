//! A unified diff, line by line.

/// A line, and what it is, as a class of the style.
pub(super) struct DiffLine {
    pub(super) class: &'static str,
    pub(super) text: String,
}

/// Longest diff that is shown, lines.
const MAX_LINES: usize = 5000;

/// What changes in files.
pub(super) struct Changes {
    pub(super) lines: Vec<DiffLine>,
    /// Lines that are not shown.
    pub(super) more: usize,
}

impl Changes {
    /// Of a diff, as [`crate::render::diff`] makes it.
    pub(super) fn of(diff: &str) -> Self {
        let more = diff.lines().count().saturating_sub(MAX_LINES);
        Self { lines: diff.lines().take(MAX_LINES).map(DiffLine::of).collect(), more }
    }
}

impl DiffLine {
    fn of(text: &str) -> Self {
        let class = match text.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] | [b'@', ..] => "place",
            [b'+', ..] => "added",
            [b'-', ..] => "removed",
            _ => "same",
        };
        Self { class, text: text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        let Changes { lines, more } =
            Changes::of("--- a/haproxy.cfg\n+++ b/haproxy.cfg\n@@ -1 +1 @@\n-a\n+b\n c\n");
        let classes: Vec<_> = lines.iter().map(|line| line.class).collect();
        assert_eq!((classes, more), (vec!["place", "place", "place", "removed", "added", "same"], 0));
        assert_eq!(Changes::of(&"+x\n".repeat(5002)).more, 2);
    }
}
