//! In force means in force: HAProxy is asked until it says so.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::socket::ask;

/// Between two questions: at first so long, then twice as long each time, up to [`MAX_PAUSE`]. A worker reads on as soon as
/// it is asked, for half a millisecond; what takes longer goes on by itself.
const MIN_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// How much of an answer that is not understood is repeated, bytes.
const MAX_SHOWN_BYTES: usize = 80;

/// Whether a change is obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// Every worker that was asked obeys it.
    InForce,
    /// It is kept, and HAProxy gets it as soon as it can; not everybody said that it has.
    StoredNotEnforced {
        /// Who did not, and why. One line.
        reason: String,
    },
}

/// Asks each of these stats sockets to read on in its state directory until it has this revision, all at once and at
/// most so long. Whoever does not listen is not waited for: it reads everything when it starts.
pub fn enforce(sockets: &[PathBuf], revision: u64, patience: Duration) -> Enforcement {
    let deadline = Instant::now() + patience;
    let Some((first, others)) = sockets.split_first() else {
        return Enforcement::StoredNotEnforced { reason: "no stats socket of HAProxy to ask".to_owned() };
    };
    let reasons: Vec<String> = thread::scope(|scope| {
        let asked: Vec<_> = others
            .iter()
            .map(|socket| (socket, scope.spawn(move || until_enforced(socket, revision, deadline))))
            .collect();
        // Mostly there is only one: a thread for it would take longer than its answer.
        let first = std::iter::once((first, until_enforced(first, revision, deadline)));
        let answers = first.chain(asked.into_iter().map(|(socket, asked)| {
            (socket, asked.join().unwrap_or_else(|_| Err(Lack::Io(io::Error::other("its thread panicked")))))
        }));
        answers
            .filter_map(|(socket, answer)| Some(format!("{}: {}", socket.display(), answer.err()?)))
            .collect()
    });
    if reasons.is_empty() {
        Enforcement::InForce
    } else {
        Enforcement::StoredNotEnforced { reason: reasons.join("; ") }
    }
}

/// What keeps a worker from obeying.
#[derive(Debug)]
enum Lack {
    Io(io::Error),
    Behind(Answer),
    NotUnderstood(String),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::TimedOut => f.write_str("no answer in time"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Behind(Answer { is_incomplete: true, .. }) => {
                f.write_str("rules are missing there: it cannot read rules.snapshot")
            }
            Self::Behind(Answer { revision: 0, .. }) => {
                f.write_str("still at revision 0: is its EDGE_STATE_DIR this directory?")
            }
            Self::Behind(Answer { revision, .. }) => write!(f, "still at revision {revision}"),
            Self::NotUnderstood(answer) => write!(f, "answered {answer:?} to edge sync"),
        }
    }
}

/// What `edge sync` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    revision: u64,
    is_incomplete: bool,
}

impl Answer {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split(", ");
        let revision = parts.next()?.strip_prefix("revision ")?.parse().ok()?;
        Some(Self { revision, is_incomplete: parts.any(|part| part.starts_with("incomplete")) })
    }
}

