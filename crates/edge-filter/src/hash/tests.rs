//! The hash table held against the standard library's map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::bucket::ROOM;
use super::*;

#[derive(Clone, Debug, PartialEq)]
struct Pair(u32, u32);

impl Hashed for Pair {
    fn hash(&self, keys: &RandomState) -> u64 {
        keys.hash_one(self.0)
    }
}

fn empty() -> HashTable<Pair> {
    HashTable::new(RandomState::with_seeds(1, 2, 3, 4))
}

fn find(table: &HashTable<Pair>, key: u32) -> Option<u32> {
    table.find(table.keys().hash_one(key), |pair| pair.0 == key).map(|pair| pair.1)
}

fn contents(table: &HashTable<Pair>) -> BTreeMap<u32, u32> {
    let mut all = BTreeMap::new();
    for Pair(key, value) in table.entries() {
        assert_eq!(all.insert(key, value), None, "{key} was visited twice");
    }
    all
}

proptest! {
    #[test]
    fn it_agrees_with_a_map_and_clones_stay_as_they_were(
        changes in proptest::collection::vec((0..400u32, proptest::option::weighted(0.7, any::<u32>())), 1..1500),
    ) {
        let (mut table, mut map) = (empty(), BTreeMap::new());
        let mut snapshots = Vec::new();
        for (step, (key, value)) in changes.into_iter().enumerate() {
            if step % 100 == 0 {
                snapshots.push((table.clone(), map.clone()));
            }
            let hash = table.keys().hash_one(key);
            match value {
                Some(value) => {
                    let replaced = table.insert(Pair(key, value), |pair| pair.0 == key).map(|pair| pair.1);
                    prop_assert_eq!(replaced, map.insert(key, value));
                }
                None => {
                    let removed = table.remove(hash, |pair| pair.0 == key).map(|pair| pair.1);
                    prop_assert_eq!(removed, map.remove(&key));
                }
            }
            prop_assert_eq!(table.len(), map.len());
            prop_assert_eq!(find(&table, key), map.get(&key).copied());
        }
        snapshots.push((table, map));
        for (table, map) in snapshots {
            prop_assert_eq!(contents(&table), map);
        }
    }
}

#[test]
fn many_entries_go_several_directories_deep_and_are_all_found() {
    let mut table = empty();
    for key in 0..300_000 {
        table.insert(Pair(key, !key), |pair| pair.0 == key);
    }
    assert_eq!(table.len(), 300_000);
    assert!((0..300_000).all(|key| find(&table, key) == Some(!key)));
    assert!((300_000..600_000).all(|key| find(&table, key).is_none()));
    assert_eq!(table.entries().count(), 300_000);
}

/// How many buckets and directories there are.
fn nodes(node: &Node<Pair>) -> usize {
    match node {
        Node::Leaf(buckets) => buckets.len(),
        Node::Directory(below) => 1 + below.iter().map(nodes).sum::<usize>(),
    }
}

#[test]
fn copies_that_come_at_once_take_the_room_of_one() {
    for copies in [2, ROOM, ROOM + 1, 1000] {
        for others in [0, ROOM as u32 - 1] {
            let (mut one, mut many) = (empty(), empty());
            for table in [&mut one, &mut many] {
                (1..=others).for_each(|key| _ = table.insert(Pair(key, 0), |pair| pair.0 == key));
            }
            one.insert(Pair(0, 7), |pair| pair.0 == 0);
            let hash = many.keys().hash_one(0u32);
            let mut taken = Vec::new();
            many.insert_many(
                &vec![(hash, 0); copies],
                |key, pair| pair.0 == *key,
                |key, _| {
                    let is_first = taken.is_empty();
                    taken.push(*key);
                    is_first.then_some(Pair(*key, 7))
                },
            );
            assert_eq!(contents(&many), contents(&one));
            assert_eq!(nodes(&many.root), nodes(&one.root), "{copies} copies beside {others}");
        }
    }
}

