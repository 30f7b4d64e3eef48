//! When a HAProxy that is supervised answered last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::master::Master;

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);

/// How long an answer may take. A busy machine is slow; what is given up here is only asked again.
const PATIENCE: Duration = Duration::from_secs(5);

/// When it answered last, and whether it has to.
#[derive(Debug)]
pub(super) struct Pulse(Mutex<Beat>);

#[derive(Debug)]
struct Beat {
    last: Instant,
    /// How many have it load something.
    loading: u32,
}

impl Default for Pulse {
    fn default() -> Self {
        Self(Mutex::new(Beat { last: Instant::now(), loading: 0 }))
    }
}

impl Pulse {
    /// For how long it has not answered though it should have.
    pub(super) fn silent(&self) -> Duration {
        let beat = self.0.lock();
        if beat.loading > 0 { Duration::ZERO } else { beat.last.elapsed() }
    }

    fn beat(&self) {
        self.0.lock().last = Instant::now();
    }
}

/// While this is held, it does not have to answer; it has all its time from then on.
#[derive(Debug)]
pub(super) struct Loading<'a>(&'a Pulse);

impl<'a> Loading<'a> {
    pub(super) fn new(pulse: &'a Pulse) -> Self {
        pulse.0.lock().loading += 1;
        Self(pulse)
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let mut beat = self.0.0.lock();
        beat.loading -= 1;
        beat.last = Instant::now();
    }
}

/// A thread that asks now and then, until this is dropped. Nobody waits for its end: it may wait for an answer.
#[derive(Debug)]
pub(super) struct Listening(Arc<AtomicBool>);

impl Listening {
    /// Without a thread nothing is known, and nobody is killed.
    pub(super) fn start(pulse: &Arc<Pulse>, master: Master) -> Option<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        pulse.beat();
        let (pulse, ends) = (pulse.clone(), is_over.clone());
        let listen = move || {
            while !ends.load(Relaxed) {
                if !master.hangs(PATIENCE) {
                    pulse.beat();
                }
                thread::sleep(PAUSE);
            }
        };
        let started = thread::Builder::new().name("pulse".into()).spawn(listen);
        started
            .map(|_| Self(is_over))
            .inspect_err(|error| tracing::warn!(%error, "HAProxy is not listened to"))
            .ok()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_loads_need_not_answer_and_has_all_its_time_afterwards() {
        let pulse = Pulse::default();
        pulse.0.lock().last = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        assert!(pulse.silent() >= Duration::from_secs(60));
        let loading = [Loading::new(&pulse), Loading::new(&pulse)];
        assert_eq!(pulse.silent(), Duration::ZERO);
        drop(loading);
        assert!(pulse.silent() < Duration::from_secs(60));
    }
}
