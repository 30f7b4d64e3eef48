//! What the tables keep of a rule.

use std::net::IpAddr;
use std::num::NonZeroU8;

use ahash::RandomState;

use super::AddressEntry;
use crate::hash::Hashed;
use crate::trie::{Entry, Key};
use crate::{Action, ClientNet};

/// What is held of a network beside its bits: 12 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ruling {
    pub(crate) expires_at_s: u32,
    pub(crate) slot: u32,
    action: i16,
    pub(crate) source: u8,
    /// One more than the prefix length: then an `Option` takes no more room.
    prefix_end: NonZeroU8,
}

impl Ruling {
    /// What is done.
    #[inline]
    pub(crate) fn action(&self) -> Action {
        Action::from_code(self.action)
    }

    #[inline]
    fn prefix_len(&self) -> u8 {
        self.prefix_end.get() - 1
    }

    /// The same with its network, which holds this canonical address.
    pub(crate) fn entry(&self, addr: IpAddr) -> AddressEntry {
        let prefix_len = self.prefix_len();
        self.entry_of(match addr {
            IpAddr::V4(v4) => ClientNet::V4(v4.to_bits().prefix(prefix_len), prefix_len),
            IpAddr::V6(v6) => ClientNet::V6(v6.to_bits().prefix(prefix_len), prefix_len),
        })
    }

    fn entry_of(&self, net: ClientNet) -> AddressEntry {
        let Self { expires_at_s, slot, action: _, source, prefix_end: _ } = *self;
        AddressEntry { net, action: self.action(), expires_at_s, slot, source }
    }
}

/// An [`AddressEntry`] in 16 bytes (IPv4), 24 (IPv6 up to /64) or 32.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<K> {
    bits: K,
    ruling: Ruling,
}

// The arrays of the hash table are made of such.
const _: () = assert!(size_of::<Option<Packed<u32>>>() == 16);

/// What a rule has only once it is taken in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tenure {
    pub(crate) slot: u32,
    pub(crate) source: u8,
}

impl<K: Key> Packed<K> {
    pub(super) fn new(bits: K, prefix_len: u8, entry: &AddressEntry) -> Self {
        let AddressEntry { net: _, action, expires_at_s, slot, source } = *entry;
        let prefix_end = NonZeroU8::MIN.saturating_add(prefix_len);
        let ruling = Ruling { expires_at_s, slot, action: action.verdict().code(), source, prefix_end };
        Self { bits, ruling }
    }

    pub(super) fn unpack(&self, net: fn(K, u8) -> ClientNet) -> AddressEntry {
        self.ruling.entry_of(net(self.bits, self.ruling.prefix_len()))
    }

    /// The same with its slot and its source.
    pub(super) fn held_as(self, Tenure { slot, source }: Tenure) -> Self {
        Self { ruling: Ruling { slot, source, ..self.ruling }, ..self }
    }

    #[inline]
    pub(super) fn ruling(&self) -> &Ruling {
        &self.ruling
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
        self.ruling.prefix_len()
    }
}

impl<K: Key> Hashed for Packed<K> {
    #[inline]
    fn hash(&self, keys: &RandomState) -> u64 {
        keys.hash_one(self.bits)
    }
}
