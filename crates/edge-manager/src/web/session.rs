//! Who is logged in at the page.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::access::KeyHash;

/// Sessions at the same time. The one that was longest not used gives way.
pub const MAX_SESSIONS: usize = 1024;

/// How long a session lasts that is not used, and at most, microseconds.
const IDLE_US: u64 = 2 * 3600 * 1_000_000;
const WHOLE_US: u64 = 24 * 3600 * 1_000_000;

/// Randomness of a session, bytes.
const SECRET_BYTES: usize = 32;

/// What tells a browser's session from all others; it is in its cookie and nowhere else.
#[derive(Clone, Copy)]
pub struct Secret([u8; SECRET_BYTES]);

/// A text that is no [`Secret`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSecret;

impl Secret {
    /// 256 random bits.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// For the cookie.
    pub fn reveal(&self) -> String {
        hex(&self.0)
    }

    /// What each form of the session carries: who makes the browser send a form from elsewhere does not know it. It tells
    /// nothing of the secret.
    pub fn form_token(&self) -> String {
        hex(&self.derived(b"form"))
    }

    /// Whether this is [`Secret::form_token`]. Takes the same time whatever it is.
    pub fn is_form_token(&self, text: &str) -> bool {
        bool::from(self.form_token().as_bytes().ct_eq(text.as_bytes()))
    }

    fn derived(&self, purpose: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(purpose);
        hash.update(self.0);
        hash.finalize().into()
    }
}

impl FromStr for Secret {
    type Err = NoSecret;

    fn from_str(text: &str) -> Result<Self, NoSecret> {
        let mut bytes = [0; SECRET_BYTES];
        if text.len() != 2 * SECRET_BYTES || !text.is_ascii() {
            return Err(NoSecret);
        }
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            let is_hex = text.as_bytes()[at].is_ascii_hexdigit();
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok().filter(|_| is_hex).ok_or(NoSecret)?;
        }
        Ok(Self(bytes))
    }
}

/// By hand: it is never in a log.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// What became of something, for the page that is seen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is not what was wished.
    pub is_warning: bool,
    /// In words.
    pub text: String,
}

impl Notice {
    /// It is done.
    pub fn done(text: impl Into<String>) -> Self {
        Self { is_warning: false, text: text.into() }
    }

    /// It is not, or not quite.
    pub fn warning(text: impl Into<String>) -> Self {
        Self { is_warning: true, text: text.into() }
    }
}

/// The sessions that there are, in memory: they end with the manager.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

#[derive(Debug)]
struct Session {
    /// The key that was presented; none where no key was needed. Whether it is known still is asked with each request.
    key: Option<KeyHash>,
    begun_us: u64,
    used_us: u64,
    notice: Option<Notice>,
}

impl Session {
    fn has_ended(&self, now_us: u64) -> bool {
        now_us >= self.begun_us.saturating_add(WHOLE_US) || now_us >= self.used_us.saturating_add(IDLE_US)
    }
}

impl Sessions {
    /// Begins a session. O(sessions) where there are [`MAX_SESSIONS`].
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn begin(&self, key: Option<KeyHash>, now_us: u64) -> Result<Secret, getrandom::Error> {
        let secret = Secret::random()?;
        let mut sessions = self.0.lock();
        if sessions.len() >= MAX_SESSIONS {
            sessions.retain(|_, session| !session.has_ended(now_us));
        }
        if sessions.len() >= MAX_SESSIONS {
            let longest = sessions.iter().min_by_key(|(_, session)| session.used_us);
            let longest = longest.map(|(name, _)| *name);
            longest.and_then(|name| sessions.remove(&name));
        }
        let session = Session { key, begun_us: now_us, used_us: now_us, notice: None };
        sessions.insert(secret.derived(b"name"), session);
        Ok(secret)
    }

    /// The key of a session that has not ended, if it has one; it is used by this.
    pub fn find(&self, secret: &Secret, now_us: u64) -> Option<Option<KeyHash>> {
        self.with(secret, now_us, |session| {
            session.used_us = session.used_us.max(now_us);
            session.key
        })
    }

