//! What a client knows of a rule, and whether what HAProxy lists can be true.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::{SystemTime, UNIX_EPOCH};

use edge_e2e::Edge;

/// HAProxy's coarse clock may be this much behind ours, milliseconds.
const CLOCK_LAG_MS: u64 = 20;

pub(super) fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    u64::try_from(elapsed.as_millis()).expect("a time before the year 500 million")
}

pub(super) fn now_s() -> u64 {
    now_ms() / 1000
}

/// One thing that may be true of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// There is none: never made, taken back, or ended.
    Absent,
    /// It ends at a second in this range, of the Unix epoch.
    Held(RangeInclusive<u64>),
}

impl Fact {
    /// A rule that was made between two moments, for so long.
    pub(super) fn made(between_ms: RangeInclusive<u64>, ttl_s: u64) -> Self {
        let end_s = |made_ms: u64| (made_ms + ttl_s * 1000).div_ceil(1000);
        // HAProxy's clock is the finer one here: the last moment lasts to the end of its millisecond.
        Self::Held(end_s(*between_ms.start())..=end_s(between_ms.end() + 1))
    }

    /// Whether a listing may say this of it.
    fn allows(&self, seen: Seen, listing: &Listing) -> bool {
        match (self, seen) {
            (Self::Absent, Seen::Nothing) => true,
            (Self::Absent, Seen::Left(_) | Seen::NoEnd) | (Self::Held(_), Seen::NoEnd) => false,
            (Self::Held(ends), Seen::Nothing) => listing.made_s.end() >= ends.start(),
            (Self::Held(ends), Seen::Left(left_s)) => {
                let (first, last) = (listing.made_s.start() + left_s, listing.made_s.end() + left_s);
                first <= *ends.end() && *ends.start() <= last
            }
        }
    }
}

/// All that may be true of a rule: more than one thing where HAProxy was killed before it answered.
#[derive(Clone, Debug)]
pub(super) struct Belief(Vec<Fact>);

impl Belief {
    pub(super) fn sure(fact: Fact) -> Self {
        Self(vec![fact])
    }

    /// Nobody knows whether the change to `fact` was made.
    pub(super) fn or(&mut self, fact: Fact) {
        self.0.push(fact);
    }

    /// What a listing leaves of it.
    ///
    /// # Errors
    /// Nothing.
    pub(super) fn settle(&mut self, seen: Seen, listing: &Listing) -> Result<(), String> {
        let possible: Vec<Fact> = self.0.iter().filter(|fact| fact.allows(seen, listing)).cloned().collect();
        if possible.is_empty() {
            return Err(format!("{seen:?} at {:?}, where {:?} may be", listing.made_s, self.0));
        }
        self.0 = if seen == Seen::Nothing { vec![Fact::Absent] } else { possible };
        Ok(())
    }

    /// Whether a request meets the rule now; `None` where that is not sure.
    pub(super) fn is_held(&self) -> Option<bool> {
        let now_s = now_s();
        match &self.0[..] {
            [Fact::Absent] => Some(false),
            [Fact::Held(ends)] if now_s + 1 < *ends.start() => Some(true),
            [Fact::Held(ends)] if now_s > *ends.end() => Some(false),
            _ => None,
        }
    }
}

/// What `show edge rules` says of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing, or that it has ended.
    Nothing,
    /// `N s left`
    Left(u64),
    NoEnd,
}

/// What `show edge rules` says.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    made_s: RangeInclusive<u64>,
    rules: HashMap<String, Seen>,
    /// Targets that were listed twice.
    pub(super) doubled: Vec<String>,
}

impl Listing {
    pub(super) fn of(edge: &Edge) -> Self {
        let asked_s = (now_ms() - CLOCK_LAG_MS) / 1000;
        let text = edge.cli("show edge rules");
        let mut listing = Self { made_s: asked_s..=now_s(), rules: HashMap::new(), doubled: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (target, rest) = line.split_once(": ").unwrap_or_else(|| panic!("no rule: {line:?}"));
            let seen = rest
                .split(", ")
                .find_map(|part| match part {
                    "ended" => Some(Seen::Nothing),
                    "no end" => Some(Seen::NoEnd),
                    part => part.strip_suffix(" s left")?.parse().ok().map(Seen::Left),
                })
                .unwrap_or_else(|| panic!("no end: {line:?}"));
            if listing.rules.insert(target.to_owned(), seen).is_some() {
                listing.doubled.push(target.to_owned());
            }
        }
        listing
    }

    /// What it says of a target, each of which is asked for once.
    pub(super) fn take(&mut self, target: &str) -> Seen {
        self.rules.remove(target).unwrap_or(Seen::Nothing)
    }

    /// Rules that nobody has asked for.
    pub(super) fn rest(&self) -> Vec<&str> {
        self.rules
            .iter()
            .filter(|(_, seen)| **seen != Seen::Nothing)
            .map(|(target, _)| target.as_str())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(made_s: RangeInclusive<u64>) -> Listing {
        Listing { made_s, rules: HashMap::new(), doubled: Vec::new() }
    }

    #[test]
    fn an_acknowledged_rule_must_be_seen_until_it_may_have_ended() {
        let held = Belief::sure(Fact::made(10_500..=10_900, 5));
        for (made_s, seen, possible) in [
            (12..=12, Seen::Left(4), true),
            (12..=12, Seen::Left(3), false),
            (12..=12, Seen::Left(5), false),
            (12..=13, Seen::Nothing, false),
            (12..=12, Seen::NoEnd, false),
            (15..=15, Seen::Left(1), true),
            (16..=16, Seen::Nothing, true),
            (17..=17, Seen::Left(1), false),
        ] {
            assert_eq!(
                held.clone().settle(seen, &listing(made_s.clone())).is_ok(),
                possible,
                "{made_s:?} {seen:?}"
            );
        }
    }

    #[test]
    fn what_was_not_acknowledged_is_settled_by_what_is_seen() {
        let mut belief = Belief::sure(Fact::Absent);
        belief.or(Fact::made(10_500..=10_900, 60));
        assert_eq!(belief.is_held(), None);
        let mut seen = belief.clone();
        seen.settle(Seen::Left(50), &listing(21..=21)).unwrap();
        seen.settle(Seen::Nothing, &listing(22..=22)).unwrap_err();
        belief.settle(Seen::Nothing, &listing(21..=21)).unwrap();
        belief.settle(Seen::Left(49), &listing(22..=22)).unwrap_err();
    }
}
