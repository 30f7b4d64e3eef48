//! The trie held against a list that is searched from end to end.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Tagged<K> {
    key: K,
    prefix_len: u8,
    tag: u16,
}

impl<K: Key> Entry for Tagged<K> {
    type Key = K;

    fn key(&self) -> K {
        self.key
    }

    fn prefix_len(&self) -> u8 {
        self.prefix_len
    }
}

/// Every entry looked at, one after the other.
struct Oracle<K>(BTreeMap<(u8, K), u16>);

impl<K: Key> Oracle<K> {
    fn covering(&self, key: K) -> Vec<Tagged<K>> {
        let covers = |(len, net): &(u8, K)| key.prefix(*len) == *net;
        let entry = |(&(prefix_len, key), &tag): (&(u8, K), &u16)| Tagged { key, prefix_len, tag };
        self.0.iter().filter(|(prefix, _)| covers(prefix)).map(entry).collect()
    }
}

#[derive(Clone, Debug)]
enum Change<K> {
    Insert(Tagged<K>),
    Remove(K, u8),
}

/// Few distinct bits, so that prefixes nest, collide and share long stretches.
fn prefix<K: Key + From<u32> + std::ops::Shl<u32, Output = K> + std::ops::BitOr<Output = K>>()
-> impl Strategy<Value = (K, u8)> {
    let near = (0..4u32, 0..u32::from(K::WIDTH)).prop_map(|(bits, shift)| K::from(bits) << shift);
    let key = proptest::collection::vec(near, 1..4)
        .prop_map(|parts| parts.into_iter().fold(K::ZERO, |all, part| all | part));
    (key, 0..=K::WIDTH).prop_map(|(key, len)| (key.prefix(len), len))
}

fn holds<K>(changes: Vec<Change<K>>, probes: Vec<K>) -> Result<(), TestCaseError>
where
    K: Key,
{
    let mut trie = Trie::default();
    let mut oracle = Oracle(BTreeMap::new());
    let mut snapshots = Vec::new();
    for change in changes {
        snapshots.push((trie.clone(), oracle.0.clone()));
        match change {
            Change::Insert(entry) => {
                let replaced = trie.insert(entry.clone()).map(|old| old.tag);
                prop_assert_eq!(replaced, oracle.0.insert((entry.prefix_len, entry.key), entry.tag));
            }
            Change::Remove(key, len) => {
                let removed = trie.remove(key, len).map(|old| old.tag);
                prop_assert_eq!(removed, oracle.0.remove(&(len, key)));
            }
        }
        prop_assert_eq!(trie.len(), oracle.0.len());
        for &probe in &probes {
            let expected = oracle.covering(probe);
            let mut covering = Vec::new();
            trie.covering(probe, |entry| covering.push(entry.clone()));
            prop_assert_eq!(&covering, &expected);
            prop_assert_eq!(trie.longest_match(probe, |_| true), expected.last());
            let odd = |entry: &Tagged<K>| entry.tag % 2 == 1;
            let longest_odd = expected.iter().rev().find(|entry| odd(entry));
            prop_assert_eq!(trie.longest_match(probe, odd), longest_odd);
            for entry in &expected {
                prop_assert_eq!(trie.get(entry.key, entry.prefix_len), Some(entry));
            }
        }
    }
    snapshots.push((trie, oracle.0));
    for (snapshot, expected) in snapshots {
        let entries: BTreeMap<_, _> = snapshot.entries().map(|e| ((e.prefix_len, e.key), e.tag)).collect();
        prop_assert_eq!(entries, expected, "a clone changed with its original");
    }
    Ok(())
}

macro_rules! laws {
    ($name:ident, $key:ty) => {
        proptest! {
            #[test]
            fn $name(
                changes in proptest::collection::vec(
                    prop_oneof![
                        3 => (prefix::<$key>(), any::<u16>()).prop_map(|((key, prefix_len), tag)|
                            Change::Insert(Tagged { key, prefix_len, tag })),
                        1 => prefix::<$key>().prop_map(|(key, len)| Change::Remove(key, len)),
                    ],
                    1..60,
                ),
                probes in proptest::collection::vec(prefix::<$key>().prop_map(|(key, _)| key), 1..12),
            ) {
                holds(changes, probes)?;
            }
        }
    };
}

laws!(a_trie_of_ipv4_agrees_with_a_linear_search, u32);
laws!(a_trie_of_hashes_agrees_with_a_linear_search, u64);
laws!(a_trie_of_ipv6_agrees_with_a_linear_search, u128);

#[test]
fn removing_everything_leaves_no_node_behind() {
    let mut trie = Trie::default();
    let entries: Vec<_> = (0..10_000u32)
        .map(|i| Tagged {
            key: i.wrapping_mul(0x9E37_79B9).prefix(20 + (i % 13) as u8),
            prefix_len: 20 + (i % 13) as u8,
            tag: 0,
        })
        .collect();
    for entry in &entries {
        trie.insert(entry.clone());
    }
    for entry in &entries {
        trie.remove(entry.key, entry.prefix_len);
    }
    assert_eq!(trie.len(), 0);
    assert!(trie.root.entries().is_empty() && trie.root.nodes().is_empty());
}