    /// [`Sessions::find`] for what a page does while nobody uses it: the session ends as if it had not been asked for.
    pub fn peek(&self, secret: &Secret, now_us: u64) -> Option<Option<KeyHash>> {
        self.with(secret, now_us, |session| session.key)
    }

    fn with<T>(&self, secret: &Secret, now_us: u64, ask: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let (name, mut sessions) = (secret.derived(b"name"), self.0.lock());
        if sessions.get(&name)?.has_ended(now_us) {
            sessions.remove(&name);
            return None;
        }
        sessions.get_mut(&name).map(ask)
    }

    /// Ends a session.
    pub fn end(&self, secret: &Secret) {
        self.0.lock().remove(&secret.derived(b"name"));
    }

    /// Keeps a notice for the next page of a session.
    pub fn leave(&self, secret: &Secret, notice: Notice) {
        if let Some(session) = self.0.lock().get_mut(&secret.derived(b"name")) {
            session.notice = Some(notice);
        }
    }

    /// The notice that was left last.
    pub fn take_notice(&self, secret: &Secret) -> Option<Notice> {
        self.0.lock().get_mut(&secret.derived(b"name"))?.notice.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    #[test]
    fn a_secret_is_read_as_it_was_written_and_nothing_else_is() {
        let secret = Secret::random().unwrap();
        let text = secret.reveal();
        assert_eq!(text.parse::<Secret>().unwrap().reveal(), text);
        assert_ne!(text, Secret::random().unwrap().reveal());
        for bad in ["", &text[1..], &format!("+{}", &text[1..]), &"g".repeat(64), &"\u{e4}".repeat(32)] {
            assert!(bad.parse::<Secret>().is_err(), "{bad}");
        }
        assert!(!format!("{secret:?}").contains(&text));
    }

    #[test]
    fn a_form_is_of_the_session_that_it_was_made_for() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert!(one.is_form_token(&one.form_token()));
        for wrong in ["", &other.form_token(), &one.reveal(), &one.form_token()[1..]] {
            assert!(!one.is_form_token(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_and_after_a_day() {
        let sessions = Sessions::default();
        let idle = sessions.begin(None, S).unwrap();
        assert!(sessions.find(&idle, 7200 * S).is_some());
        assert!(sessions.find(&idle, 7200 * S + 7200 * S).is_none());
        assert!(sessions.find(&idle, 7200 * S).is_none(), "it does not come back");
        let open = sessions.begin(None, 0).unwrap();
        for minute in 0..120 {
            assert!(sessions.peek(&open, minute * 60 * S).is_some(), "{minute}");
        }
        assert!(sessions.peek(&open, 7200 * S).is_none(), "a page that is only open does not use it");
        let used = sessions.begin(None, 0).unwrap();
        for hour in 1..24 {
            assert!(sessions.find(&used, hour * 3600 * S).is_some(), "{hour}");
        }
        assert!(sessions.find(&used, 24 * 3600 * S).is_none());
        let ended = sessions.begin(None, 0).unwrap();
        sessions.end(&ended);
        assert!(sessions.find(&ended, 0).is_none());
    }

    #[test]
    fn the_session_that_was_longest_not_used_gives_way() {
        let sessions = Sessions::default();
        let first = sessions.begin(None, 0).unwrap();
        let second = sessions.begin(None, 1).unwrap();
        for n in 2..MAX_SESSIONS as u64 {
            sessions.begin(None, n).unwrap();
        }
        sessions.find(&first, 5000);
        sessions.begin(None, 5001).unwrap();
        assert!(sessions.find(&first, 5002).is_some());
        assert!(sessions.find(&second, 5002).is_none());
        assert_eq!(sessions.0.lock().len(), MAX_SESSIONS);
    }

    #[test]
    fn a_notice_is_seen_once() {
        let sessions = Sessions::default();
        let secret = sessions.begin(None, 0).unwrap();
        sessions.leave(&secret, Notice::done("it is done"));
        assert_eq!(sessions.take_notice(&secret), Some(Notice::done("it is done")));
        assert_eq!(sessions.take_notice(&secret), None);
        sessions.leave(&Secret::random().unwrap(), Notice::warning("for nobody"));
    }
}
