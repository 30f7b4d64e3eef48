//! One event.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Rules of the record were made or removed.
    Rules,
    /// Rules that backends have taught came, went or were pinned.
    Learned,
    /// The configuration of HAProxy was published, refused or rolled back.
    Configuration,
    /// HAProxy, which the manager supervises, came or went.
    Haproxy,
    /// A certificate came, did not come, or is about to end.
    Certificates,
}

impl Topic {
    /// The name of the event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Learned => "learned",
            Self::Configuration => "configuration",
            Self::Haproxy => "haproxy",
            Self::Certificates => "certificates",
        }
    }
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Greater than those of all events before.
    pub id: u64,
    /// What it is about.
    pub topic: Topic,
    /// One line of JSON: `at_s`, and what the topic has.
    pub data: Arc<str>,
}

impl Event {
    pub(super) fn new(id: u64, topic: Topic, detail: &impl Serialize, now_us: u64) -> Self {
        #[derive(Serialize)]
        struct Data<'a, T> {
            /// Seconds since the Unix epoch.
            at_s: u64,
            #[serde(flatten)]
            detail: &'a T,
        }
        let at_s = Duration::from_micros(now_us).as_secs();
        let data = serde_json::to_string(&Data { at_s, detail });
        let data = data.unwrap_or_else(|_| format!("{{\"at_s\":{at_s}}}"));
        Self { id, topic, data: data.into() }
    }
}
