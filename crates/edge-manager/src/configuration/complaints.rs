//! What HAProxy says of a configuration, made readable.

use std::path::Path;

use crate::render::Rendered;

/// Complaints that are kept.
const MAX_COMPLAINTS: usize = 10;
/// Longest complaint, characters.
const MAX_CHARS: usize = 400;
/// Longest quotation from the configuration, characters.
const MAX_QUOTED_CHARS: usize = 160;

/// What stands behind one of these words is nobody's business.
const SECRET_AFTER: [&str; 6] = ["auth", "insecure-password", "password", "presetenv", "setenv", "key"];

/// Says only that something else was said.
const EMPTY_WORDS: [&str; 6] = [
    "Fatal errors found in configuration",
    "Error(s) found in configuration file",
    "Some protocols failed to start their listeners",
    "Loading failure",
    "exit-on-failure",
    "unexpectedly died",
];

/// Says what any reload brings about.
const NO_COMPLAINTS: [&str; 3] = ["stopped (cumulated conns", "Former worker", "Exiting Master process"];

/// The alerts among these words, or the warnings where there is none: one line each, the configuration's lines by their file,
/// number and text. `dirs`: where HAProxy has seen the files.
pub(super) fn complaints(words: &str, dirs: &[&Path], files: &Rendered) -> Vec<String> {
    let entries = entries(words);
    let of_level = |level: &str| {
        let said = entries.iter().filter_map(|entry| entry.strip_prefix(level)).map(without_process);
        let complains = |said: &&str| !NO_COMPLAINTS.iter().any(|none| said.contains(none));
        let said: Vec<String> = said.filter(complains).map(|said| located(said, dirs, files)).collect();
        let says_more = |said: &&String| !EMPTY_WORDS.iter().any(|empty| said.contains(empty));
        let better: Vec<String> = said.iter().filter(says_more).cloned().collect();
        if better.is_empty() { said } else { better }
    };
    let alerts = of_level("[ALERT]");
    let mut all = if alerts.is_empty() { of_level("[WARNING]") } else { alerts };
    all.dedup();
    let more = all.len().saturating_sub(MAX_COMPLAINTS);
    all.truncate(MAX_COMPLAINTS);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all
}

/// A message may go on in the lines after its first one.
fn entries(words: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in words.lines() {
        let begins =
            ["[ALERT]", "[WARNING]", "[NOTICE]", "[DIAG]"].iter().any(|level| line.starts_with(level));
        match entries.last_mut() {
            Some(last) if !begins => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => entries.push(line.to_owned()),
        }
    }
    entries
}

/// `   (1234) : config : parsing ...` without what changes from time to time.
fn without_process(text: &str) -> &str {
    let text = text.trim_start();
    let rest = text
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .filter(|(pid, _)| !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()));
    let text = rest.map_or(text, |(_, rest)| rest.trim_start().trim_start_matches(':').trim_start());
    text.strip_prefix("config : ").unwrap_or(text)
}

fn located(text: &str, dirs: &[&Path], files: &Rendered) -> String {
    let mut text = text.to_owned();
    for dir in dirs {
        text = text.replace(&format!("{}/", dir.display()), "");
    }
    let mut text: String =
        text.trim().chars().take(MAX_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if let Some(quoted) = quoted(&text, files) {
        text.push_str(&format!(" (the line is: {quoted})"));
    }
    text
}

/// The line that the first `FILE:NUMBER` of a text is of.
fn quoted(text: &str, files: &Rendered) -> Option<String> {
    let (line, _) = files
        .files()
        .filter_map(|(path, contents)| {
            let at = text.find(&format!("{path}:"))?;
            let digits = text[at + path.len() + 1..].split(|c: char| !c.is_ascii_digit()).next()?;
            let number: usize = digits.parse().ok()?;
            Some((contents.lines().nth(number.checked_sub(1)?)?, at))
        })
        .min_by_key(|&(_, at)| at)?;
    let line = line.trim();
    let mut shown = String::new();
    for word in line.split_inclusive(char::is_whitespace) {
        shown.push_str(word);
        if SECRET_AFTER.contains(&word.trim()) {
            shown.push_str("...");
            break;
        }
    }
    let mut cut: String = shown.chars().take(MAX_QUOTED_CHARS).collect();
    if cut.len() < shown.len() {
        cut.push_str("...");
    }
    Some(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Rendered {
        let main = "global\n  setenv EDGE_KEY hunter2\nbackend a\n  blance magic\n  stats auth me:hunter2\n";
        [("haproxy.cfg".to_owned(), main.to_owned())].into_iter().collect()
    }

    fn read(words: &str) -> Vec<String> {
        complaints(words, &[Path::new("/c/sets/.7.new"), Path::new("/c/current")], &files())
    }

    #[test]
    fn alerts_name_the_line_of_the_configuration() {
        let words = "\
[NOTICE]   (14) : haproxy version is 2.6.12-1+deb12u4
[WARNING]  (14) : config : something else
[ALERT]    (14) : config : parsing [/c/sets/.7.new/haproxy.cfg:4] : unknown keyword 'blance' in 'backend' section
[ALERT]    (14) : config : Error(s) found in configuration file : /c/sets/.7.new/haproxy.cfg
[ALERT]    (14) : config : Fatal errors found in configuration.
";
        let said = "parsing [haproxy.cfg:4] : unknown keyword 'blance' in 'backend' section (the line is: blance magic)";
        assert_eq!(read(words), [said]);
        let only = "[ALERT]    (14) : config : Fatal errors found in configuration.\n";
        assert_eq!(read(only), ["Fatal errors found in configuration."]);
        assert_eq!(read("[WARNING]  (14) : so so\n  and on\n"), ["so so and on"]);
    }

    #[test]
    fn secrets_are_not_quoted() {
        for line in [2, 5] {
            let said = read(&format!("[ALERT] (1) : [/c/current/haproxy.cfg:{line}] : bad\n"));
            assert!(said[0].ends_with(" ...)") && !said[0].contains("hunter2"), "{said:?}");
        }
    }

    #[test]
    fn there_is_an_end_to_what_is_said() {
        let words: String =
            (0..50).map(|n| format!("[ALERT] (1) : number {n} {}\n", "x".repeat(2000))).collect();
        let said = read(&words);
        assert_eq!((said.len(), said[10].as_str()), (11, "and 40 more"));
        assert!(said.iter().all(|said| said.len() <= MAX_CHARS));
    }
}
