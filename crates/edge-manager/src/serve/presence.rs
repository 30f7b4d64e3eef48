//! Whether HAProxy is there, for whoever listens to events.

use serde::Serialize;

use crate::haproxy::{Control, State, Status};

/// What was last seen of a HAProxy that is supervised. Nobody tells of others.
#[derive(Debug, Default)]
pub(super) struct Presence {
    seen: Option<Seen>,
}

/// What listeners hear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Seen {
    state: &'static str,
    /// How often it has ended since the manager began.
    exits: u64,
    /// How it ended the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_exit: Option<String>,
}

impl From<Status> for Seen {
    fn from(Status { state, exits, last_exit }: Status) -> Self {
        let state = match state {
            State::Waiting => "waiting",
            State::Starting => "starting",
            State::Running { .. } => "running",
            State::BackingOff { .. } => "ended",
            State::Stopped => "stopped",
        };
        Self { state, exits, last_exit }
    }
}

impl Presence {
    /// What has changed since the last look, if anything.
    pub(super) fn look(&mut self, control: &Control) -> Option<&Seen> {
        match control {
            Control::Supervised(supervisor) => self.take(supervisor.status()),
            Control::Nobody | Control::Attached(_) => None,
        }
    }

    fn take(&mut self, status: Status) -> Option<&Seen> {
        let now = Some(Seen::from(status));
        if now == self.seen {
            return None;
        }
        self.seen = now;
        self.seen.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_told_once_and_an_end_between_two_looks_too() {
        let mut presence = Presence::default();
        let running = State::Running { master_pid: 7, is_adopted: false };
        let mut take = |state: &State, exits| {
            let last_exit = (exits > 0).then(|| "was killed by signal 9".to_owned());
            let seen = presence.take(Status { state: state.clone(), exits, last_exit })?;
            Some(serde_json::to_string(seen).unwrap())
        };
        assert_eq!(take(&State::Starting, 0).unwrap(), r#"{"state":"starting","exits":0}"#);
        assert_eq!(take(&running, 0).unwrap(), r#"{"state":"running","exits":0}"#);
        assert_eq!(take(&running, 0), None);
        let told = r#"{"state":"running","exits":1,"last_exit":"was killed by signal 9"}"#;
        assert_eq!(take(&running, 1).unwrap(), told);
    }
}
