//! The manager's side: changes rules through the state directory, and knows which of them were acknowledged.

use std::collections::BTreeMap;
use std::io;
use std::iter;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use edge_e2e::{Edge, ListedRule, Request, RulesProcess, StateHome};
use fastrand::Rng;

use super::IN_FORCE;
use super::facts::{Belief, Fact, Listing, Seen, now_s};

const NO_END: u32 = u32::MAX;

const LISTS: [&str; 2] = ["manual", "feed"];

/// By kind and what it is about.
pub(super) type Rules = BTreeMap<(&'static str, String), ListedRule>;

#[derive(Debug)]
pub(super) struct Manager<'a> {
    home: &'a StateHome,
    writer: RulesProcess,
    /// The process of the writer, for whoever wants to kill it.
    pub(super) pid: &'a AtomicU32,
    rules: Rules,
    /// The rules after a change that was under way when the writer was killed: nobody knows yet whether it was made.
    unsure: Option<Rules>,
    was_damaged: bool,
    rng: Rng,
    pub(super) changes: u64,
    pub(super) restarts: u64,
}

/// The built binary.
pub(super) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_edge-rules-writer"))
}

impl<'a> Manager<'a> {
    pub(super) fn start(home: &'a StateHome, pid: &'a AtomicU32, rng: Rng) -> Self {
        let writer = RulesProcess::spawn(program(), home).expect("a new state directory can be written");
        pid.store(writer.pid(), Ordering::SeqCst);
        Self {
            home,
            writer,
            pid,
            rules: Rules::new(),
            unsure: None,
            was_damaged: false,
            rng,
            changes: 0,
            restarts: 0,
        }
    }

    /// Changes rules until told to stop. Where `is_steady`, one worker answers, and whatever it says is in force is obeyed
    /// at once; the other one of a reload may follow a moment later.
    ///
    /// # Errors
    /// A change that was acknowledged is gone, or one that is in force is not obeyed.
    pub(super) fn run(&mut self, edge: &Edge, stop: &AtomicBool, is_steady: bool) -> Result<(), String> {
        while !stop.load(Ordering::Relaxed) {
            let (next, outcome) = self.change();
            match outcome {
                Ok(_) => {
                    self.rules = next;
                    self.changes += 1;
                }
                Err(_) => {
                    self.unsure = Some(next);
                    if stop.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    self.revive_if_dead()?;
                }
            }
            if self.rng.u8(..3) == 0 {
                self.sync_and_ask(edge, is_steady)?;
            }
        }
        Ok(())
    }

    /// Starts another writer if this one was killed. Its revision says whether the change that was under way was made.
    ///
    /// # Errors
    /// It does not start, or has found something else than what was acknowledged.
    pub(super) fn revive_if_dead(&mut self) -> Result<(), String> {
        if self.writer.is_alive() {
            return Ok(());
        }
        let before = self.writer.revision();
        let writer = RulesProcess::spawn(program(), self.home);
        self.writer = writer.map_err(|e| format!("the next writer does not start: {e}"))?;
        self.pid.store(self.writer.pid(), Ordering::SeqCst);
        self.restarts += 1;
        let unsure = self.unsure.take();
        self.was_damaged = self.writer.is_damaged();
        let revision = self.writer.revision();
        if self.writer.is_damaged() {
            // A snapshot overrules whatever the files say.
            let mended = self.writer.rotate(&LISTS, self.rules.values());
            mended.map_err(|e| format!("the damaged journal is not mended: {e}"))?;
        } else if revision == before + 1
            && let Some(next) = unsure
        {
            self.rules = next;
        } else if revision != before {
            return Err(format!("revision {before} was acknowledged, and the next writer found {revision}"));
        }
        Ok(())
    }

    /// Whether the writer that was started last has found the end of the journal spoilt.
    pub(super) fn has_found_spoilt(&self) -> bool {
        self.writer.torn_bytes() > 0 || self.was_damaged
    }

    /// The rules that may be: one set, but for a change of which nobody knows whether it was made.
    pub(super) fn candidates(&self) -> Vec<Rules> {
        iter::once(&self.rules).chain(&self.unsure).cloned().collect()
    }

