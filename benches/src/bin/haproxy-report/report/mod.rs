//! benchmarks.md and its plots, from the raw numbers.

mod plots;
mod sections;
mod table;
mod targets;

use std::fs;
use std::path::Path;

use crate::figures::Record;
use crate::problem::Fallible;

/// What stands from here on is written by hand, and kept.
const NOTES: &str = "## Notes\n";

const INTRODUCTION: &str = "\
# What it costs, beside what else there is

Made by `make bench-haproxy`; the raw numbers of every round are in `benchmarks-*.json` beside this file. Measure on your own
machine: ratios travel, microseconds do not.

- **One run, by turns.** All contenders of a table run at once in HAProxies of the same binary. Each has short turns in an
  order that is shuffled every round, and each turn lies between two turns of no filter. \"Added\" is what it takes beyond
  the mean of these two, in parts of that mean, times its usual value: a machine whose speed changes falls on all alike.
- **A figure is the mean of the middle half of its rounds**, with the interval in parentheses that holds it 19 times out
  of 20 (bootstrap). Left out, whatever their figures, are comparisons during which HAProxy waited for its processor for
  more than 5 % of its time (run queue and steal time), or whose two turns of no filter differ by more than 5 %; unless
  these are more than half. The raw numbers have all.
- **\"No filter, once more\"** is a second HAProxy without a filter, measured as the others are. What it seems to cost is the
  error of the measurement, memory layout of the process included.
- **Random clients.** Each request names another client in `X-Forwarded-For`, which every contender takes over with
  `http-request set-src`, no filter too. Hits are refused with 403, all others answered with 200 and as long a body, by
  HAProxy itself, so that no backend is measured. Before anything is measured, 500 listed and 500 unlisted keys must get
  the right answer; afterwards every single answer is checked. Hits and misses are uniform; of \"skewed\" requests 15 in 16 are
  from (or for) 64 keys, of which one in four is listed. IPv6 misses are in the networks that listed addresses are in.
- **Processor time of HAProxy for one request**, from the kernel's account of its threads (schedstat), system calls included.
- **The price of SPOE is that of HAProxy and of the agent.** Whoever asks an agent pays for both; both parts are shown, and the
  plots and targets have their sum.
- **Two cores**: HAProxy with one thread has one of them, the client the other, and so have the SPOE agent and whoever
  gives orders. With two threads HAProxy shares both cores with the client.
";

/// Writes benchmarks.md and the plots from the raw numbers in this directory.
///
/// # Errors
/// There are none, or those of the system.
pub(crate) fn write(dir: &Path) -> Fallible<()> {
    let mut records = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(series) = name.strip_prefix("benchmarks-").and_then(|name| name.strip_suffix(".json")) {
            records.push((series.to_owned(), Record::read(&path)?));
        }
    }
    records.sort_by(|a, b| a.0.cmp(&b.0));
    let page = dir.join("benchmarks.md");
    let notes = fs::read_to_string(&page).unwrap_or_default();
    let notes = notes.find(NOTES).map_or("", |at| &notes[at..]);
    let mut text = INTRODUCTION.to_owned();
    for (series, record) in &records {
        text.push_str(&format!("\n## HAProxy {}\n", record.haproxy));
        text.push_str(&sections::machine(record));
        for plot in plots::draw(dir, series, record)? {
            text.push_str(&plot);
        }
        text.push_str(&sections::all(record));
    }
    text.push_str("\n## Targets\n");
    for (_, record) in &records {
        text.push_str(&targets::table(record));
    }
    if !notes.is_empty() {
        text.push_str(&format!("\n{notes}"));
    }
    fs::write(page, text)?;
    Ok(())
}
