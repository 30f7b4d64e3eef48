//! The seal of a file, written as a record that readers of format 1 know and pass over: addresses of a list of this name, none
//! of them, with the seal as their reason. A module that is older than the seal goes on to read what this version writes.

use super::bounds::Invalid;
use crate::{Digest, Seal};

/// No list of rules has this name: `Addresses` without a rule are written for nothing else.
pub(super) const NAME: &str = "edge.seal";

pub(super) fn to_text(seal: &Seal) -> String {
    let Seal { content, taken, chain } = seal;
    format!("{:016x} {taken} {:016x}", content.to_bits(), chain.to_bits())
}

pub(super) fn from_text(text: &str) -> Result<Seal, Invalid> {
    let mut words = text.split(' ');
    let mut word = || words.next().ok_or(Invalid::Seal);
    let digest = |word: &str| match u64::from_str_radix(word, 16) {
        Ok(bits) if word.len() == 16 => Ok(Digest::from_bits(bits)),
        _ => Err(Invalid::Seal),
    };
    let content = digest(word()?)?;
    let taken = word()?.parse().map_err(|_| Invalid::Seal)?;
    let seal = Seal { content, taken, chain: digest(word()?)? };
    // One seal has one text.
    if to_text(&seal) == text { Ok(seal) } else { Err(Invalid::Seal) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_has_one_text() {
        let seal = Seal { content: Digest::from_bits(7), taken: 184_350, chain: Digest::from_bits(u64::MAX) };
        assert_eq!(to_text(&seal), "0000000000000007 184350 ffffffffffffffff");
        assert_eq!(from_text(&to_text(&seal)), Ok(seal));
        for text in [
            "",
            "7 1 8",
            "0000000000000007 1",
            "0000000000000007 01 ffffffffffffffff",
            "0000000000000007 1 FFFFFFFFFFFFFFFF",
            "0000000000000007 1 ffffffffffffffff ",
            "+000000000000007 1 ffffffffffffffff",
        ] {
            assert_eq!(from_text(text), Err(Invalid::Seal), "{text}");
        }
    }
}
