//! The verdict on a client.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use edge_filter::{Action, AddressRule, ClientNet, Filter, List, NEVER, Status};
use fastrand::Rng;

use super::{CHUNK, INPUTS, LIST, NOW_S, filter, random};
use crate::counter::Counter;

/// Any address that is not reserved.
pub(super) fn any_v4(random: &mut Rng) -> IpAddr {
    Ipv4Addr::from_bits(random.u32(0x0100_0000..0xDF00_0000)).into()
}

/// The first 16 bits are those of all others, so that the presence map turns none away.
fn any_v6(random: &mut Rng) -> IpAddr {
    Ipv6Addr::from_bits(0x2A00 << 112 | random.u128(..) >> 16).into()
}

/// Blocks these addresses.
pub(super) fn block(filter: &Filter, listed: &[IpAddr]) {
    let rule = |&addr: &IpAddr| AddressRule {
        list: List::Block,
        net: ClientNet::host(addr),
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s: NEVER,
    };
    let mut edit = filter.edit(NOW_S).expect("nobody else writes");
    for chunk in listed.chunks(CHUNK) {
        let chunk: Vec<AddressRule> = chunk.iter().map(rule).collect();
        edit.draft_addresses(&LIST.into(), &"".into(), [chunk]);
    }
    edit.publish_draft();
}

/// Random addresses: of the misses none is listed, as good as certainly.
pub(super) fn count(counter: &Counter, rules: usize) {
    for (family, any) in [("v4", any_v4 as fn(&mut Rng) -> IpAddr), ("v6", any_v6)] {
        let name = |what: &str| format!("{family} {what} of {rules}");
        let [hit, miss] = [name("hit"), name("miss")];
        if !counter.wants(&[&hit, &miss]) {
            continue;
        }
        let mut random = random();
        let listed: Vec<IpAddr> = (0..rules).map(|_| any(&mut random)).collect();
        let filter = filter();
        block(filter, &listed);
        let mut reader = filter.reader();
        let mut ask = |addr: &IpAddr| _ = black_box(reader.address(*addr, NOW_S));
        let hits: Vec<IpAddr> = (0..INPUTS).map(|_| listed[random.usize(..rules)]).collect();
        let misses: Vec<IpAddr> = (0..INPUTS).map(|_| any(&mut random)).collect();
        counter.count(&hit, &hits, &mut ask);
        counter.count(&miss, &misses, &mut ask);
    }
}