    /// A change, and the rules after it.
    fn change(&mut self) -> (Rules, io::Result<u64>) {
        let mut next = self.rules.clone();
        next.retain(|_, rule| u64::from(rule.ends_at_s) > now_s());
        let outcome = match self.rng.u8(..20) {
            0..10 => {
                let n = self.rng.u8(..);
                let (kind, what) = match self.rng.u8(..3) {
                    0 => ("block", format!("172.16.0.{n}")),
                    1 => ("allow", format!("172.17.0.{n}")),
                    _ => ("resource", format!("m.example/r/{n}")),
                };
                let short = u32::try_from(now_s() + self.rng.u64(1..=5)).expect("a time before 2106");
                let ends_at_s = if self.rng.bool() { NO_END } else { short };
                let rule = ListedRule { kind, what, ends_at_s, list: "manual" };
                next.insert((kind, rule.what.clone()), rule.clone());
                self.writer.put(&rule)
            }
            10..14 => {
                let manual: Vec<_> = next.iter().filter(|(_, rule)| rule.list == "manual").collect();
                let Some((key, _)) = self.rng.choice(manual) else { return (next, Ok(0)) };
                let (kind, what) = key.clone();
                next.remove(&(kind, what.clone()));
                self.writer.remove(kind, &what)
            }
            14..18 => {
                next.retain(|_, rule| rule.list != "feed");
                let addresses = (0..=255).filter(|_| self.rng.u8(..3) == 0).map(|n| format!("192.168.7.{n}"));
                let feed: Vec<ListedRule> = addresses
                    .map(|what| ListedRule { kind: "block", what, ends_at_s: NO_END, list: "feed" })
                    .collect();
                let outcome = self.writer.replace("feed", feed.iter());
                next.extend(feed.into_iter().map(|rule| (("block", rule.what.clone()), rule)));
                outcome
            }
            _ => self.writer.rotate(&LISTS, next.values()),
        };
        (next, outcome)
    }

    /// Has HAProxy catch up, and asks for something that a rule is about.
    fn sync_and_ask(&mut self, edge: &Edge, is_steady: bool) -> Result<(), String> {
        // Nobody answers where HAProxy was killed.
        if !sync(edge, self.writer.revision())? {
            return Ok(());
        }
        let Some((key, rule)) = self.rng.choice(self.rules.iter()) else { return Ok(()) };
        let request = match key.0 {
            "resource" => {
                let (host, path) = rule.what.split_at(rule.what.find('/').expect("a path"));
                Request::get(path).host(host)
            }
            _ => Request::get("/").forwarded_for(&rule.what),
        };
        let started = Instant::now();
        while u64::from(rule.ends_at_s) > now_s() + 1 {
            match edge.try_send(&request) {
                Ok(answer) if answer.is_from_backend() != (rule.kind == "allow") => {
                    if is_steady || started.elapsed() > IN_FORCE {
                        let status = answer.status;
                        return Err(format!(
                            "{rule} is in force, and {request:?} was answered with {status}"
                        ));
                    }
                    thread::sleep(Duration::from_millis(5));
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// The revision that was acknowledged last.
    pub(super) fn revision(&self) -> u64 {
        self.writer.revision()
    }
}

/// Holds what HAProxy lists against these rules; what is wrong, a line each.
pub(super) fn check(rules: &Rules, listing: &mut Listing) -> Vec<String> {
    let mut wrong = Vec::new();
    for rule in rules.values() {
        let target =
            if rule.kind == "resource" { rule.what.clone() } else { format!("{} {}", rule.kind, rule.what) };
        let seen = listing.take(&target);
        let end_s = u64::from(rule.ends_at_s);
        let settled = match seen {
            Seen::NoEnd if rule.ends_at_s == NO_END => Ok(()),
            seen => Belief::sure(Fact::Held(end_s..=end_s)).settle(seen, listing),
        };
        if let Err(why) = settled {
            wrong.push(format!("{rule}: {why}"));
        }
    }
    wrong
}

/// Has HAProxy catch up until it says that this revision is in force; whether it answered.
///
/// # Errors
/// It says something else.
pub(super) fn sync(edge: &Edge, revision: u64) -> Result<bool, String> {
    let mut answer = String::new();
    for _ in 0..10_000 {
        match edge.try_cli("edge sync") {
            Ok(text) if !text.trim().is_empty() => answer = text,
            _ => return Ok(false),
        }
        let words: Vec<&str> = answer.trim().split([' ', ',']).collect();
        match words[..] {
            ["revision", number, ..] if number.parse().is_ok_and(|number: u64| number >= revision) => {
                return Ok(true);
            }
            ["revision", _, ..] => {}
            _ => return Err(format!("edge sync answered {answer:?}")),
        }
    }
    Err(format!("edge sync answered {answer:?} again and again, while {revision} was acknowledged"))
}