/// The worst that an attacker who knew the keys could do.
#[derive(Clone, Debug, PartialEq)]
struct Colliding(u32);

impl Hashed for Colliding {
    fn hash(&self, _: &RandomState) -> u64 {
        7
    }
}

#[test]
fn equal_hashes_end_neither_in_a_loop_nor_in_a_panic() {
    let mut table = HashTable::new(RandomState::with_seeds(1, 2, 3, 4));
    for key in 0..100 {
        table.insert(Colliding(key), |other| other.0 == key);
    }
    assert!((0..ROOM as u32).all(|key| table.find(7, |other| other.0 == key).is_some()));
    assert_eq!(table.entries().count(), 100);
    for key in 0..ROOM as u32 {
        assert_eq!(table.remove(7, |other| other.0 == key), Some(Colliding(key)));
    }
}

/// Odd values go unless they come again, and the value 0 leaves everything as it is.
#[derive(Default)]
struct Odd {
    gone: Vec<u32>,
}

impl Renewal<Pair> for Odd {
    fn is_same(one: &Pair, other: &Pair) -> bool {
        one.0 == other.0
    }

    fn stays(&self, entry: &Pair) -> bool {
        entry.1.is_multiple_of(2)
    }

    fn takes(&mut self, coming: &Pair, _: Option<&Pair>) -> Option<Pair> {
        (coming.1 != 0).then(|| coming.clone())
    }

    fn goes(&mut self, entry: &Pair) {
        self.gone.push(entry.0);
    }
}

proptest! {
    #[test]
    fn a_table_is_renewed_a_bucket_at_a_time_between_other_changes(
        old in proptest::collection::btree_map(0..3000u32, 0..9u32, 0..1500),
        coming in proptest::collection::btree_map(0..3000u32, 0..9u32, 0..1500),
        part_bits in proptest::sample::select(vec![0u32, 1, 8]),
        meanwhile in proptest::collection::vec(10_000..11_000u32, 0..300),
    ) {
        let mut table = empty();
        for (&key, &value) in &old {
            table.insert(Pair(key, value), |other| other.0 == key);
        }
        let before = table.clone();
        let mut sorted: Vec<Coming<Pair>> =
            coming.iter().map(|(&key, &value)| (table.keys().hash_one(key), Pair(key, value))).collect();
        sorted.sort_by_key(|(hash, _)| *hash);
        let (mut odd, mut meanwhile) = (Odd::default(), meanwhile.iter());
        let mut rest = &sorted[..];
        for part in 0..1u64 << part_bits {
            let first = part.checked_shl(64 - part_bits).unwrap_or(0);
            let mut span = Some(first..=first | u64::MAX >> part_bits);
            while let Some(left) = span {
                let (come, now_left) = table.renew_bucket(left, rest, &mut odd);
                (rest, span) = (&rest[come..], now_left);
                if let Some(&key) = meanwhile.next() {
                    table.insert(Pair(key, 2), |other| other.0 == key);
                }
            }
        }
        prop_assert!(rest.is_empty());
        let mut expected = old.clone();
        expected.retain(|key, value| *value % 2 == 0 || coming.contains_key(key));
        let went: Vec<u32> = old.keys().filter(|key| !expected.contains_key(key)).copied().collect();
        expected.extend(coming.iter().filter(|(_, value)| **value != 0));
        odd.gone.sort_unstable();
        prop_assert_eq!(odd.gone, went);
        let held = contents(&table);
        prop_assert_eq!(table.len(), held.len());
        prop_assert!(held.keys().all(|key| find(&table, *key) == held.get(key).copied()));
        let of_lists: BTreeMap<u32, u32> = held.into_iter().filter(|(key, _)| *key < 10_000).collect();
        prop_assert_eq!(of_lists, expected);
        prop_assert_eq!(contents(&before), old);
    }
}
