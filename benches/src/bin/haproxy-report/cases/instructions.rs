//! Instructions of HAProxy for one request: where the clock is too coarse, they are not.

use std::process::Command;

use crate::agent::Agent;
use crate::contender::{Contender, Subject, spoe_engine};
use crate::field::{Ask, Field};
use crate::figures::{At, Case, Metric};
use crate::load::{Client, Pace, Requests};
use crate::options::Plan;
use crate::problem::{Fallible, go_on, problem};
use crate::stand::{Place, Stand};

/// What is counted: the work on a stream, in which the rules are, and on an applet, which is how SPOE asks. Neither
/// calls the other. Not the system calls, nor the SPOE agent.
const COUNTED: [&str; 2] = ["--toggle-collect=process_stream", "--toggle-collect=task_run_applet"];
/// So many that the few connections made at the start do not count.
const REQUESTS: u64 = 2_000;

/// Measures, and adds to `case`.
pub(super) fn measure(case: &mut Case, plan: &Plan) -> Fallible<()> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("  no valgrind: instructions are not counted");
        return Ok(());
    }
    for &entries in &plan.counted {
        let field = Field::lay_out(Subject::Addresses, entries)?;
        let contenders = Contender::ALL.into_iter().filter(|who| plan.takes(*who) && *who != Contender::Twin);
        for who in contenders {
            for ask in [Ask::Miss, Ask::Hit] {
                go_on()?;
                let requests = field.requests(ask);
                let requests = if who.is_filter() { requests } else { requests.all_passed() };
                let each = counted(who, &field, &requests)? as f64 / REQUESTS as f64;
                eprintln!("  {entries} listed: {}, {}: {each:.0}", who.name(Subject::Addresses), ask.name());
                case.add(At { who, entries, threads: 1, what: ask.name() }, Metric::Instructions, each);
            }
        }
    }
    Ok(())
}

/// Instructions of HAProxy from start to end, with all requests in between.
fn counted(who: Contender, field: &Field, requests: &Requests) -> Fallible<u64> {
    let under = ["valgrind", "--tool=callgrind", "--trace-children=yes", "--callgrind-out-file=/dev/null"];
    let agent = (who == Contender::Spoe).then(|| Agent::start(field.agent_keys())).transpose()?;
    let addr = agent.as_ref().map(Agent::addr);
    let name = who.name(Subject::Addresses);
    let stand = Stand::launch(name, Place::apart(), agent, &[&under[..], &COUNTED].concat(), |dir| {
        std::fs::write(dir.join("spoe.cfg"), spoe_engine(Subject::Addresses))?;
        Ok(who.lines(Subject::Addresses, field, dir, addr))
    })?;
    let mut client = Client::connect(stand.addr(), 1)?;
    let seen =
        client.drive(requests, Pace::Full, |_, seen| seen.answered + seen.wrong + seen.failed >= REQUESTS)?;
    if seen.answered < REQUESTS {
        return Err(problem(format!("{name} under valgrind: {} of {REQUESTS} answers", seen.answered)));
    }
    drop(client);
    let log = stand.stop()?;
    let collected = log.lines().rev().find_map(|line| line.split_once("Collected : "));
    let collected = collected.and_then(|(_, number)| number.trim().parse().ok());
    collected.ok_or_else(|| problem(format!("callgrind does not say what it collected: {log}")))
}
