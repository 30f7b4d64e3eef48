//! What happens, for whoever wants to know at once.

mod event;
mod listener;
#[cfg(test)]
mod tests;

use parking_lot::Mutex;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::{Semaphore, broadcast, watch};

pub use event::{Event, Topic};
pub use listener::{Listener, NotHeard, Told};

/// Events that wait for the slowest listener; whoever is slower loses the oldest.
const MAX_WAITING: usize = 256;

/// Listeners at the same time.
pub const MAX_LISTENERS: usize = 64;

/// Where services tell what they have done. Nobody waits for a listener.
#[derive(Debug)]
pub struct Events {
    sender: broadcast::Sender<Event>,
    /// Of the last event. Held while one is sent, so that numbers are sent in their order.
    last_id: Mutex<u64>,
    places: Arc<Semaphore>,
    is_closed: watch::Sender<bool>,
}

impl Events {
    /// Numbers go on from the clock, microseconds since the Unix epoch: so they grow from one start to the next, too.
    pub fn new(now_us: u64) -> Self {
        Self {
            sender: broadcast::Sender::new(MAX_WAITING),
            last_id: Mutex::new(now_us),
            places: Arc::new(Semaphore::new(MAX_LISTENERS)),
            is_closed: watch::Sender::new(false),
        }
    }

    /// Tells all listeners. What `detail` has is part of the event; a text that cannot be made of it is left out.
    pub fn tell(&self, topic: Topic, detail: &impl Serialize, now_us: u64) {
        let mut last_id = self.last_id.lock();
        *last_id += 1;
        if self.sender.receiver_count() > 0 {
            // That the last one has just gone is no matter.
            let _ = self.sender.send(Event::new(*last_id, topic, detail, now_us));
        }
    }

    /// Listens from now on. `last_id` is that of the last event that was heard, if any: whether there were others since is told first.
    ///
    /// # Errors
    /// There are [`MAX_LISTENERS`] already, or [`Events::close`] was called.
    pub fn listen(&self, last_id: Option<u64>) -> Result<Listener, NotHeard> {
        let mut is_closed = self.is_closed.subscribe();
        let place = self.places.clone().try_acquire_owned().map_err(|_| NotHeard)?;
        if *is_closed.borrow_and_update() {
            return Err(NotHeard);
        }
        // None between the two.
        let now = self.last_id.lock();
        let has_missed = last_id.is_some_and(|last_id| last_id != *now);
        Ok(Listener::new(self.sender.subscribe(), is_closed, place, has_missed))
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        MAX_LISTENERS - self.places.available_permits()
    }

    /// Ends all listening: the manager ends.
    pub fn close(&self) {
        self.is_closed.send_replace(true);
    }
}
