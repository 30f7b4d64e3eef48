//! The types as they are written, for ever: variants and fields are never reordered, removed or changed, only a
//! new version of the format may have others. bincode writes a variant by its number and a struct as its fields.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::bounds::{MAX_LISTS, MAX_OPERATIONS, MAX_RULES_PER_CHUNK};

#[derive(Serialize, Deserialize)]
pub(super) enum Record<'a> {
    #[serde(borrow)]
    Head(Head<'a>),
    Rules(Chunk<'a>),
    Addresses {
        list: &'a str,
        reason: &'a str,
        /// Packed by [`super::addresses`].
        v4: &'a [u8],
        v6: &'a [u8],
    },
    End {
        rules: u64,
    },
    Change {
        revision: u64,
        stamp_us: u64,
        change: Change<'a>,
    },
    Replace {
        revision: u64,
        stamp_us: u64,
        list: &'a str,
    },
    Next {
        revision: u64,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) struct Head<'a> {
    pub(super) revision: u64,
    pub(super) stamp_us: u64,
    pub(super) learned_until_us: u64,
    #[serde(borrow, deserialize_with = "at_most::<_, _, MAX_LISTS>")]
    pub(super) lists: Vec<&'a str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Net {
    V4 { bits: u32, prefix_len: u8 },
    V6 { bits: u128, prefix_len: u8 },
}

/// Rules, with what they have in common written once.
#[derive(Serialize, Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, deserialize_with = "at_most::<_, _, MAX_RULES_PER_CHUNK>")]
    pub(super) terms: Vec<Terms<'a>>,
    #[serde(borrow, deserialize_with = "at_most::<_, _, MAX_RULES_PER_CHUNK>")]
    pub(super) rules: Vec<ChunkRule<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ChunkRule<'a> {
    #[serde(borrow)]
    pub(super) target: Target<'a>,
    pub(super) expires_at_s: u32,
    /// Index into `terms`.
    pub(super) terms: u16,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Rule<'a> {
    #[serde(borrow)]
    pub(super) target: Target<'a>,
    pub(super) expires_at_s: u32,
    pub(super) terms: Terms<'a>,
}

/// A rule but for its target and its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Terms<'a> {
    /// 0 observe, 1 tarpit, 2 drop, 400 to 599 deny with this status.
    pub(super) action: u16,
    #[serde(borrow)]
    pub(super) origin: Origin<'a>,
    pub(super) reason: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Origin<'a> {
    List(&'a str),
    Learned {
        #[serde(borrow)]
        backend: &'a str,
        server: &'a str,
        unique_id: &'a str,
        request: &'a str,
        learned_at_us: u64,
    },
    /// With the network of the client whose request caused it.
    LearnedOf {
        #[serde(borrow)]
        backend: &'a str,
        server: &'a str,
        unique_id: &'a str,
        request: &'a str,
        learned_at_us: u64,
        client_network: Net,
    },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum List {
    Allow,
    Block,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Target<'a> {
    Client(List, Net),
    Resource {
        #[serde(borrow)]
        resource: Resource<'a>,
        /// Boxed, so that an address is not as large as they are while it is read.
        conditions: Option<Box<Conditions<'a>>>,
    },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum Match {
    Exact,
    Prefix,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Resource<'a> {
    #[serde(borrow)]
    pub(super) host: Option<&'a str>,
    pub(super) matching: Match,
    pub(super) path: &'a str,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Conditions<'a> {
    #[serde(borrow)]
    pub(super) method: Option<&'a str>,
    pub(super) query: Option<&'a str>,
    pub(super) parameter: Option<(&'a str, &'a str)>,
    pub(super) anonymous: bool,
    pub(super) client: Option<Client>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum Client {
    V4(u32),
    V6(u128),
}

#[derive(Serialize, Deserialize)]
pub(super) enum Change<'a> {
    #[serde(borrow)]
    One(Step<'a>),
    Batch(#[serde(borrow, deserialize_with = "at_most::<_, _, MAX_OPERATIONS>")] Vec<Step<'a>>),
}

#[derive(Serialize, Deserialize)]
pub(super) enum Step<'a> {
    #[serde(borrow)]
    Put(Rule<'a>),
    Remove(Target<'a>),
    Forget(Target<'a>),
    ForgetResource(Resource<'a>),
}

/// A sequence of `MAX` at most. In memory its elements may be many times as large as they are in a frame, so one that
/// claims more is refused before any of them is read.
fn at_most<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(AtMost::<T, MAX>(PhantomData))
}

struct AtMost<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for AtMost<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        // bincode knows how many there are; another format would be held to the bound below.
        if let Some(claimed) = elements.size_hint().filter(|claimed| *claimed > MAX) {
            return Err(A::Error::invalid_length(claimed, &self));
        }
        let mut read = Vec::new();
        while let Some(element) = elements.next_element()? {
            if read.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            read.push(element);
        }
        Ok(read)
    }
}
