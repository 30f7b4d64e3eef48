//! Lookups.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use crate::resource::{Base, Found, Known, PathReadings, Query, ResourceRule, path_readings};
use crate::snapshot::LEARNED;
use crate::tally::{Table, Tally};
use crate::{
    Action, ClientNet, Filter, List, Request, Rule, Scratch, Snapshot, Status, UnreadablePath, Verdict,
    canonical_host,
};

/// Lookups for one thread: its view of the snapshot, its buffers, its counts.
#[derive(Debug)]
pub struct Reader<'f> {
    pub(crate) filter: &'f Filter,
    snapshot: Cache<&'f ArcSwap<Snapshot>, Arc<Snapshot>>,
    pub(crate) scratch: Scratch,
    tally: Arc<Tally>,
}

/// The verdict on a whole request, and the rule that it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Never [`Verdict::Ask`].
    pub verdict: Verdict,
    /// `None` where no rule matched, and where the path or the query cannot be read.
    pub rule: Option<Rule>,
}

/// Count the hit of the rule in this slot.
#[inline]
fn count(table: Table, action: Action, slot: u32, snapshot: &Snapshot, tally: &Tally) -> Verdict {
    let verdict = action.verdict();
    tally.count_hit(slot, &snapshot.cells);
    tally.count_verdict(table, verdict);
    verdict
}

/// Whether the one request of a learned rule near its end is still to be let through.
#[inline]
fn awaits_probe(rule: &ResourceRule, snapshot: &Snapshot, now_s: u32) -> bool {
    rule.source == LEARNED && snapshot.cells.awaits_probe(rule.slot, rule.expires_at_s, now_s)
}

/// Whether that request may come from this client: from another network than the one that caused the rule, so that
/// nobody who has had a backend close a resource keeps it closed. Where one of the two is not known, they may be the same.
fn may_probe(rule: &ResourceRule, client: Option<IpAddr>) -> bool {
    let from = rule.details.as_deref().and_then(|details| details.provenance.as_deref());
    let caused_by = from.and_then(|from| from.client_network);
    caused_by.is_none_or(|network| client.is_some_and(|client| ClientNet::of_client(client) != network))
}

impl<'f> Reader<'f> {
    pub(crate) fn new(filter: &'f Filter, published: &'f ArcSwap<Snapshot>, tally: Arc<Tally>) -> Self {
        Self { filter, snapshot: Cache::new(published), scratch: Scratch::new(), tally }
    }

    /// Let go of an old snapshot. A lookup does it by itself; a thread without lookups calls this now and then,
    /// or the memory of what has changed since stays allocated.
    pub fn refresh(&mut self) {
        self.snapshot.load();
    }

    /// The verdict on a client. Two tables of at most some dozen dependent loads; allocates nothing, takes no
    /// lock, cannot panic.
    #[inline]
    pub fn address(&mut self, addr: IpAddr, now_s: u32) -> Verdict {
        let snapshot = self.snapshot.load();
        self.tally.count_lookup(Table::Address);
        match snapshot.blocking(addr.to_canonical(), now_s) {
            None => Verdict::Pass,
            Some(ruling) => count(Table::Address, ruling.action(), ruling.slot, snapshot, &self.tally),
        }
    }

    /// The verdict on a resource, given as HAProxy's `base`: the `Host` header and the path behind it.
    /// [`Verdict::Ask`] where a rule has conditions, or lets one request through and the client decides which. A path that
    /// is too long to be read is refused, so that its length is no way around a rule. O(length); allocates nothing, takes
    /// no lock, cannot panic.
    #[inline]
    pub fn resource(&mut self, base: &[u8], now_s: u32) -> Verdict {
        let snapshot = self.snapshot.load();
        self.tally.count_lookup(Table::Resource);
        let settings = self.filter.settings();
        let Scratch { host, path, second_path, .. } = &mut self.scratch;
        if snapshot.resources.len() == 0 && !settings.strict_paths && base.len() <= path.len() / 3 {
            return Verdict::Pass;
        }
        let base = Base::read(base, host);
        let view = View { snapshot, tally: &self.tally, now_s };
        let paths = match base.plain_path() {
            Some(plain) if plain.len() <= path.len() => PathReadings { first: plain, second: None },
            _ => match base.readings(settings, path, second_path) {
                Ok(paths) => paths,
                Err(unreadable) => return view.refuse(unreadable),
            },
        };
        if paths.second.is_some() {
            return view.resource(base.host, paths);
        }
        let found = snapshot.resources.decide(base.host, paths.first, Known::Resource, now_s);
        found.map_or(Verdict::Pass, |found| view.verdict(found))
    }

    /// The verdict on a whole request, conditions and all. The client's comes first where it refuses; an
    /// observed client is still held against the resources. Allocates for the rule that it answers with.
    pub fn check(&mut self, request: &Request<'_>, now_s: u32) -> Decision {
        let mut decision = Decision { verdict: Verdict::Pass, rule: None };
        if let Some(addr) = request.client.map(|addr| addr.to_canonical()) {
            let snapshot = self.snapshot.load();
            self.tally.count_lookup(Table::Address);
            if let Some(ruling) = snapshot.blocking(addr, now_s) {
                decision.verdict = count(Table::Address, ruling.action(), ruling.slot, snapshot, &self.tally);
                decision.rule = Some(snapshot.address_rule(List::Block, &ruling.entry(addr)));
            }
        }
        if decision.verdict.refuses() {
            return decision;
        }
        match self.check_resource(request, now_s) {
            Decision { verdict: Verdict::Pass, rule } if decision.rule.is_some() || rule.is_none() => {
                decision
            }
            of_resource => of_resource,
        }
    }

