//! A unified diff, line by line.

/// A line, and what it is, as a class of the style.
pub(super) struct DiffLine {
    pub(super) class: &'static str,
    pub(super) text: String,
}

/// Longest diff that is shown, lines.
const MAX_LINES: usize = 5000;

/// The lines of a diff, as [`crate::render::diff`] makes it; how many more there are.
pub(super) fn lines(diff: &str) -> (Vec<DiffLine>, usize) {
    let line = |text: &str| {
        let class = match text.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] | [b'@', ..] => "place",
            [b'+', ..] => "added",
            [b'-', ..] => "removed",
            _ => "same",
        };
        DiffLine { class, text: text.to_owned() }
    };
    let more = diff.lines().count().saturating_sub(MAX_LINES);
    (diff.lines().take(MAX_LINES).map(line).collect(), more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        let (lines, more) = lines("--- a/haproxy.cfg\n+++ b/haproxy.cfg\n@@ -1 +1 @@\n-a\n+b\n c\n");
        let classes: Vec<_> = lines.iter().map(|line| line.class).collect();
        assert_eq!((classes, more), (vec!["place", "place", "place", "removed", "added", "same"], 0));
        assert_eq!(super::lines(&"+x\n".repeat(5002)).1, 2);
    }
}
