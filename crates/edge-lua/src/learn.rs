//! What responses teach: from the variables of haproxy.cfg to an operation, counted by result.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use edge_filter::{
    Authorities, Confirmations, Filter, Lesson, LogGate, Operation, Refusal, Request, Taught, learn,
    split_base,
};
use parking_lot::Mutex;

use crate::state::State;
use crate::{clock, engine};

/// A response with `X-Edge-Resource` as `edge_learn` found it: texts from HAProxy, some of which haproxy.cfg
/// has to keep from the request.
#[derive(Default)]
pub(crate) struct Heard<'a> {
    /// Value of the header, or of the last one.
    pub(crate) header: &'a [u8],
    /// Headers of that name.
    pub(crate) header_count: usize,
    /// `txn.edge.base`
    pub(crate) base: Option<&'a [u8]>,
    /// `txn.edge.method`
    pub(crate) method: Option<&'a [u8]>,
    /// `txn.edge.query`; not set for a request without one.
    pub(crate) query: &'a [u8],
    /// `txn.edge.partial`: the answer to this request is not that to a plain one.
    pub(crate) is_partial: bool,
    /// The client's address as text; not one for a Unix socket.
    pub(crate) client: &'a [u8],
    /// Status of the response.
    pub(crate) status: u16,
    /// The backend that gave it.
    pub(crate) backend: &'a [u8],
    /// The server of that backend.
    pub(crate) server: &'a [u8],
    /// The unique-id of the request, empty for none.
    pub(crate) unique_id: &'a [u8],
}

/// Who may teach what, and what came of it.
pub(crate) struct School {
    authorities: Authorities,
    confirmations: Mutex<Confirmations>,
    log_gate: LogGate,
    learned: AtomicU64,
    clipped: AtomicU64,
    taken_back: AtomicU64,
    unconfirmed: AtomicU64,
    not_captured: AtomicU64,
    queue_full: AtomicU64,
    refused: [AtomicU64; Refusal::LABELS.len()],
}

impl School {
    pub(crate) fn new(authorities: Authorities) -> Self {
        Self {
            authorities,
            confirmations: Mutex::default(),
            log_gate: LogGate::new(),
            learned: AtomicU64::new(0),
            clipped: AtomicU64::new(0),
            taken_back: AtomicU64::new(0),
            unconfirmed: AtomicU64::new(0),
            not_captured: AtomicU64::new(0),
            queue_full: AtomicU64::new(0),
            refused: [const { AtomicU64::new(0) }; Refusal::LABELS.len()],
        }
    }

    /// Makes the change that the response asks for, if it may. `now_us` is [`clock::learning_now_us`]. A line for the log comes back
    /// where something is wrong, at most one a host and minute.
    pub(crate) fn hear(
        &self,
        heard: &Heard<'_>,
        filter: &Filter,
        state: Option<&State>,
        now_us: u64,
    ) -> Option<String> {
        let now_s = u32::try_from(now_us / 1_000_000).unwrap_or(u32::MAX);
        let (Some(base), Some(method)) = (heard.base, heard.method) else {
            self.not_captured.fetch_add(1, Relaxed);
            return self.log_gate.admits("", now_s).then(|| NOT_CAPTURED.to_owned());
        };
        let (host, path) = split_base(base);
        let client = engine::parse_address(heard.client);
        let lesson = Lesson {
            header: heard.header,
            header_count: heard.header_count,
            status: heard.status,
            backend: heard.backend,
            server: heard.server,
            unique_id: heard.unique_id,
            is_partial: heard.is_partial,
            request: Request { host, path, query: heard.query, method, anonymous: false, client },
        };
        // By the wall clock, as the stamps of other processes.
        let stamp_us = state.map_or(now_us, |state| state.stamp_us(clock::now_us()));
        let lesson = engine::with_scratch(|scratch| {
            learn(&lesson, &self.authorities, filter.settings(), now_us, stamp_us, scratch)
        });
        match lesson? {
            Ok(taught) => self.apply(taught, filter, state.map(|state| (state, stamp_us)), now_s),
            Err(refusal) => {
                self.refused[refusal.label_index()].fetch_add(1, Relaxed);
                self.log_gate.admits(&refusal.host, now_s).then(|| refusal.to_string())
            }
        }
    }

    fn apply(
        &self,
        taught: Taught,
        filter: &Filter,
        state: Option<(&State, u64)>,
        now_s: u32,
    ) -> Option<String> {
        if !self.is_confirmed(&taught, now_s) {
            self.unconfirmed.fetch_add(1, Relaxed);
            return None;
        }
        let result = match (&taught.operation, taught.clipped) {
            (Operation::Put(_), false) => &self.learned,
            (Operation::Put(_), true) => &self.clipped,
            _ => &self.taken_back,
        };
        let kept = state.map(|state| {
            let takes_back = State::takes_back(filter, &taught.operation);
            (state, taught.operation.clone(), takes_back)
        });
        if filter.submit(taught.operation, now_s).is_err() {
            self.queue_full.fetch_add(1, Relaxed);
            let line = "the queue of changes is full: what a backend taught was lost";
            return self.log_gate.admits("", now_s).then(|| line.to_owned());
        }
        // After the submission, so that whoever copies the rules in force finds it among them, and before the response
        // goes on: see `state::own`.
        if let Some(((state, stamp_us), operation, takes_back)) = kept {
            state.learned(stamp_us, &operation, takes_back);
        }
        result.fetch_add(1, Relaxed);
        None
    }

