//! Addresses on their way into a table.

use std::ops::RangeInclusive;
use std::vec;

use ahash::RandomState;

use super::AddressEntry;
use super::packed::Packed;
use crate::hash::{Coming, Hashed};
use crate::trie::{Entry, Key};
use crate::{AddressRule, ClientNet};

/// Addresses of one family that are gathered in one part at most.
const ONE_PART: usize = 8192;

/// Bits of the hash that more of them are divided by.
const PART_BITS: u8 = 8;

/// Networks to be added to a table at once, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Arrivals {
    pub(super) v4_hosts: HostArrivals<u32>,
    pub(super) v6_hosts: HostArrivals<u128>,
    pub(super) nets: Vec<AddressEntry>,
}

impl Arrivals {
    /// None yet, for tables with these hash keys.
    pub(crate) fn new(keys: &RandomState) -> Self {
        Self { v4_hosts: HostArrivals::new(keys), v6_hosts: HostArrivals::new(keys), nets: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.v4_hosts.len + self.v6_hosts.len + self.nets.len()
    }

    /// One more, whatever its list; slot and source are still open.
    pub(crate) fn push(&mut self, rule: &AddressRule) {
        if !self.push_host(rule, 0) {
            let AddressRule { list: _, net, action, expires_at_s } = *rule;
            self.nets.push(AddressEntry::bare(net, action, expires_at_s));
        }
    }

    /// The same, if it is a single address; whether it is one. `mark` is found in the place of its slot.
    pub(crate) fn push_host(&mut self, rule: &AddressRule, mark: u32) -> bool {
        let AddressRule { list: _, net, action, expires_at_s } = *rule;
        let entry = AddressEntry { slot: mark, ..AddressEntry::bare(net, action, expires_at_s) };
        match net {
            ClientNet::V4(bits, 32) => self.v4_hosts.push(Packed::new(bits, 32, &entry)),
            ClientNet::V6(bits, 128) => self.v6_hosts.push(Packed::new(bits, 128, &entry)),
            _ => return false,
        }
        true
    }
}

/// Single addresses of one family, gathered by the first bits of their hashes: what comes together here lies together in
/// the table too. So each part is put in order and taken in while the cache holds it, and its memory is used again by
/// what the table makes of it.
#[derive(Debug)]
pub(super) struct HostArrivals<K> {
    keys: RandomState,
    /// One, or one for each value of the first bits.
    parts: Vec<Vec<Packed<K>>>,
    pub(super) len: usize,
}

impl<K: Key> HostArrivals<K> {
    fn new(keys: &RandomState) -> Self {
        Self { keys: keys.clone(), parts: vec![Vec::new()], len: 0 }
    }

    fn push(&mut self, entry: Packed<K>) {
        if self.len == ONE_PART {
            let gathered = std::mem::replace(&mut self.parts, vec![Vec::new(); 1 << PART_BITS]);
            gathered.into_iter().flatten().for_each(|entry| self.put(entry));
        }
        self.len += 1;
        self.put(entry);
    }

    fn put(&mut self, entry: Packed<K>) {
        let first_bits = (entry.hash(&self.keys) >> (u64::BITS - u32::from(PART_BITS))) as usize;
        let at = (first_bits * self.parts.len()) >> PART_BITS;
        self.parts[at].push(entry);
    }

    /// All of them a part at a time, in the order of their hashes, and those of the same address one after the other in
    /// the order in which they came.
    pub(super) fn in_order(self) -> InOrder<K> {
        let decided = if self.parts.len() == 1 { 0 } else { PART_BITS };
        InOrder { keys: self.keys, decided, next: 0, parts: self.parts.into_iter(), ordered: Vec::new() }
    }
}

/// Single addresses of one family in the order of their hashes.
#[derive(Debug)]
pub(super) struct InOrder<K> {
    keys: RandomState,
    /// First bits of the hash that a part has in common.
    decided: u8,
    /// Those of the next part.
    next: u64,
    parts: vec::IntoIter<Vec<Packed<K>>>,
    /// The part before.
    ordered: Vec<Coming<Packed<K>>>,
}

impl<K: Key> InOrder<K> {
    /// Put the next part in order; the hashes that may be in it. O(its addresses).
    pub(super) fn next_part(&mut self) -> Option<RangeInclusive<u64>> {
        let part = self.parts.next()?;
        put_in_order(&part, self.decided, &self.keys, &mut self.ordered);
        // The first bits of no bits are none.
        let first = self.next.checked_shl(u64::BITS - u32::from(self.decided)).unwrap_or(0);
        self.next += 1;
        Some(first..=first | u64::MAX >> self.decided)
    }

    /// The addresses of that part.
    pub(super) fn part(&self) -> &[Coming<Packed<K>>] {
        &self.ordered
    }
}

/// Put entries, whose hashes have the first `decided` bits in common, in the order of their hashes. They are spread by as
/// many bits more as there are entries, which leaves next to nothing to be moved: hashes are random.
fn put_in_order<K: Key>(
    entries: &[Packed<K>],
    decided: u8,
    keys: &RandomState,
    ordered: &mut Vec<Coming<Packed<K>>>,
) {
    ordered.clear();
    let Some(first) = entries.first() else { return };
    let bits = entries.len().ilog2().clamp(1, 16);
    let spread = |hash: u64| (hash << decided >> (u64::BITS - bits)) as usize;
    let hashes: Vec<u64> = entries.iter().map(|entry| entry.hash(keys)).collect();
    let mut places = vec![0; 1 << bits];
    for hash in &hashes {
        places[spread(*hash)] += 1;
    }
    let mut next = 0;
    for place in &mut places {
        next += std::mem::replace(place, next);
    }
    ordered.resize(entries.len(), (0, *first));
    for (hash, entry) in hashes.into_iter().zip(entries) {
        let place = &mut places[spread(hash)];
        ordered[*place] = (hash, *entry);
        *place += 1;
    }
    let order = |(hash, entry): &Coming<Packed<K>>| (*hash, entry.key());
    for at in 1..ordered.len() {
        let mut to = at;
        while to > 0 && order(&ordered[to]) < order(&ordered[to - 1]) {
            ordered.swap(to - 1, to);
            to -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;

    #[test]
    fn addresses_come_in_the_order_of_their_hashes_and_the_same_in_their_own() {
        let keys = RandomState::new();
        for count in [0, 1, 2, 100, 8192, 8193, 30_000u32] {
            let mut arrivals = HostArrivals::new(&keys);
            // Each address three times, far apart.
            for number in 0..count {
                let net = ClientNet::V4(number % count.div_ceil(3), 32);
                let entry = AddressEntry::bare(net, Action::Drop, number);
                arrivals.push(Packed::new(number % count.div_ceil(3), 32, &entry));
            }
            let mut all = Vec::new();
            let mut in_order = arrivals.in_order();
            let mut next = 0u128;
            while let Some(span) = in_order.next_part() {
                assert!(in_order.part().iter().all(|(hash, _)| span.contains(hash)));
                assert_eq!(u128::from(*span.start()), next, "a hash is left out");
                next = u128::from(*span.end()) + 1;
                all.extend_from_slice(in_order.part());
            }
            assert_eq!(next, 1 << 64);
            let order: Vec<_> = all
                .iter()
                .map(|(hash, entry)| (*hash, entry.key(), entry.unpack(ClientNet::V4).expires_at_s))
                .collect();
            assert!(order.is_sorted());
            assert!(all.iter().all(|(hash, entry)| *hash == entry.hash(&keys)));
            let mut numbers: Vec<u32> = order.iter().map(|(_, _, number)| *number).collect();
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..count));
        }
    }
}
