//! The keys that there are.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use super::{Attempts, Caller, KeyHash, NewKey, Role};
use crate::store::{DONE, Deed, KeyRow, Store, StoreError};

/// Most keys of the record: each is compared with every request's.
pub const MAX_KEYS: usize = 256;

/// Longest name of a key, bytes.
const MAX_NAME_BYTES: usize = 64;

/// The name of the key in the environment.
const ENVIRONMENT: &str = "HAPROXY_API_KEY";

/// Why the keys were not changed. One line, without any key.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Empty, too long, or with other characters.
    #[error("name: {0:?}: 1 to {MAX_NAME_BYTES} of a-z A-Z 0-9 . _ @ -")]
    Name(String),
    /// There is one of this name.
    #[error("a key {0} is there already")]
    Present(String),
    /// There is none of this name.
    #[error("there is no key {0}")]
    Absent(String),
    /// As many as are compared.
    #[error("there are {MAX_KEYS} keys already")]
    TooMany,
    /// The system has no randomness to give.
    #[error("no randomness for a key: {0}")]
    Randomness(getrandom::Error),
    /// The record.
    #[error(transparent)]
    Record(#[from] StoreError),
}

/// Tells who presents a key.
///
/// The keys are read with every request, so that one which is removed is refused at once, whoever removes it.
#[derive(Debug)]
pub struct Keys {
    store: Arc<Store>,
    environment: Option<KeyHash>,
    /// Whether everybody has [`Role::Local`] while there is no key at all.
    is_open_without_keys: bool,
    attempts: Attempts,
}

/// What a request may do by the key that it has, or has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// What this caller may.
    As(Caller),
    /// What [`Role::Local`] may, since there are no keys, and only this machine can ask.
    Open,
    /// Nothing: no key, or one that is not known.
    Refused,
    /// Nothing before this time is over: the client has presented many keys that are not known.
    Waits(Duration),
}

impl Keys {
    /// The keys of the record, and that of the environment: an admin's.
    ///
    /// While there is none, everybody has [`Role::Local`] if `is_open_without_keys`: where nobody but this machine can ask. Else
    /// nobody is let in.
    pub fn new(store: Arc<Store>, environment: Option<KeyHash>, is_open_without_keys: bool) -> Self {
        Self { store, environment, is_open_without_keys, attempts: Attempts::default() }
    }

    /// Whether there is none.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.environment.is_none() && self.store.keys()?.is_empty())
    }

    /// Who presents this key. Takes the same time whichever key it is, and however much of one it has: it is hashed, and
    /// the hash compared with all. O(keys).
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn admit(&self, presented: Option<&[u8]>, from: Option<IpAddr>) -> Result<Admission, StoreError> {
        self.admit_hash(presented.map(KeyHash::of), from)
    }

    /// [`Keys::admit`] of a key that a client has just presented. A client that has presented many wrong ones waits: the key
    /// of the environment, which a person may have chosen, is not compared meanwhile. The others are, since nobody finds one
    /// of 256 random bits by trying: who has one is not kept out by others behind the same address.
    ///
    /// # Errors
    /// As there.
    pub fn try_hash(&self, presented: KeyHash, from: Option<IpAddr>) -> Result<Admission, StoreError> {
        let now = Instant::now();
        let wait = from.and_then(|from| self.attempts.wait(from, now));
        let admission = self.find(Some(presented), from, wait.is_none())?;
        Ok(match (admission, wait) {
            (Admission::Refused, Some(wait)) => Admission::Waits(wait),
            (Admission::Refused, None) => {
                if let Some(from) = from {
                    self.attempts.failed(from, now);
                }
                Admission::Refused
            }
            (admission, _) => admission,
        })
    }

    /// Who has once presented the key of this hash: [`Keys::admit`].
    ///
    /// # Errors
    /// As there.
    pub fn admit_hash(
        &self,
        presented: Option<KeyHash>,
        from: Option<IpAddr>,
    ) -> Result<Admission, StoreError> {
        self.find(presented, from, true)
    }

    fn find(
        &self,
        presented: Option<KeyHash>,
        from: Option<IpAddr>,
        has_environment: bool,
    ) -> Result<Admission, StoreError> {
        let rows = self.store.keys()?;
        if rows.is_empty() && self.environment.is_none() && self.is_open_without_keys {
            return Ok(Admission::Open);
        }
        let Some(presented) = presented else { return Ok(Admission::Refused) };
        let environment = self.environment.iter().filter(|_| has_environment);
        let environment = environment.map(|hash| (hash, ENVIRONMENT, Role::Admin));
        let recorded = rows.iter().map(|KeyRow { hash, name, role, .. }| (hash, name.as_str(), *role));
        let mut found = None;
        for (hash, name, role) in environment.chain(recorded) {
            if bool::from(hash.ct_eq(&presented)) {
                found = Some((name, role));
            }
        }
        Ok(found.map_or(Admission::Refused, |(name, role)| {
            Admission::As(Caller { name: name.into(), role, from })
        }))
    }
}

/// Makes a key, which nobody can read again.
///
/// # Errors
/// There is one of this name, there are too many, or the record cannot be written.
pub fn add_key(
    store: &Store,
    caller: &Caller,
    name: &str,
    role: Role,
    now_us: u64,
) -> Result<NewKey, AccessError> {
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b"._@-".contains(&b);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_letter) {
        return Err(AccessError::Name(name[..name.floor_char_boundary(MAX_NAME_BYTES)].to_owned()));
    }
    let began = Instant::now();
    let key = NewKey::random().map_err(AccessError::Randomness)?;
    store.write(|record| {
        let keys = record.keys()?;
        if name == ENVIRONMENT || keys.iter().any(|row| row.name == name) {
            return Err(AccessError::Present(name.to_owned()));
        }
        if keys.len() >= MAX_KEYS {
            return Err(AccessError::TooMany);
        }
        let created_at_s = u32::try_from(now_us / 1_000_000).unwrap_or(u32::MAX);
        record.add_key(&KeyRow { name: name.to_owned(), role, hash: key.hash(), created_at_s })?;
        let (operation, target) = ("key.add", &*format!("{name} ({role})"));
        let took = began.elapsed();
        Ok(record.note(&Deed { caller, operation, target, result: DONE, at_us: now_us, took })?)
    })?;
    Ok(key)
}

/// Removes a key: it is refused from now on.
///
/// # Errors
/// There is none of this name, or the record cannot be written.
pub fn remove_key(store: &Store, caller: &Caller, name: &str, now_us: u64) -> Result<(), AccessError> {
    let began = Instant::now();
    store.write(|record| {
        if !record.remove_key(name)? {
            return Err(AccessError::Absent(name.to_owned()));
        }
        let (operation, took) = ("key.remove", began.elapsed());
        Ok(record.note(&Deed { caller, operation, target: name, result: DONE, at_us: now_us, took })?)
    })
}
