//! Workers that a reload has replaced: they go on with the connections that they have, by the rules that they know.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::master::Master;
use super::sync::{Enforcement, Expected, Lack, MAX_PAUSE, MIN_PAUSE, Rules};

/// How long one worker may take for its answer, so that one that hangs leaves time for the others.
const ANSWER_PATIENCE: Duration = Duration::from_millis(500);

/// Has the workers that this master has replaced read on until they have the revision, as [`enforce`](super::enforce) does with the
/// others, for so long. A worker that exits meanwhile is skipped. Where no master listens, nobody can reach them.
pub fn enforce_replaced(
    master: &Master,
    revision: u64,
    expected: &Expected<'_>,
    patience: Duration,
) -> Enforcement {
    let deadline = Instant::now() + patience;
    let mut pause = MIN_PAUSE;
    let mut have: Vec<u32> = Vec::new();
    // Who has said what cannot change, unless it had exited before it was asked.
    let mut mute = None;
    loop {
        let reason = match master.processes_before(deadline) {
            Ok(processes) => {
                let mut lacking = None;
                for pid in processes.old_workers {
                    if have.contains(&pid) {
                        continue;
                    }
                    let answer = master.sync(pid, deadline.min(Instant::now() + ANSWER_PATIENCE));
                    match Rules::of(answer).and_then(|rules| rules.has(revision, expected)) {
                        Ok(()) => have.push(pid),
                        Err(lack) => _ = lacking.get_or_insert((pid, lack)),
                    }
                }
                let Some((pid, lack)) = lacking else { return Enforcement::InForce };
                let reason = format!(
                    "worker {pid}, which a reload has replaced and which still has connections: {lack}"
                );
                let is_mute = matches!(lack, Lack::Older | Lack::NotUnderstood(_));
                if is_mute && mute.replace(pid) == Some(pid) {
                    return Enforcement::StoredNotEnforced { reason };
                }
                reason
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
