//! What happens, for whoever wants to know at once.

mod event;
mod listener;
mod places;
#[cfg(test)]
mod tests;

use parking_lot::Mutex;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

pub use event::{Event, Topic};
pub use listener::{Listener, NotHeard, Told};
pub use places::{MAX_LISTENERS, MAX_LISTENERS_PER_KEY};

use crate::access::Caller;
use places::Places;

/// Events that wait for the slowest listener; whoever is slower loses the oldest.
const MAX_WAITING: usize = 256;

/// Where services tell what they have done. Nobody waits for a listener.
#[derive(Debug)]
pub struct Events {
    sender: broadcast::Sender<Event>,
    /// Of the last event. Held while one is sent, so that numbers are sent in their order.
    last_id: Mutex<u64>,
    places: Arc<Places>,
    is_closed: watch::Sender<bool>,
}

impl Events {
    /// Numbers go on from the clock, microseconds since the Unix epoch: so they grow from one start to the next, too.
    pub fn new(now_us: u64) -> Self {
        Self {
            sender: broadcast::Sender::new(MAX_WAITING),
            last_id: Mutex::new(now_us),
            places: Arc::default(),
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

    /// This caller listens from now on. `last_id` is that of the last event that was heard, if any: whether there were others since is told first.
    ///
    /// # Errors
    /// There are [`MAX_LISTENERS`] already, the key or the client has as many as it may, or [`Events::close`] was called.
    pub fn listen(&self, caller: &Caller, last_id: Option<u64>) -> Result<Listener, NotHeard> {
        let mut is_closed = self.is_closed.subscribe();
        let place = self.places.take(caller)?;
        if *is_closed.borrow_and_update() {
            return Err(NotHeard::Full);
        }
        // None between the two.
        let now = self.last_id.lock();
        let has_missed = last_id.is_some_and(|last_id| last_id != *now);
        Ok(Listener::new(self.sender.subscribe(), is_closed, place, has_missed))
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.places.taken()
    }

    /// Ends all listening: the manager ends.
    pub fn close(&self) {
        self.is_closed.send_replace(true);
    }
}
