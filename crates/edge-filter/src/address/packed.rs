//! What the tables keep of a rule.

use ahash::RandomState;

use super::AddressEntry;
use crate::hash::Hashed;
use crate::trie::{Entry, Key};
use crate::{Action, ClientNet};

/// An [`AddressEntry`] in 16 bytes (IPv4), 24 (IPv6 up to /64) or 32.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<K> {
    bits: K,
    expires_at_s: u32,
    slot: u32,
    action: i16,
    source: u8,
    prefix_len: u8,
}

/// What a rule has only once it is taken in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tenure {
    pub(crate) slot: u32,
    pub(crate) source: u8,
}

impl<K: Key> Packed<K> {
    pub(super) fn new(bits: K, prefix_len: u8, entry: &AddressEntry) -> Self {
        let AddressEntry { net: _, action, expires_at_s, slot, source } = *entry;
        Self { bits, expires_at_s, slot, action: action.verdict().code(), source, prefix_len }
    }

    #[inline]
    pub(super) fn unpack(&self, net: fn(K, u8) -> ClientNet) -> AddressEntry {
        AddressEntry {
            net: net(self.bits, self.prefix_len),
            action: Action::from_code(self.action),
            expires_at_s: self.expires_at_s,
            slot: self.slot,
            source: self.source,
        }
    }

    /// The same with its slot and its source.
    pub(super) fn held_as(self, Tenure { slot, source }: Tenure) -> Self {
        Self { slot, source, ..self }
    }

    /// Whether its expiry and source are wanted.
    #[inline]
    pub(super) fn is(&self, wanted: impl Fn(u32, u8) -> bool) -> bool {
        wanted(self.expires_at_s, self.source)
    }
}

impl<K: Key> Entry for Packed<K> {
    type Key = K;

    #[inline]
    fn key(&self) -> K {
        self.bits
    }

    #[inline]
    fn prefix_len(&self) -> u8 {
        self.prefix_len
    }
}

impl<K: Key> Hashed for Packed<K> {
    #[inline]
    fn hash(&self, keys: &RandomState) -> u64 {
        keys.hash_one(self.bits)
    }
}
