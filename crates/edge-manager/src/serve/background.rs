//! Threads beside the requests.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A thread that does something now and then, and ends with this.
#[derive(Debug)]
pub(super) struct Background {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Stop {
    is_due: Mutex<bool>,
    changed: Condvar,
}

impl Background {
    /// Begins. `turn` says how long to wait until the next one.
    pub(super) fn start(name: &str, mut turn: impl FnMut() -> Duration + Send + 'static) -> io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let watched = stop.clone();
        let run = move || {
            loop {
                let pause = turn();
                let mut is_due = watched.is_due.lock();
                if !*is_due && !pause.is_zero() {
                    watched.changed.wait_for(&mut is_due, pause);
                }
                if *is_due {
                    return;
                }
            }
        };
        let thread = Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        *self.stop.is_due.lock() = true;
        self.stop.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic was told where it happened; there is nothing more to end.
            let _ = thread.join();
        }
    }
}
