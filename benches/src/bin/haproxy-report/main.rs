//! Edge Filter beside what people use today, in the same HAProxy, under the same load, by turns.
#![forbid(unsafe_code)]

mod agent;
mod cases;
mod contender;
mod estimate;
mod field;
mod figures;
mod load;
mod machine;
mod options;
mod problem;
mod report;
mod stand;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use rustix::process::setpriority_process;

use figures::Record;
use options::{Options, Plan};
use problem::{Fallible, go_on, heed_signals, is_interrupted};

/// As nice(1) counts.
const AHEAD: i32 = -15;

fn main() -> ExitCode {
    match run(&Options::parse().plan()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if is_interrupted() => {
            eprintln!("Interrupted: what was started has ended, finished cases are written.");
            ExitCode::from(130)
        }
        Err(e) => {
            eprintln!("haproxy-report: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(plan: &Plan) -> Fallible<()> {
    heed_signals()?;
    std::fs::create_dir_all(&plan.out)?;
    if !plan.cases.is_empty() {
        measure(plan)?;
    }
    report::write(&plan.out)?;
    eprintln!("{} is written", plan.out.join("benchmarks.md").display());
    Ok(())
}

/// Measures the cases, and writes each as soon as it is there.
fn measure(plan: &Plan) -> Fallible<()> {
    let haproxy = machine::haproxy_version()?;
    let series: Vec<&str> = haproxy.splitn(3, ['.', '-']).take(2).collect();
    let path = plan.out.join(format!("benchmarks-{}.json", series.join(".")));
    let mut record = Record::read(&path)?;
    record.machine = machine::describe();
    record.haproxy = haproxy;
    // The client's thread, the agent's, and whatever writes: HAProxy has the other core.
    load::stay_on(&[1]).map_err(|e| format!("two processors are needed: {e}"))?;
    // Before whatever else runs here: within a session, and among sessions where these are groups (sched(7), "The
    // autogroup feature"). Where the system refuses, more rounds are disturbed.
    let _ = setpriority_process(None, AHEAD);
    let _ = std::fs::write("/proc/self/autogroup", AHEAD.to_string());
    for &name in &plan.cases {
        go_on()?;
        let start = Instant::now();
        eprintln!("{}, HAProxy {}", name.name(), record.haproxy);
        let case = name.measure(plan)?;
        eprintln!("{}: {:.0} s", name.name(), start.elapsed().as_secs_f64());
        record.cases.insert(name.name(), case);
        record.write(&path)?;
    }
    Ok(())
}
