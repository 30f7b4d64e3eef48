//! Dividing rules into records.

use std::collections::HashMap;
use std::sync::Arc;

use edge_filter::{AddressRule, Origin, Rule, Target};

use crate::{EncodeError, codec};

/// Rules of one record: few enough that a reader holds and applies them in a slice of its time.
const MAX_ADDRESSES: usize = 2048;
const MAX_OTHERS: usize = 512;

/// List and reason.
type Terms = (Arc<str>, Arc<str>);

/// Rules that wait for their record. Addresses of one list and reason go into one.
#[derive(Default)]
pub(super) struct Chunks {
    /// Those that have the terms of the last one: most often that is all.
    current: Option<(Terms, Vec<AddressRule>)>,
    addresses: HashMap<Terms, Vec<AddressRule>>,
    /// All that wait in these two.
    waiting: usize,
    others: Vec<Rule>,
    /// All that were taken.
    count: u64,
}

impl Chunks {
    /// Takes a rule, and writes what has become a full record.
    pub(super) fn push(&mut self, out: &mut Vec<u8>, rule: Rule) -> Result<(), EncodeError> {
        self.count = self.count.saturating_add(1);
        let Rule {
            target: Target::Client(list, net),
            action,
            expires_at_s,
            origin: Origin::List(name),
            reason,
        } = rule
        else {
            self.others.push(rule);
            return if self.others.len() < MAX_OTHERS { Ok(()) } else { self.write_others(out) };
        };
        let terms = (name, reason);
        if self.current.as_ref().is_none_or(|(current, _)| *current != terms) {
            self.addresses.extend(self.current.take());
            self.current = Some(self.addresses.remove_entry(&terms).unwrap_or((terms, Vec::new())));
        }
        if let Some((_, rules)) = &mut self.current {
            rules.push(AddressRule { list, net, action, expires_at_s });
        }
        self.waiting = self.waiting.saturating_add(1);
        // Many lists and reasons share the bound, so that memory has one.
        if self.waiting < MAX_ADDRESSES { Ok(()) } else { self.write_addresses(out) }
    }

    /// Writes what waits. How many rules there were in all.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<u64, EncodeError> {
        self.write_addresses(out)?;
        self.write_others(out)?;
        Ok(self.count)
    }

    fn write_addresses(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.waiting = 0;
        // The groups stay as long as they are in use: most often there is one.
        self.addresses.retain(|_, rules| !rules.is_empty());
        self.addresses.extend(self.current.take());
        let mut groups: Vec<_> = self.addresses.iter_mut().collect();
        // A file is the same whenever it is written of the same rules.
        groups.sort_unstable_by_key(|(a, _)| (*a).clone());
        for ((list, reason), rules) in groups {
            codec::addresses(out, list, reason, rules)?;
            rules.clear();
        }
        Ok(())
    }

    fn write_others(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let rules = std::mem::take(&mut self.others);
        write_others(out, &rules)
    }
}

/// As one record, or as more where one would be too long.
fn write_others(out: &mut Vec<u8>, rules: &[Rule]) -> Result<(), EncodeError> {
    if rules.is_empty() {
        return Ok(());
    }
    match codec::rules(out, rules) {
        Err(EncodeError::TooLarge { .. }) if rules.len() > 1 => {
            let (first, second) = rules.split_at_checked(rules.len().div_ceil(2)).unwrap_or_default();
            write_others(out, first)?;
            write_others(out, second)
        }
        other => other,
    }
}
