//! What HAProxy writes, passed on as lines of our log.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::thread::Builder;

use parking_lot::Mutex;

/// Longest line, bytes; what is longer is cut in lines of this length.
const MAX_LINE_BYTES: u64 = 8 << 10;

/// How many lines are kept to be quoted.
const MAX_LINES: usize = 200;

/// The last lines that HAProxy wrote to standard error, where it says why it does not start.
#[derive(Debug, Default)]
pub(super) struct Output(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    /// How many came before those.
    dropped: u64,
}

impl Output {
    /// Takes this pipe for standard error, until it ends.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn follow(self: &Arc<Self>, pipe: impl Read + Send + 'static) -> io::Result<()> {
        let output = Arc::clone(self);
        on_a_thread(pipe, move |line| {
            if line.starts_with("[ALERT]") {
                tracing::error!(target: "haproxy", "{line}");
            } else if line.starts_with("[WARNING]") {
                tracing::warn!(target: "haproxy", "{line}");
            } else {
                tracing::info!(target: "haproxy", "{line}");
            }
            output.keep(line);
        })
    }

    fn keep(&self, line: String) {
        let mut kept = self.0.lock();
        if kept.lines.len() == MAX_LINES {
            kept.lines.pop_front();
            kept.dropped += 1;
        }
        kept.lines.push_back(line);
    }

    /// How many lines there were.
    pub(super) fn mark(&self) -> u64 {
        let kept = self.0.lock();
        kept.dropped + kept.lines.len() as u64
    }

    /// The lines after so many, as far as they are kept.
    pub(super) fn since(&self, mark: u64) -> String {
        let kept = self.0.lock();
        let passed = usize::try_from(mark.saturating_sub(kept.dropped)).unwrap_or(usize::MAX);
        kept.lines.iter().skip(passed).fold(String::new(), |words, line| words + line + "\n")
    }
}

/// Passes on what HAProxy writes to standard output, which is its log of requests where that goes there.
///
/// # Errors
/// There is no thread to be had.
pub(super) fn pass_on(pipe: impl Read + Send + 'static) -> io::Result<()> {
    on_a_thread(pipe, |line| tracing::info!(target: "haproxy_log", "{line}"))
}

fn on_a_thread(
    pipe: impl Read + Send + 'static,
    take: impl FnMut(String) + Send + 'static,
) -> io::Result<()> {
    Builder::new().name("haproxy".to_owned()).spawn(move || each_line(pipe, take)).map(drop)
}

fn each_line(pipe: impl Read, mut take: impl FnMut(String)) {
    let mut pipe = BufReader::new(pipe);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match pipe.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(bytes.trim_ascii_end());
        if !line.is_empty() {
            take(line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_found_again() {
        let output = Output::default();
        (0..150).for_each(|n| output.keep(n.to_string()));
        let mark = output.mark();
        (150..MAX_LINES + 50).for_each(|n| output.keep(n.to_string()));
        assert_eq!(output.since(0).lines().next(), Some("50"));
        assert_eq!(output.since(mark).lines().next(), Some("150"));
        assert_eq!(output.since(output.mark()), "");
        (0..MAX_LINES).for_each(|n| output.keep(format!("later {n}")));
        assert_eq!(output.since(mark).lines().next(), Some("later 0"));
    }

    #[test]
    fn lines_are_cut_and_have_no_control_characters() {
        let mut lines = Vec::new();
        let long = "x".repeat(10_000);
        each_line(format!("a\u{1b}[1m\r\n\n{long}\nend").as_bytes(), |line| lines.push(line));
        assert_eq!((lines[0].as_str(), lines[1].len(), lines[3].as_str()), ("a\u{fffd}[1m", 8192, "end"));
    }
}
