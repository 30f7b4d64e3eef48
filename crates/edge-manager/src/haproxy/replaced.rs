//! Workers that a reload has replaced: they go on with the connections that they have, by the rules that they know.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::master::Master;
use super::sync::{Enforcement, Expected, MAX_PAUSE, MIN_PAUSE, Rules};

/// Has the workers that this master has replaced read on until they have the revision, as
/// [`enforce`](super::enforce) does with the others, for so long. One that ends meanwhile obeys nobody any more, nor serves
/// anybody. Where no master listens, nobody can reach them.
pub fn enforce_replaced(
    master: &Master,
    revision: u64,
    expected: &Expected<'_>,
    patience: Duration,
) -> Enforcement {
    let deadline = Instant::now() + patience;
    let mut pause = MIN_PAUSE;
    let mut have = Vec::new();
    loop {
        let reason = match master.processes_before(deadline) {
            Ok(processes) => {
                let mut lacking = None;
                for pid in processes.old_workers {
                    if have.contains(&pid) {
                        continue;
                    }
                    match Rules::of(master.sync(pid, deadline))
                        .and_then(|rules| rules.has(revision, expected))
                    {
                        Ok(()) => have.push(pid),
                        Err(lack) => lacking = Some((pid, lack)),
                    }
                }
                let Some((pid, lack)) = lacking else { return Enforcement::InForce };
                format!("worker {pid}, which a reload has replaced and which still has connections: {lack}")
            }
            Err(error) if is_absent(&error) => return Enforcement::InForce,
            // While it executes itself anew it answers nobody.
            Err(error) => format!("the master of HAProxy, which knows the workers before a reload: {error}"),
        };
        if Instant::now() + pause >= deadline {
            return Enforcement::StoredNotEnforced { reason };
        }
        thread::sleep(pause);
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}
