//! What was rendered.

use std::collections::{BTreeMap, BTreeSet};

use similar::TextDiff;

/// The files of one configuration: haproxy.cfg, and those that it names relative to itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered(BTreeMap<String, String>);

impl Rendered {
    /// The file that HAProxy is started with.
    pub const MAIN: &'static str = "haproxy.cfg";

    pub(super) fn put(&mut self, path: impl Into<String>, contents: String) {
        self.0.insert(path.into(), contents);
    }

    /// The contents of a file, by its path relative to the directory of [`MAIN`](Self::MAIN).
    pub fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Path and contents of each file, in the order of their paths. A path has no `..` and at most one `/`.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, contents)| (path.as_str(), contents.as_str()))
    }
}

impl FromIterator<(String, String)> for Rendered {
    /// A set that was rendered earlier and is read back, to compare with.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(files: I) -> Self {
        Self(files.into_iter().collect())
    }
}

/// What changes from one set to the next, as a unified diff that `patch -p1` takes; empty if nothing does. Files are in the
/// order of their paths. O(n d) in the lines and changed lines of each file.
pub fn diff(old: &Rendered, new: &Rendered) -> String {
    let paths: BTreeSet<&str> = old.files().chain(new.files()).map(|(path, _)| path).collect();
    let mut changes = String::new();
    for path in paths {
        let (before, after) = (old.get(path), new.get(path));
        if before == after {
            continue;
        }
        let name = |side: &str, file: Option<&str>| match file {
            Some(_) => format!("{side}/{path}"),
            None => "/dev/null".into(),
        };
        let lines = TextDiff::from_lines(before.unwrap_or(""), after.unwrap_or(""));
        let unified =
            lines.unified_diff().context_radius(3).header(&name("a", before), &name("b", after)).to_string();
        changes.push_str(&unified);
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(files: &[(&str, &str)]) -> Rendered {
        files.iter().map(|&(path, contents)| (path.to_owned(), contents.to_owned())).collect()
    }

    #[test]
    fn a_diff_has_what_was_added_changed_and_removed_and_nothing_else() {
        let old = set(&[("a.cfg", "one\ntwo\nthree\n"), ("gone", "x\n"), ("same", "s\n")]);
        let new = set(&[("a.cfg", "one\n2\nthree\n"), ("new", "y\n"), ("same", "s\n")]);
        let expected = "\
--- a/a.cfg\n+++ b/a.cfg\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n\
--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+y\n";
        assert_eq!(diff(&old, &new), expected);
        assert_eq!(diff(&new, &new), "");
    }
}
