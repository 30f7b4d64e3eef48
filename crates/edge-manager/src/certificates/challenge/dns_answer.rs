//! What a DNS server answers (RFC 1035, section 4.1).

use super::update::{IN, SOA};

/// Most pointers of one name: longer chains are no names but loops.
const MAX_POINTERS: usize = 16;

/// An answer, of which only the head has been looked at.
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// What became of the question (RFC 1035, section 4.1.1; RFC 2136, section 2.2).
    pub(super) code: u8,
}

impl Answer {
    /// `None`: it is none.
    pub(super) fn parse(bytes: Vec<u8>) -> Option<Self> {
        let head: &[u8; 12] = bytes.first_chunk()?;
        let (is_answer, code) = (head[2] & 0x80 != 0, head[3] & 0x0f);
        is_answer.then_some(Self { bytes, code })
    }

    /// Whether it has the SOA record of this zone, whose name is in lower case. A name that stands for another one (CNAME) is
    /// answered with that of the other.
    pub(super) fn has_soa_of(&self, zone: &[u8]) -> bool {
        self.owners_of_soa().is_some_and(|owners| owners.iter().any(|owner| owner == zone))
    }

    /// `None`: it cannot be understood.
    fn owners_of_soa(&self) -> Option<Vec<Vec<u8>>> {
        let mut owners = Vec::new();
        let (questions, answers) = (self.number(4)?, self.number(6)?);
        let mut at = 12;
        for _ in 0..questions {
            at = self.name(at)?.1 + 4;
        }
        for _ in 0..answers {
            let (owner, end) = self.name(at)?;
            if (self.number(end)?, self.number(end + 2)?) == (SOA, IN) {
                owners.push(owner);
            }
            at = end + 10 + usize::from(self.number(end + 8)?);
        }
        Some(owners)
    }

    /// The name that begins there, in lower case, and where it ends.
    fn name(&self, mut at: usize) -> Option<(Vec<u8>, usize)> {
        let (mut name, mut end, mut pointers) = (Vec::new(), None, 0);
        loop {
            let length = *self.bytes.get(at)?;
            match length {
                0 => {
                    name.push(0);
                    return Some((name, end.unwrap_or(at + 1)));
                }
                1..64 => {
                    let label = self.bytes.get(at..=at + usize::from(length))?;
                    name.extend(label.to_ascii_lowercase());
                    at += label.len();
                }
                // Section 4.1.4.
                0xc0.. => {
                    pointers += 1;
                    end = end.or(Some(at + 2));
                    at = usize::from(self.number(at)? & 0x3fff);
                }
                _ => return None,
            }
            if name.len() > 255 || pointers > MAX_POINTERS {
                return None;
            }
        }
    }

    fn number(&self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes(*self.bytes.get(at..)?.first_chunk()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to a question for the SOA record of shop.example, with these records.
    fn answer(records: &[&[u8]]) -> Answer {
        let head = [0x1234, 0x8400, 1, records.len() as u16, 0, 0].map(u16::to_be_bytes).concat();
        let question = b"\x04Shop\x07example\0\0\x06\0\x01";
        Answer::parse([&head, &question[..], &records.concat()].concat()).unwrap()
    }

    /// A record of this type at an owner, with data of three bytes.
    fn record(owner: &[u8], kind: u8) -> Vec<u8> {
        [owner, &[0, kind, 0, 1, 0, 0, 0, 60, 0, 3, 1, 2, 3]].concat()
    }

    const ASKED: &[u8] = b"\xc0\x0c";
    const ZONE: &[u8] = b"\x04shop\x07example\0";

    #[test]
    fn a_zone_is_told_by_a_soa_record_of_its_own_name() {
        assert!(answer(&[&record(ASKED, 6)]).has_soa_of(ZONE));
        assert!(answer(&[&record(b"\x04sHop\xc0\x11", 6)]).has_soa_of(ZONE), "after a label");
        assert!(!answer(&[]).has_soa_of(ZONE));
        let (alias, other) = (record(ASKED, 5), record(b"\x05other\xc0\x11", 6));
        assert!(!answer(&[&alias, &other]).has_soa_of(ZONE), "it is that of the name that it stands for");
        assert!(answer(&[&alias, &other]).has_soa_of(b"\x05other\x07example\0"));
    }

    #[test]
    fn what_is_damaged_is_no_answer() {
        assert!(Answer::parse(vec![0; 12]).is_none(), "a question");
        assert!(Answer::parse(vec![0x80; 11]).is_none());
        let whole = answer(&[&record(ASKED, 6)]).bytes;
        for length in 12..whole.len() - 3 {
            assert!(!Answer::parse(whole[..length].to_vec()).unwrap().has_soa_of(ZONE), "{length}");
        }
        assert!(!answer(&[&record(b"\xc0\x1e", 6)]).has_soa_of(ZONE), "a pointer to itself");
    }
}
