//! How long until one more block is in force.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use edge_journal::RulesWriter;
use tempfile::TempDir;

use super::kept;
use crate::contender::{Contender, Subject};
use crate::field::Field;
use crate::figures::{At, Case, Metric};
use crate::load::{Client, Pace, Requests};
use crate::options::Plan;
use crate::problem::{Fallible, go_on, problem};
use crate::stand::{Place, Stand};

/// Blocks of each kind in a round.
const BLOCKS: u32 = 10;
const DEADLINE: Duration = Duration::from_secs(10);

/// One client of HAProxy that asks until it is refused.
struct Watch {
    client: Client,
    stand: Stand,
}

impl Watch {
    fn of(stand: Stand) -> Fallible<Self> {
        Ok(Self { client: Client::connect(stand.addr(), 1)?, stand })
    }

    /// Milliseconds from `order` to the first refusal of `addr`.
    fn in_force_ms(&mut self, addr: Ipv4Addr, order: impl FnOnce(&Stand) -> Fallible<()>) -> Fallible<f64> {
        let mut requests = Requests::default();
        requests.push("www.example/", IpAddr::V4(addr), true);
        let mut is_refused = || -> Fallible<bool> {
            let once = self.client.drive(&requests, Pace::Full, |_, seen| seen.answered + seen.wrong > 0)?;
            Ok(once.answered > 0)
        };
        if is_refused()? {
            return Err(problem(format!("{addr} is refused before it was blocked")));
        }
        let start = Instant::now();
        order(&self.stand)?;
        while !is_refused()? {
            if start.elapsed() > DEADLINE {
                return Err(problem(format!("{addr} is not refused")));
            }
        }
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }
}

/// Asks HAProxy for something that it answers with nothing.
fn command(stand: &Stand, text: &str) -> Fallible<()> {
    let answer = stand.cli().ask(text)?;
    if answer.trim().is_empty() { Ok(()) } else { Err(problem(format!("{text}: {answer}"))) }
}

/// Measures, and adds to `case`.
pub(super) fn measure(case: &mut Case, plan: &Plan) -> Fallible<()> {
    let field = Field::lay_out(Subject::Addresses, plan.large)?;
    let own = |who| Stand::start(who, Subject::Addresses, &field, Place::apart()).and_then(Watch::of);
    let (mut list, mut map) = (own(Contender::OwnList)?, own(Contender::OwnMap)?);
    let dir = tempfile::tempdir()?;
    let (stand, mut writer) = edge(&field, &dir)?;
    let mut edge = Watch::of(stand)?;
    // Above all addresses that lists are made of.
    let mut fresh = (0xF000_0001..).map(Ipv4Addr::from_bits);
    let mut fresh = move || fresh.next().expect("millions of them");
    let at = |who, what| At { who, entries: plan.large, threads: 1, what };
    for n in 0..plan.rounds {
        eprintln!("  round {} of {}", n + 1, plan.rounds);
        for _ in 0..BLOCKS {
            go_on()?;
            let (acl_file, map_file) = (field.acl(), field.map());
            let addr = fresh();
            let ms = list.in_force_ms(addr, |stand| {
                command(stand, &format!("add acl {} {addr}", acl_file.display()))
            })?;
            case.add(at(Contender::OwnList, "order"), Metric::InForceMs, ms);
            let addr = fresh();
            let ms = map.in_force_ms(addr, |stand| {
                command(stand, &format!("add map {} {addr} 1", map_file.display()))
            })?;
            case.add(at(Contender::OwnMap, "order"), Metric::InForceMs, ms);
            let addr = fresh();
            let ms = edge.in_force_ms(addr, |stand| {
                writer.append(&kept::block(addr), kept::now_us())?;
                stand.cli().ask("edge sync")?;
                Ok(())
            })?;
            case.add(at(Contender::Edge, "order"), Metric::InForceMs, ms);
        }
        let addr = fresh();
        let ms = edge.in_force_ms(addr, |_| {
            writer.append(&kept::block(addr), kept::now_us())?;
            Ok(())
        })?;
        case.add(at(Contender::Edge, "by itself"), Metric::InForceMs, ms);
    }
    Ok(())
}

fn edge(field: &Field, dir: &TempDir) -> Fallible<(Stand, RulesWriter)> {
    let state = dir.path().join("state");
    let writer = kept::write(&state, field.nets())?;
    Ok((kept::stand(&state)?, writer))
}
