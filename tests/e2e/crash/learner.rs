//! A client, and what the backend has it teach HAProxy: a pool of resources and addresses that no other client touches.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use edge_e2e::{Answer, Edge, Received, Request, Response};
use fastrand::Rng;

use super::IN_FORCE;
use super::facts::{Belief, Fact, Listing, now_ms};

/// Rules of one kind that a client cares for.
const POOL: usize = 25;

/// The header of a request whose value the backend gives back as `X-Edge-Resource`.
const TEACH: &str = "x-teach";

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

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Answered by whom it should be.
    Right,
    /// By the other: HAProxy or the backend.
    Wrong,
    NoAnswer,
}

/// What was acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) lessons: u64,
    pub(super) taken_back: u64,
    pub(super) requests: u64,
    /// Answers that were wrong at first: another thread was at work.
    pub(super) late: u64,
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
    /// force, at once or as soon as the thread that works on the rules has seen it; while one worker follows another that
    /// is not looked at.
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
            (true, Kind::Method, 0..4) => self.take_back(edge, at),
            (false, _, 0..7) => {
                let ttl_s = if long_lived { self.rng.u64(3600..=80_000) } else { self.rng.u64(1..=6) };
                self.teach(edge, at, ttl_s)
            }
            _ => match self.send(edge, at, "GET", None) {
                Ok(answer) if answer.is_from_backend() == is_held => Outcome::Wrong,
                Ok(_) => Outcome::Right,
                Err(_) => Outcome::NoAnswer,
            },
        };
        if is_steady && outcome == Outcome::Wrong {
            self.counts.late += 1;
            self.await_right(edge, at)?;
        }
        Ok(outcome != Outcome::NoAnswer)
    }

    /// A lesson that comes while another thread works on the rules is taken by that one, after its response has gone on: soon,
    /// or where the machine is busy, when that thread has its turn.
    fn await_right(&self, edge: &Edge, at: usize) -> Result<(), String> {
        let subject = &self.subjects[at];
        let started = Instant::now();
        loop {
            let Some(is_held) = subject.belief.is_held() else { return Ok(()) };
            match self.send(edge, at, "GET", None) {
                // Killed meanwhile.
                Err(_) => return Ok(()),
                Ok(answer) if answer.is_from_backend() != is_held => return Ok(()),
                Ok(_) if started.elapsed() < IN_FORCE => thread::sleep(Duration::from_millis(1)),
                Ok(answer) => {
                    let Subject { target, belief, .. } = subject;
                    return Err(format!("{target}: answered with {} though {belief:?}", answer.status));
                }
            }
        }
    }

    fn teach(&mut self, edge: &Edge, at: usize, ttl_s: u64) -> Outcome {
        let subject = &self.subjects[at];
        let lesson = match subject.kind {
            Kind::Method => format!("false; method; ttl={ttl_s}"),
            Kind::Prefix => format!("false; match=prefix; path=\"/p/{}/\"; ttl={ttl_s}", subject.number),
            Kind::Client => format!("false; scope=client; ttl={ttl_s}"),
        };
        let asked_ms = now_ms();
        let answer = self.send(edge, at, "GET", Some(&lesson));
        let fact = Fact::made(asked_ms..=now_ms(), ttl_s);
        let outcome = self.note(at, answer, fact);
        self.counts.lessons += u64::from(outcome == Outcome::Right);
        outcome
    }

    fn take_back(&mut self, edge: &Edge, at: usize) -> Outcome {
        let answer = self.send(edge, at, "POST", Some("true; method=any"));
        let outcome = self.note(at, answer, Fact::Absent);
        self.counts.taken_back += u64::from(outcome == Outcome::Right);
        outcome
    }

    /// What the answer to a lesson, or its absence, says about a rule.
    fn note(&mut self, at: usize, answer: io::Result<Response>, fact: Fact) -> Outcome {
        let belief = &mut self.subjects[at].belief;
        match answer {
            Ok(answer) if answer.is_from_backend() => {
                *belief = Belief::sure(fact);
                Outcome::Right
            }
            Ok(_) => Outcome::Wrong,
            Err(_) => {
                belief.or(fact);
                Outcome::NoAnswer
            }
        }
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