    /// Whether as many client networks were answered so as the change waits for. Waits for no thread: where another one
    /// counts at this moment, this answer is not counted.
    fn is_confirmed(&self, taught: &Taught, now_s: u32) -> bool {
        let confirmations = self.confirmations.try_lock();
        match (&taught.operation, taught.confirm) {
            (Operation::Put(rule), Some(confirm)) => {
                confirmations.is_some_and(|mut waiting| waiting.confirm(rule, confirm, now_s))
            }
            (operation, _) => {
                if let Some(mut waiting) = confirmations {
                    waiting.take_back(operation);
                }
                true
            }
        }
    }

    /// How many responses came to which result, each response to one. Labels are stable.
    pub(crate) fn results(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let results = [
            ("learned", &self.learned),
            ("clipped", &self.clipped),
            ("taken_back", &self.taken_back),
            ("unconfirmed", &self.unconfirmed),
            ("not_captured", &self.not_captured),
            ("queue_full", &self.queue_full),
        ];
        let refused = Refusal::LABELS.into_iter().zip(&self.refused);
        results.into_iter().chain(refused).map(|(label, count)| (label, count.load(Relaxed)))
    }
}

const NOT_CAPTURED: &str = "a response has X-Edge-Resource, but nothing is known of its request; haproxy.cfg needs: \
    http-request set-var(txn.edge.base) base; http-request set-var-fmt(txn.edge.method) %[method]; \
    http-request set-var(txn.edge.query) query";

#[cfg(test)]
mod tests {
    use edge_filter::Settings;

    use super::*;

    const NOW_US: u64 = 1_000_000_000;

    fn heard(header: &[u8]) -> Heard<'_> {
        Heard {
            header,
            header_count: 1,
            base: Some(b"shop.example/yeet"),
            method: Some(b"GET"),
            client: b"192.0.2.1",
            status: 404,
            backend: b"shop",
            ..Heard::default()
        }
    }

    fn counts(school: &School) -> Vec<(&'static str, u64)> {
        school.results().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn every_result_is_counted_once() {
        let filter = Filter::new(Settings::default());
        let school = School::new(Authorities::default());
        let hear = |header: &[u8]| school.hear(&heard(header), &filter, None, NOW_US);
        let verdict = || filter.reader().resource(b"shop.example/yeet", 1000).code();

        assert_eq!(hear(b"false;ttl=60"), None);
        assert_eq!(verdict(), 404);
        assert_eq!(hear(b"false;ttl=999999999;status=410"), None);
        assert_eq!(verdict(), 410);
        assert_eq!(hear(b"true"), None);
        assert_eq!(verdict(), 0);
        let line = hear(b"maybe").unwrap();
        assert!(line.contains("backend shop for host shop.example refused"), "{line}");
        assert_eq!(hear(b"false;match=prefix"), None, "the host had its line this minute");
        assert_eq!(
            counts(&school),
            [
                ("learned", 1),
                ("clipped", 1),
                ("taken_back", 1),
                ("unknown_value", 1),
                ("prefix_not_allowed", 1)
            ]
        );
    }

    #[test]
    fn a_rule_waits_for_as_many_client_networks_as_the_header_or_the_backend_asks_for() {
        let filter = Filter::new(Settings::default());
        let school = School::new(Authorities::parse("shop confirm=2").unwrap());
        let hear = |header: &[u8], client: &[u8]| {
            assert_eq!(school.hear(&Heard { client, ..heard(header) }, &filter, None, NOW_US), None);
            filter.reader().resource(b"shop.example/yeet", 1000).code()
        };
        assert_eq!([hear(b"false", b"192.0.2.1"), hear(b"false", b"192.0.2.2")], [0, 0]);
        assert_eq!(hear(b"false", b"198.51.100.1"), 404);
        assert_eq!(hear(b"true", b"192.0.2.1"), 0);
        for header in [&b"false;confirm=3"[..], b"false;confirm=3", b"true"] {
            assert_eq!(hear(header, b"192.0.2.1"), 0);
        }
        assert_eq!(hear(b"false;confirm=3", b"198.51.100.1"), 0, "begun anew after true");
        assert_eq!(hear(b"false;confirm=3", b"203.0.113.1"), 0);
        assert_eq!(hear(b"false;confirm=3", b"2001:db8::1"), 404);
        assert_eq!(counts(&school), [("learned", 2), ("taken_back", 2), ("unconfirmed", 6)]);
    }

    #[test]
    fn while_another_thread_counts_nothing_is_learned() {
        let filter = Filter::new(Settings::default());
        let school = School::new(Authorities::default());
        let counting = school.confirmations.lock();
        assert_eq!(school.hear(&heard(b"false;confirm=2"), &filter, None, NOW_US), None);
        assert_eq!(school.hear(&heard(b"false"), &filter, None, NOW_US), None, "this one waits for nobody");
        assert_eq!(school.hear(&heard(b"true"), &filter, None, NOW_US), None);
        drop(counting);
        assert_eq!(counts(&school), [("learned", 1), ("taken_back", 1), ("unconfirmed", 1)]);
    }

    #[test]
    fn a_request_that_was_not_kept_is_reported_once_a_minute() {
        let filter = Filter::new(Settings::default());
        let school = School::new(Authorities::default());
        let lost = Heard { base: None, ..heard(b"false") };
        let line = school.hear(&lost, &filter, None, NOW_US).unwrap();
        assert!(line.contains("http-request set-var(txn.edge.base) base"));
        assert_eq!(school.hear(&lost, &filter, None, NOW_US), None);
        let lost = Heard { method: None, ..heard(b"false") };
        assert!(school.hear(&lost, &filter, None, NOW_US + 60_000_000).is_some());
        assert_eq!(counts(&school), [("not_captured", 3)]);
    }
}