    /// The verdict on what a request asks for, conditions and all, whoever asks: for requests whose client was
    /// judged before, so that it is not counted twice.
    pub fn check_resource(&mut self, request: &Request<'_>, now_s: u32) -> Decision {
        let snapshot = self.snapshot.load();
        self.tally.count_lookup(Table::Resource);
        let settings = self.filter.settings();
        let Scratch { host, path, second_path, query, parameters, keys } = &mut self.scratch;
        let host = canonical_host(request.host, host);
        let view = View { snapshot, tally: &self.tally, now_s };
        let paths = match path_readings(request.path, settings, path, second_path) {
            Ok(paths) => paths,
            Err(unreadable) => return Decision { verdict: view.refuse(unreadable), rule: None },
        };
        let known = Known::Request(request, Query::new(request.query, query, parameters, keys));
        match paths.second {
            None => match snapshot.resources.decide(host, paths.first, known, now_s) {
                Some(found) => view.decision(found, request.client),
                None => Decision { verdict: Verdict::Pass, rule: None },
            },
            Some(_) => view.decide_both(host, paths, known, request.client),
        }
    }

    pub(crate) fn parts(&mut self) -> (&Arc<Snapshot>, &mut Scratch) {
        (self.snapshot.load(), &mut self.scratch)
    }
}

/// What a lookup of a resource works with.
#[derive(Clone, Copy)]
struct View<'a> {
    snapshot: &'a Snapshot,
    tally: &'a Tally,
    now_s: u32,
}

impl View<'_> {
    /// By host and path alone.
    #[inline]
    fn verdict(self, found: Found<'_>) -> Verdict {
        match found {
            Found::Rule(_, rule) if !awaits_probe(rule, self.snapshot, self.now_s) => {
                count(Table::Resource, rule.action, rule.slot, self.snapshot, self.tally)
            }
            Found::Rule(..) | Found::Undecided(_) => {
                self.tally.count_verdict(Table::Resource, Verdict::Ask);
                Verdict::Ask
            }
        }
    }

    /// By all that is known of a request.
    fn decision(self, found: Found<'_>, client: Option<IpAddr>) -> Decision {
        match found {
            Found::Undecided(_) => {
                // Only a query that is too long leaves a rule undecided here.
                let verdict = Verdict::Deny(Status::URI_TOO_LONG);
                self.tally.count_verdict(Table::Resource, verdict);
                Decision { verdict, rule: None }
            }
            Found::Rule(of, rule) => {
                let is_let_through = awaits_probe(rule, self.snapshot, self.now_s)
                    && may_probe(rule, client)
                    && self.snapshot.cells.take_probe(rule.slot, rule.expires_at_s, self.now_s);
                let verdict = if is_let_through {
                    self.tally.count_half_open();
                    Verdict::Pass
                } else {
                    count(Table::Resource, rule.action, rule.slot, self.snapshot, self.tally)
                };
                Decision { verdict, rule: Some(self.snapshot.resource_rule(of, rule)) }
            }
        }
    }

    #[cold]
    fn resource(self, host: &[u8], paths: PathReadings<'_>) -> Verdict {
        let found = self.snapshot.resources.decide_readings(host, paths, Known::Resource, self.now_s);
        settle(found, |found| self.verdict(found), |verdict| *verdict).unwrap_or(Verdict::Pass)
    }

    #[inline(never)]
    fn decide_both(
        self,
        host: &[u8],
        paths: PathReadings<'_>,
        known: Known<'_>,
        client: Option<IpAddr>,
    ) -> Decision {
        let found = self.snapshot.resources.decide_readings(host, paths, known, self.now_s);
        let decision = settle(found, |found| self.decision(found, client), |decision| decision.verdict);
        decision.unwrap_or(Decision { verdict: Verdict::Pass, rule: None })
    }

    /// A path that is refused whatever the rules say.
    #[cold]
    fn refuse(self, unreadable: UnreadablePath) -> Verdict {
        let verdict = unreadable.verdict();
        self.tally.count_verdict(Table::Resource, verdict);
        verdict
    }
}

/// What the readings of a path come to, the stricter one first. Where that lets a request through near the end of a learned
/// rule, the other one may still refuse it.
fn settle<'a, T>(
    [stricter, other]: [Option<Found<'a>>; 2],
    decide: impl Fn(Found<'a>) -> T,
    verdict: impl Fn(&T) -> Verdict,
) -> Option<T> {
    let decision = decide(stricter?);
    let verdict = verdict(&decision);
    match other {
        Some(other @ Found::Rule(..)) if !verdict.refuses() && other.may_refuse() => Some(decide(other)),
        Some(other @ Found::Undecided(_)) if verdict == Verdict::Pass => Some(decide(other)),
        _ => Some(decision),
    }
}

#[cfg(test)]
mod tests;
