//! The thread that follows what workers learn, and looks after the rest: what the state directory lacks, whether HAProxy is
//! there, rules that have ended long ago.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;

use super::presence::Presence;
use super::repairs::Repairs;
use crate::api::App;
use crate::clock::now_us;
use crate::events::Topic;

/// Between two rounds, where there is no more to do at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Between two rounds where the record cannot be used.
const LONG_PAUSE: Duration = Duration::from_secs(1);

/// Between two looks whether the state directory lacks anything.
const CATCH_UP_PAUSE: Duration = Duration::from_secs(1);

/// Between two looks for rules that have ended long ago, and how many are removed at a time: whoever changes rules waits so long.
const FORGET_EVERY: Duration = Duration::from_secs(60);
const MAX_FORGOTTEN: u32 = 1000;

/// The thread, which ends with this.
#[derive(Debug)]
pub(super) struct Following {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Stop {
    is_due: Mutex<bool>,
    changed: Condvar,
}

impl Following {
    pub(super) fn start(app: Arc<App>) -> io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let follow = {
            let stop = stop.clone();
            move || follow(&app, &stop)
        };
        let thread = Builder::new().name("learned".to_owned()).spawn(follow)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        *self.stop.is_due.lock() = true;
        self.stop.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic was told where it happened; there is nothing more to end.
            let _ = thread.join();
        }
    }
}

/// What listeners hear: the list has changed, perhaps.
#[derive(Serialize)]
struct Told {
    change: &'static str,
    records: usize,
}

fn follow(app: &App, stop: &Stop) {
    let (mut told, mut repairs, mut presence) = (String::new(), Repairs::default(), Presence::default());
    let (mut looked, mut forget_at) = (Instant::now(), Instant::now());
    loop {
        let pause = match app.learned.round(now_us()) {
            Ok(round) => {
                if round.records > 0 {
                    let told = Told { change: "followed", records: round.records };
                    app.events.tell(Topic::Learned, &told, now_us());
                }
                round.lines.iter().for_each(|line| tracing::warn!(line, "learned"));
                if round.given_back > 0 {
                    tracing::info!(lessons = round.given_back, "no journal had them any more: given back");
                }
                told.clear();
                if round.is_cut { Duration::ZERO } else { PAUSE }
            }
            Err(error) => {
                let problem = error.to_string();
                if problem != told {
                    tracing::error!(error = problem, "learned");
                    told = problem;
                }
                LONG_PAUSE
            }
        };
        app.learned.look_at_hits(now_us());
        if looked.elapsed() >= CATCH_UP_PAUSE {
            repairs.look(app);
            looked = Instant::now();
        }
        if let Some(seen) = presence.look(app.sites.configuration().control()) {
            app.events.tell(Topic::Haproxy, seen, now_us());
        }
        if Instant::now() >= forget_at {
            let has_more = forget(app);
            forget_at = Instant::now() + if has_more { PAUSE } else { FORGET_EVERY };
        }
        let mut is_due = stop.is_due.lock();
        if !*is_due && !pause.is_zero() {
            stop.changed.wait_for(&mut is_due, pause);
        }
        if *is_due {
            return;
        }
    }
}

/// Removes rules from the record that have ended long ago. Whether there may be more.
fn forget(app: &App) -> bool {
    match app.rules.forget_ended(now_us(), MAX_FORGOTTEN) {
        Ok(count) => {
            if count > 0 {
                tracing::info!(rules = count, "ended long ago: removed from the record");
            }
            count == MAX_FORGOTTEN as usize
        }
        Err(error) => {
            tracing::error!(%error, "rules that have ended stay in the record");
            false
        }
    }
}
