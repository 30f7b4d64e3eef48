//! Lookups.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use crate::address::Ruling;
use crate::resource::{Found, Known, Query, ResourceRule, canonical_base};
use crate::snapshot::LEARNED;
use crate::tally::{Table, Tally};
use crate::{
    Action, Filter, List, Request, Rule, Scratch, Snapshot, Verdict, canonical_host, canonical_path,
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

/// The rule of a lookup, as far as counting it needs.
struct Hit {
    action: Action,
    expires_at_s: u32,
    slot: u32,
    source: u8,
}

impl From<&Ruling> for Hit {
    #[inline]
    fn from(ruling: &Ruling) -> Self {
        let Ruling { expires_at_s, slot, source, .. } = *ruling;
        Self { action: ruling.action(), expires_at_s, slot, source }
    }
}

impl From<&ResourceRule> for Hit {
    fn from(rule: &ResourceRule) -> Self {
        let ResourceRule { conditions: _, details: _, action, expires_at_s, slot, source } = *rule;
        Self { action, expires_at_s, slot, source }
    }
}

impl Hit {
    /// Count it; a request that is let through near the end of a learned rule passes.
    #[inline]
    fn verdict(&self, table: Table, snapshot: &Snapshot, tally: &Tally, now_s: u32) -> Verdict {
        if self.source == LEARNED && snapshot.cells.take_probe(self.slot, self.expires_at_s, now_s) {
            tally.count_half_open();
            return Verdict::Pass;
        }
        let verdict = self.action.verdict();
        tally.count_hit(self.slot, &snapshot.cells);
        tally.count_verdict(table, verdict);
        verdict
    }
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
            Some(ruling) => Hit::from(ruling).verdict(Table::Address, snapshot, &self.tally, now_s),
        }
    }

    /// The verdict on a resource, given as HAProxy's `base`: the `Host` header and the path behind it.
    /// [`Verdict::Ask`] where a rule has conditions. O(length); allocates nothing, takes no lock, cannot panic.
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
            Some(Found::Undecided(_)) => {
                self.tally.count_verdict(Table::Resource, Verdict::Ask);
                Verdict::Ask
            }
            Some(Found::Rule(_, rule)) => {
                Hit::from(rule).verdict(Table::Resource, snapshot, &self.tally, now_s)
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
                decision.verdict = Hit::from(ruling).verdict(Table::Address, snapshot, &self.tally, now_s);
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
    /// judged before, so that it is neither counted nor let through twice.
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
            Some(Found::Rule(of, rule)) => Decision {
                verdict: Hit::from(rule).verdict(Table::Resource, snapshot, &self.tally, now_s),
                rule: Some(snapshot.resource_rule(of, rule)),
            },
            Some(Found::Undecided(_)) | None => pass,
        }
    }

    pub(crate) fn parts(&mut self) -> (&Arc<Snapshot>, &mut Scratch) {
        (self.snapshot.load(), &mut self.scratch)
    }
}