fn until_enforced(socket: &Path, revision: u64, deadline: Instant) -> Result<(), Lack> {
    let (mut pause, mut last): (_, Option<Answer>) = (MIN_PAUSE, None);
    // Somebody took us up: whoever hangs up then, and is not there the next time, is being replaced by a reload.
    let mut was_there = false;
    loop {
        let lack = match ask(socket, "edge sync", deadline) {
            Ok(text) if text.is_empty() => Lack::Io(io::ErrorKind::ConnectionReset.into()),
            Ok(text) => match answered(&text, revision, &mut last) {
                Ok(()) => return Ok(()),
                Err(lack) => lack,
            },
            // It did answer before.
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(last.map_or(Lack::Io(error), Lack::Behind));
            }
            Err(error) => Lack::Io(error),
        };
        let may_change = match &lack {
            Lack::Behind(_) => true,
            Lack::NotUnderstood(_) => false,
            Lack::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => true,
                io::ErrorKind::ConnectionRefused => was_there,
                _ => false,
            },
        };
        if !may_change || Instant::now() + pause >= deadline {
            return Err(lack);
        }
        was_there = true;
        thread::sleep(pause);
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// What is lacking by this answer and the one before it, whose place it takes.
fn answered(text: &str, revision: u64, last: &mut Option<Answer>) -> Result<(), Lack> {
    let Some(answer) = Answer::parse(text) else {
        let text = text.trim();
        return Err(Lack::NotUnderstood(text[..text.floor_char_boundary(MAX_SHOWN_BYTES)].to_owned()));
    };
    // A greater one has the change too, unless it is of other rules, which were removed: a worker finds that out when
    // it is asked, and says so the next time.
    let is_there = answer.revision >= revision && !answer.is_incomplete;
    let before = last.replace(answer);
    if is_there && (answer.revision == revision || before.is_some_and(|before| before.revision > revision)) {
        return Ok(());
    }
    Err(Lack::Behind(answer))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A socket that gives these answers one after the other, and then the last one again and again.
    fn answering(answers: &'static [&'static str]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("edge.sock");
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || {
            for at in 0.. {
                let (stream, _) = listener.accept().unwrap();
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                assert_eq!(line, "edge sync\n");
                let answer = answers[at.min(answers.len() - 1)];
                // Whoever asked may be gone.
                let _ = (&stream).write_all(answer.as_bytes());
            }
        });
        (dir, path)
    }

    fn reason(socket: &Path, patience: Duration) -> String {
        match enforce(&[socket.to_owned()], 7, patience) {
            Enforcement::StoredNotEnforced { reason } => {
                reason.strip_prefix(&format!("{}: ", socket.display())).unwrap().to_owned()
            }
            Enforcement::InForce => "in force".to_owned(),
        }
    }

    /// The reason after so long that there was an answer.
    fn reason_heard(socket: &Path) -> String {
        let mut reasons = (0..6).map(|n| reason(socket, Duration::from_secs(1 << n)));
        reasons.find(|reason| reason != "no answer in time").expect("an answer")
    }

    #[test]
    fn a_worker_is_asked_until_it_has_the_revision() {
        let (_dir, socket) = answering(&["revision 6\n", "revision 6, more is waiting\n", "revision 7\n"]);
        assert_eq!(reason(&socket, PATIENCE), "in force");
        let (_dir, ahead) = answering(&["revision 9, more is waiting\n"]);
        assert_eq!(enforce(&[socket, ahead], 7, PATIENCE), Enforcement::InForce);
    }

    #[test]
    fn a_worker_that_hangs_up_in_a_reload_is_asked_again() {
        let (_dir, socket) = answering(&["", "revision 6\n", "", "revision 7\n"]);
        assert_eq!(reason(&socket, PATIENCE), "in force");
    }

    #[test]
    fn where_nobody_listens_any_more_nobody_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("edge.sock");
        drop(UnixListener::bind(&path).unwrap());
        // It would not end.
        let ages = Duration::from_secs(100_000);
        assert_eq!(reason(&path, ages), "Connection refused (os error 111)");
    }

    #[test]
    fn a_revision_of_rules_that_were_removed_is_not_believed() {
        let (_dir, socket) = answering(&["revision 60\n", "revision 6\n"]);
        assert_eq!(reason_heard(&socket), "still at revision 6");
    }

    #[test]
    fn a_worker_that_stays_behind_is_told() {
        let (_dir, socket) = answering(&["revision 6\n"]);
        assert_eq!(reason_heard(&socket), "still at revision 6");
        let (_dir, socket) = answering(&["revision 0\n"]);
        assert_eq!(reason_heard(&socket), "still at revision 0: is its EDGE_STATE_DIR this directory?");
        let (_dir, socket) = answering(&["revision 8, incomplete: rules.snapshot cannot be read\n"]);
        assert!(reason_heard(&socket).starts_with("rules are missing there"));
    }

    #[test]
    fn who_does_not_answer_is_told() {
        let (_dir, socket) = answering(&["Unknown command: 'edge'.\n"]);
        assert_eq!(reason(&socket, PATIENCE), "answered \"Unknown command: 'edge'.\" to edge sync");
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(reason(&dir.path().join("none"), PATIENCE), "No such file or directory (os error 2)");
        let silent = dir.path().join("silent");
        let _listener = UnixListener::bind(&silent).unwrap();
        assert_eq!(reason(&silent, Duration::from_millis(50)), "no answer in time");
        let nobody = Enforcement::StoredNotEnforced { reason: "no stats socket of HAProxy to ask".into() };
        assert_eq!(enforce(&[], 7, PATIENCE), nobody);
    }

    #[test]
    fn one_of_two_is_not_all() {
        let (_dir, good) = answering(&["revision 7\n"]);
        let bad = good.with_file_name("none");
        let Enforcement::StoredNotEnforced { reason } = enforce(&[good, bad.clone()], 7, PATIENCE) else {
            panic!("in force")
        };
        assert_eq!(reason, format!("{}: No such file or directory (os error 2)", bad.display()));
    }
}
