//! A client, and what the backend has it teach HAProxy: a pool of resources and addresses that no other client touches.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use edge_e2e::{Answer, Edge, Received, Request, Response};
use fastrand::Rng;

use super::facts::{Belief, Fact, Listing, now_ms};

/// Rules of one kind that a client cares for.
const POOL: usize = 25;

/// The header of a request whose value the backend gives back as `X-Edge-Resource`.
const TEACH: &str = "x-teach";

/// How long a change may take that another thread makes.
const HAND_OFF: Duration = Duration::from_millis(500);

/// What the backend answers.
pub(super) fn as_asked(request: &Received) -> Answer {
    request.header(TEACH).map_or_else(|| Answer::status(200), Answer::teaching)
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Bound to the method, so that a POST can take it back.
    Method,
    Prefix,
    Client,
}

#[derive(Clone, Debug)]
struct Subject {
    kind: Kind,
    number: usize,
    /// As `show edge rules` names it.
    target: String,
    belief: Belief,
}

/// What was acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) lessons: u64,
    pub(super) taken_back: u64,
    pub(super) requests: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Learner {
    number: usize,
    host: String,
    subjects: Vec<Subject>,
    rng: Rng,
    pub(super) counts: Counts,
}

impl Learner {
    pub(super) fn new(number: usize, rng: Rng) -> Self {
        let host = format!("c{number}.example");
        let subject = |kind: Kind, n: usize| {
            let target = match kind {
                Kind::Method => format!("{host}/m/{n} method=GET"),
                Kind::Prefix => format!("{host}/p/{n}/*"),
                Kind::Client => format!("block 10.50.{number}.{n}"),
            };
            Subject { kind, number: n, target, belief: Belief::sure(Fact::Absent) }
        };
        let kinds = [Kind::Method, Kind::Prefix, Kind::Client];
        let subjects = kinds.into_iter().flat_map(|kind| (0..POOL).map(move |n| (kind, n)));
        let subjects = subjects.map(|(kind, n)| subject(kind, n)).collect();
        Self { number, host, subjects, rng, counts: Counts::default() }
    }

    /// Asks and teaches until told to stop, or until nobody answers. Where `is_steady`, what was acknowledged is in
    /// force at once; while one worker follows another it may take a moment.
    ///
    /// # Errors
    /// HAProxy did something else than the rules say.
    pub(super) fn run(&mut self, edge: &Edge, stop: &AtomicBool, is_steady: bool) -> Result<(), String> {
        while !stop.load(Ordering::Relaxed) {
            if !self.step(edge, is_steady)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether HAProxy answered.
    fn step(&mut self, edge: &Edge, is_steady: bool) -> Result<bool, String> {
        let at = self.rng.usize(..self.subjects.len());
        let subject = &self.subjects[at];
        let Some(is_held) = subject.belief.is_held() else { return Ok(true) };
        let long_lived = matches!(subject.kind, Kind::Method) && self.rng.u8(..3) == 0;
        self.counts.requests += 1;
        let outcome = match (is_held, subject.kind, self.rng.u8(..10)) {
            (true, Kind::Method, 0..4) => self.take_back(edge, at, is_steady),
            (false, _, 0..7) => {
                let ttl_s = if long_lived { self.rng.u64(3600..=80_000) } else { self.rng.u64(1..=6) };
                self.teach(edge, at, ttl_s, is_steady)
            }
            _ => {
                let Ok(answer) = self.send(edge, at, "GET", None) else { return Ok(false) };
                if is_steady && answer.is_from_backend() == is_held {
                    let subject = &self.subjects[at];
                    let passed = if is_held { "passed" } else { "was refused" };
                    return Err(format!(
                        "{}: a request {passed} though {:?}",
                        subject.target, subject.belief
                    ));
                }
                Ok(true)
            }
        };
        if outcome.is_err() && !self.stays_wrong(edge, at, is_held) { Ok(true) } else { outcome }
    }

    /// Whether HAProxy still says the contrary. A change that comes while another thread is at work is made by that one, a
    /// moment after the answer, and HAProxy's clock is late by as long as its processor serves others.
    fn stays_wrong(&self, edge: &Edge, at: usize, is_held: bool) -> bool {
        thread::sleep(HAND_OFF);
        self.send(edge, at, "GET", None).is_ok_and(|answer| answer.is_from_backend() == is_held)
    }

    fn teach(&mut self, edge: &Edge, at: usize, ttl_s: u64, is_steady: bool) -> Result<bool, String> {
        let subject = &self.subjects[at];
        let lesson = match subject.kind {
            Kind::Method => format!("false; method; ttl={ttl_s}"),
            Kind::Prefix => format!("false; match=prefix; path=\"/p/{}/\"; ttl={ttl_s}", subject.number),
            Kind::Client => format!("false; scope=client; ttl={ttl_s}"),
        };
        let asked_ms = now_ms();
        let answer = self.send(edge, at, "GET", Some(&lesson));
        let fact = Fact::made(asked_ms..=now_ms(), ttl_s);
        self.note(at, answer, fact, is_steady).inspect(|answered| self.counts.lessons += u64::from(*answered))
    }

    fn take_back(&mut self, edge: &Edge, at: usize, is_steady: bool) -> Result<bool, String> {
        let answer = self.send(edge, at, "POST", Some("true"));
        self.note(at, answer, Fact::Absent, is_steady)
            .inspect(|answered| self.counts.taken_back += u64::from(*answered))
    }

    /// What the answer to a lesson, or its absence, says about a rule.
    fn note(
        &mut self,
        at: usize,
        answer: io::Result<Response>,
        fact: Fact,
        is_steady: bool,
    ) -> Result<bool, String> {
        let Subject { target, belief, .. } = &mut self.subjects[at];
        match answer {
            Ok(answer) if answer.is_from_backend() => *belief = Belief::sure(fact),
            // The other worker has not followed yet, and the backend was not asked.
            Ok(_) if !is_steady => {}
            Ok(answer) => {
                return Err(format!(
                    "{target}: answered with {} by the edge though {belief:?}",
                    answer.status
                ));
            }
            Err(_) => {
                belief.or(fact);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn send(&self, edge: &Edge, at: usize, method: &str, lesson: Option<&str>) -> io::Result<Response> {
        let Subject { kind, number, .. } = &self.subjects[at];
        let target = match kind {
            Kind::Method => format!("/m/{number}"),
            Kind::Prefix => format!("/p/{number}/x"),
            Kind::Client => "/".to_owned(),
        };
        let mut request = Request::new(method, &target).host(&self.host);
        if let Kind::Client = kind {
            request = request.forwarded_for(&format!("10.50.{}.{number}", self.number));
        }
        if let Some(lesson) = lesson {
            request = request.header(TEACH, lesson);
        }
        edge.try_send(&request)
    }

    /// Holds what HAProxy lists against what it acknowledged; what is wrong, a line each.
    pub(super) fn check(&mut self, listing: &mut Listing) -> Vec<String> {
        let mut wrong = Vec::new();
        for Subject { target, belief, .. } in &mut self.subjects {
            let seen = listing.take(target);
            if let Err(why) = belief.settle(seen, listing) {
                wrong.push(format!("{target}: {why}"));
            }
        }
        wrong
    }
}
