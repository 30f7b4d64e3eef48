//! The module with its rules in a state directory, which this process writes as a manager does.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use edge_benches::rules::{self, LIST};
use edge_filter::{ClientNet, List, Operation, Target};
use edge_journal::RulesWriter;

use crate::contender::{Lines, module};
use crate::problem::Fallible;
use crate::stand::{Place, Stand};

/// Microseconds since the Unix epoch.
pub(super) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// A state directory that blocks these.
pub(super) fn write(dir: &Path, nets: &[ClientNet]) -> Fallible<RulesWriter> {
    let mut writer = RulesWriter::open(dir, now_us())?;
    writer.rotate(rules::block_all(nets), &[LIST.into()], 0, now_us())?;
    Ok(writer)
}

/// What blocks one more.
pub(super) fn block(addr: Ipv4Addr) -> Operation {
    let target = Target::Client(List::Block, ClientNet::host(IpAddr::V4(addr)));
    Operation::Put(rules::block(target, &LIST.into()))
}

/// HAProxy on this state directory.
pub(super) fn stand(dir: &Path) -> Fallible<Stand> {
    let state = dir.display().to_string();
    Stand::launch("Edge Filter with a state directory", Place::apart(), None, &[], |_| {
        Ok(Lines {
            global: module(&[("EDGE_STATE_DIR", &state)]),
            rules: "  http-request return status 403 if { src,lua.edge_ip -m int gt 1 }\n".to_owned(),
            ..Lines::default()
        })
    })
}
