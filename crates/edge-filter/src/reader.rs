//! Lookups.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use crate::resource::{Found, Known, Query, ResourceRule, canonical_base};
use crate::snapshot::LEARNED;
use crate::tally::{Table, Tally};
use crate::{
    Action, ClientNet, Filter, List, Request, Rule, Scratch, Snapshot, Verdict, canonical_host,
    canonical_path,
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
    /// `None` where no rule matched.
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
    /// [`Verdict::Ask`] where a rule has conditions, or lets one request through and the client decides which. O(length);
    /// allocates nothing, takes no lock, cannot panic.
    #[inline]
    pub fn resource(&mut self, base: &[u8], now_s: u32) -> Verdict {
        let snapshot = self.snapshot.load();
        self.tally.count_lookup(Table::Resource);
        if snapshot.resources.len() == 0 {
            return Verdict::Pass;
        }
        let Scratch { host, path, .. } = &mut self.scratch;
        let parameters = self.filter.settings().parameter_segments;
        let Ok((host, path)) = canonical_base(base, parameters, host, path) else { return Verdict::Pass };
        match snapshot.resources.decide(host, path, Known::Resource, now_s) {
            None => Verdict::Pass,
            Some(Found::Rule(_, rule)) if !awaits_probe(rule, snapshot, now_s) => {
                count(Table::Resource, rule.action, rule.slot, snapshot, &self.tally)
            }
            Some(Found::Rule(..) | Found::Undecided(_)) => {
                self.tally.count_verdict(Table::Resource, Verdict::Ask);
                Verdict::Ask
            }
        }
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
        let segments = self.filter.settings().parameter_segments;
        let pass = Decision { verdict: Verdict::Pass, rule: None };
        let Scratch { host, path, query, parameters, keys } = &mut self.scratch;
        let host = canonical_host(request.host, host);
        let Ok(path) = canonical_path(request.path, segments, path) else { return pass };
        let known = Known::Request(request, Query::new(request.query, query, parameters, keys));
        match snapshot.resources.decide(host, path, known, now_s) {
            Some(Found::Rule(of, rule)) => {
                let is_let_through = awaits_probe(rule, snapshot, now_s)
                    && may_probe(rule, request.client)
                    && snapshot.cells.take_probe(rule.slot, rule.expires_at_s, now_s);
                let verdict = if is_let_through {
                    self.tally.count_half_open();
                    Verdict::Pass
                } else {
                    count(Table::Resource, rule.action, rule.slot, snapshot, &self.tally)
                };
                Decision { verdict, rule: Some(snapshot.resource_rule(of, rule)) }
            }
            Some(Found::Undecided(_)) | None => pass,
        }
    }

    pub(crate) fn parts(&mut self) -> (&Arc<Snapshot>, &mut Scratch) {
        (self.snapshot.load(), &mut self.scratch)
    }
}
