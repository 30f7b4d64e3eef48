//! In force means in force: HAProxy is asked until it says so.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use edge_journal::{Digest, Mark};

use super::socket::ask;

/// Between two questions: at first so long, then twice as long each time, up to [`MAX_PAUSE`]. A worker reads on as soon as
/// it is asked, for half a millisecond; what takes longer goes on by itself.
pub(super) const MIN_PAUSE: Duration = Duration::from_millis(1);
pub(super) const MAX_PAUSE: Duration = Duration::from_millis(50);

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

/// What a worker tells that has all rules of a revision; `None` where that is not known.
pub type Expected<'a> = dyn Fn(u64) -> Option<Mark> + Sync + 'a;

/// Asks each of these stats sockets to read on in its state directory until it has this revision, and has come to it by the
/// records that the manager has written; all at once and at most so long. A worker that does not listen is not waited for: it
/// reads everything when it starts.
pub fn enforce(
    sockets: &[PathBuf],
    revision: u64,
    expected: &Expected<'_>,
    patience: Duration,
) -> Enforcement {
    let deadline = Instant::now() + patience;
    let Some((first, others)) = sockets.split_first() else {
        return Enforcement::StoredNotEnforced { reason: "no stats socket of HAProxy to ask".to_owned() };
    };
    let reasons: Vec<String> = thread::scope(|scope| {
        let until = |socket: &Path| until_enforced(socket, revision, expected, deadline);
        let asked: Vec<_> =
            others.iter().map(|socket| (socket, scope.spawn(move || until(socket)))).collect();
        // Mostly there is only one: a thread for it would take longer than its answer.
        let first = std::iter::once((first, until(first)));
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

/// What keeps a worker from having all rules.
#[derive(Debug)]
pub enum Lack {
    /// It does not answer.
    Io(io::Error),
    /// It is not where it should be, and may still come there.
    Behind(Rules),
    /// It is at the revision, but not by the records that the manager has written.
    Differs(Rules, Mark),
    /// Its module does not tell what it has.
    Older,
    /// It says something else.
    NotUnderstood(String),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                f.write_str("no answer from HAProxy in time")
            }
            Self::Io(error) => write!(f, "{error}"),
            Self::Behind(Rules { incomplete: Some(why), taken, .. }) => {
                write!(f, "rules are missing there, it has taken {}: {why}", taken.unwrap_or_default())
            }
            Self::Behind(Rules { revision, stopped: Some(why), .. }) => {
                write!(f, "still at revision {revision}: {why}")
            }
            Self::Behind(Rules { revision: 0, .. }) => {
                f.write_str("still at revision 0: is its EDGE_STATE_DIR this directory?")
            }
            Self::Behind(Rules { revision, .. }) => write!(f, "still at revision {revision}"),
            Self::Differs(Rules { revision, taken, .. }, expected) => write!(
                f,
                "at revision {revision} it has not the rules that were written: it has taken {} rules and changes, {} were \
                 written",
                taken.unwrap_or_default(),
                expected.taken
            ),
            Self::Older => f.write_str(
                "its module is older than this manager and does not tell which rules it has: reload HAProxy with the module of \
                 this version",
            ),
            Self::NotUnderstood(answer) => write!(f, "answered {answer:?} to edge sync"),
        }
    }
}

/// What a worker says to `edge sync` of the manager's rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The revision in force.
    pub revision: u64,
    /// Rules and changes that came to that; a module of an earlier version does not tell.
    pub taken: Option<u64>,
    /// What they were, where the worker knows.
    pub digest: Option<Digest>,
    /// It reads on.
    pub more: bool,
    /// Why rules of that revision are missing.
    pub incomplete: Option<String>,
    /// Why it does not go on.
    pub stopped: Option<String>,
}

impl Rules {
    /// Asks the worker at this stats socket.
    ///
    /// # Errors
    /// It does not answer, or says something else.
    pub fn ask(socket: &Path, deadline: Instant) -> Result<Self, Lack> {
        Self::of(ask(socket, "edge sync", deadline))
    }

