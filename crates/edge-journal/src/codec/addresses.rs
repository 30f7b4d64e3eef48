//! Addresses of lists, packed: most rules are these, and a million of them are read at each start. A field at a time, as
//! serde reads a struct, takes ten times as long.
//!
//! | bytes, little-endian | IPv4 | IPv6 |
//! |---|---|---|
//! | address | 4 | 16 |
//! | end, seconds since the Unix epoch | 4 | 4 |
//! | action | 2 | 2 |
//! | 0 allow, 1 block | 1 | 1 |
//! | prefix length | 1 | 1 |

use edge_filter::{AddressRule, ClientNet, List};

use super::bounds::{Invalid, MAX_RULES_PER_CHUNK, at_most};
use super::rule::{action_from_wire, action_to_wire, canonical_net};

/// What follows the address.
const TERMS_BYTES: usize = 8;
const V4_BYTES: usize = 4 + TERMS_BYTES;
const V6_BYTES: usize = 16 + TERMS_BYTES;

/// The rules of IPv4, and those of IPv6, each in their order.
#[derive(Default)]
pub(super) struct Packed {
    pub(super) v4: Vec<u8>,
    pub(super) v6: Vec<u8>,
}

pub(super) fn pack(rules: &[AddressRule]) -> Result<Packed, Invalid> {
    at_most(rules.len(), MAX_RULES_PER_CHUNK, "rules of a record")?;
    let mut packed = Packed::default();
    for rule in rules {
        let (out, prefix_len) = match canonical_net(rule.net)? {
            ClientNet::V4(bits, prefix_len) => {
                packed.v4.extend(bits.to_le_bytes());
                (&mut packed.v4, prefix_len)
            }
            ClientNet::V6(bits, prefix_len) => {
                packed.v6.extend(bits.to_le_bytes());
                (&mut packed.v6, prefix_len)
            }
        };
        out.extend(rule.expires_at_s.to_le_bytes());
        out.extend(action_to_wire(rule.action).to_le_bytes());
        out.extend([u8::from(rule.list == List::Block), prefix_len]);
    }
    Ok(packed)
}

pub(super) fn unpack(v4: &[u8], v6: &[u8]) -> Result<Vec<AddressRule>, Invalid> {
    let ((v4, v4_rest), (v6, v6_rest)) = (v4.as_chunks::<V4_BYTES>(), v6.as_chunks::<V6_BYTES>());
    if !v4_rest.is_empty() || !v6_rest.is_empty() {
        return Err(Invalid::Packed);
    }
    let count = v4.len().saturating_add(v6.len());
    at_most(count, MAX_RULES_PER_CHUNK, "rules of a record")?;
    let mut rules = Vec::with_capacity(count);
    for [a, b, c, d, terms @ ..] in v4 {
        let bits = u32::from_le_bytes([*a, *b, *c, *d]);
        rules.push(rule(terms, |prefix_len| ClientNet::V4(bits, prefix_len))?);
    }
    for entry in v6 {
        let (bits, terms) = entry.split_first_chunk::<16>().ok_or(Invalid::Packed)?;
        let terms = terms.first_chunk::<TERMS_BYTES>().ok_or(Invalid::Packed)?;
        let bits = u128::from_le_bytes(*bits);
        rules.push(rule(terms, |prefix_len| ClientNet::V6(bits, prefix_len))?);
    }
    Ok(rules)
}

fn rule(
    [e0, e1, e2, e3, a0, a1, list, prefix_len]: &[u8; TERMS_BYTES],
    net: impl FnOnce(u8) -> ClientNet,
) -> Result<AddressRule, Invalid> {
    Ok(AddressRule {
        list: match list {
            0 => List::Allow,
            1 => List::Block,
            _ => return Err(Invalid::Packed),
        },
        net: canonical_net(net(*prefix_len))?,
        action: action_from_wire(u16::from_le_bytes([*a0, *a1]))?,
        expires_at_s: u32::from_le_bytes([*e0, *e1, *e2, *e3]),
    })
}
