//! How far a reader has come with the manager's rules, and by which records.

use edge_filter::Operation;

/// Between the first word and the rest: any odd number that is not small (splitmix64, Steele et al. 2014).
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a frame is told apart by: its length and its checksum, which the reader has verified.
pub(crate) type Fingerprint = u64;

/// A hash over frames in their order. It is no secret and stops no forger: it tells one chain of records from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest(u64);

impl Digest {
    /// With this number, as it was written or told.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// To be written or told.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    #[must_use]
    pub(crate) fn after(self, frame: Fingerprint) -> Self {
        let mut mixed = (self.0.rotate_left(23) ^ frame).wrapping_add(GAMMA);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(mixed ^ (mixed >> 31))
    }
}

/// Where the writer or a reader of the manager's rules is: equal marks come of equal records in the same order, whether a
/// reader has followed all journals or began with the last snapshot. What ends by itself changes no mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The revision.
    pub revision: u64,
    /// Rules of the snapshot that the chain began with, and changes since.
    pub taken: u64,
    /// Over all records up to here.
    pub digest: Digest,
}

impl Mark {
    /// At the head of the first journal, where there is no snapshot.
    #[must_use]
    pub fn first(head: u64) -> Self {
        Self { revision: 0, taken: 0, digest: Digest::default().after(head) }
    }

    /// After the next record, which makes so many [changes](Mark::changes): `frame` is [`crate::Records::fingerprint`].
    #[must_use]
    pub fn next(self, frame: u64, changes: u64) -> Self {
        Self {
            revision: self.revision.saturating_add(1),
            taken: self.taken.saturating_add(changes),
            digest: self.digest.after(frame),
        }
    }

    /// How many changes an operation makes.
    #[must_use]
    pub fn changes(operation: &Operation) -> u64 {
        match operation {
            Operation::Batch(operations) => u64::try_from(operations.len()).unwrap_or(u64::MAX),
            _ => 1,
        }
    }
}

/// The record before the end of a snapshot or a list file: what all records before it were, and where their rules stand in
/// the chain. Files of earlier versions have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// Over the records of the file before this one.
    pub content: Digest,
    /// [`Mark::taken`] of the snapshot's revision; 0 in a list file.
    pub taken: u64,
    /// [`Mark::digest`] of the snapshot's revision; 0 in a list file.
    pub chain: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_counts_and_so_does_every_frame() {
        let of = |frames: &[u64]| frames.iter().fold(Digest::default(), |digest, frame| digest.after(*frame));
        let all = [of(&[]), of(&[0]), of(&[0, 0]), of(&[1, 2]), of(&[2, 1]), of(&[1]), of(&[2])];
        for (at, digest) in all.iter().enumerate() {
            assert!(!all[..at].contains(digest), "{at}");
        }
    }
}