    /// What the answer of a worker to `edge sync` says.
    ///
    /// # Errors
    /// There is none, or it says something else.
    pub(super) fn of(answer: io::Result<String>) -> Result<Self, Lack> {
        match answer {
            Ok(text) if text.is_empty() => Err(Lack::Io(io::ErrorKind::ConnectionReset.into())),
            Ok(text) => Self::parse(&text).ok_or_else(|| {
                let text = text.trim();
                Lack::NotUnderstood(text[..text.floor_char_boundary(MAX_SHOWN_BYTES)].to_owned())
            }),
            Err(error) => Err(Lack::Io(error)),
        }
    }

    /// Words of later versions are passed over.
    fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix("revision ")?;
        let mut part = || {
            let (part, behind) = rest.split_once(", ").unwrap_or((rest, ""));
            rest = behind;
            (part, behind)
        };
        let mut found = Self { revision: part().0.parse().ok()?, ..Self::default() };
        loop {
            let (part, behind) = part();
            // The words behind these two are a text.
            let why = |said: &str| match behind {
                "" => Some(said.to_owned()),
                behind => Some(format!("{said}, {behind}")),
            };
            match part.split_once(' ').unwrap_or((part, "")) {
                ("", _) => return Some(found),
                ("taken", taken) => found.taken = Some(taken.parse().ok()?),
                ("hash", hash) => {
                    found.digest = u64::from_str_radix(hash, 16).ok().map(Digest::from_bits);
                }
                ("more", _) => found.more = true,
                ("incomplete:", said) => {
                    found.incomplete = why(said);
                    return Some(found);
                }
                ("stopped:", said) => {
                    found.stopped = why(said);
                    return Some(found);
                }
                _ => {}
            }
        }
    }

    /// Whether it has this revision or a later one, with all that the manager has written up to there.
    ///
    /// # Errors
    /// What is lacking.
    pub fn has(self, revision: u64, expected: &Expected<'_>) -> Result<(), Lack> {
        if self.taken.is_none() {
            return Err(Lack::Older);
        }
        if self.incomplete.is_some() || self.revision < revision {
            return Err(Lack::Behind(self));
        }
        match expected(self.revision) {
            Some(mark) if self.digest == Some(mark.digest) && self.taken == Some(mark.taken) => Ok(()),
            Some(mark) => Err(Lack::Differs(self, mark)),
            // Of rules that were removed: a worker finds that out when it is asked, and says so the next time.
            None => Err(Lack::Behind(self)),
        }
    }
}

fn until_enforced(
    socket: &Path,
    revision: u64,
    expected: &Expected<'_>,
    deadline: Instant,
) -> Result<(), Lack> {
    let (mut pause, mut last): (_, Option<Lack>) = (MIN_PAUSE, None);
    // It took us up: a worker that hangs up then, and is not there the next time, is being replaced by a reload.
    let mut was_there = false;
    loop {
        let lack = match Rules::ask(socket, deadline).and_then(|rules| rules.has(revision, expected)) {
            Ok(()) => return Ok(()),
            // It did answer before.
            Err(Lack::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(last.unwrap_or(Lack::Io(error)));
            }
            Err(lack) => lack,
        };
        let may_change = match &lack {
            Lack::Behind(_) | Lack::Differs(..) => true,
            Lack::NotUnderstood(_) | Lack::Older => false,
            Lack::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => true,
                io::ErrorKind::ConnectionRefused => was_there,
                _ => false,
            },
        };
        if !may_change || Instant::now() + pause >= deadline {
            return Err(lack);
        }
        if !matches!(lack, Lack::Io(_)) {
            last = Some(lack);
        }
        was_there = true;
        thread::sleep(pause);
        pause = (pause * 2).min(MAX_PAUSE);
    }
}
