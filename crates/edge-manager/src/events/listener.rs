//! One listener.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_stream::wrappers::{BroadcastStream, WatchStream};
use tokio_stream::{Stream, StreamExt, iter};

use super::Event;
use super::places::Place;

/// Why somebody cannot listen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHeard {
    /// There are as many listeners as there may be, or the manager ends.
    #[error("there are {} listeners already", super::MAX_LISTENERS)]
    Full,
    /// This key has as many as it may.
    #[error("the key {0} has {max} listeners already", max = super::MAX_LISTENERS_PER_KEY)]
    Key(Arc<str>),
    /// The client has as many as it may, these.
    #[error("this client has {0} listeners already")]
    Client(usize),
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// This has happened.
    Event(Event),
    /// More than this listener could hear has happened: what it knows is to be read anew.
    Missed,
}

/// Someone who hears of all events, until he is dropped.
#[derive(Debug)]
pub struct Listener {
    receiver: broadcast::Receiver<Event>,
    is_closed: watch::Receiver<bool>,
    place: Place,
    has_missed: bool,
}

impl Listener {
    pub(super) fn new(
        receiver: broadcast::Receiver<Event>,
        is_closed: watch::Receiver<bool>,
        place: Place,
        has_missed: bool,
    ) -> Self {
        Self { receiver, is_closed, place, has_missed }
    }

    /// All that is told from now on; ends with [`super::Events::close`].
    pub fn into_stream(self) -> impl Stream<Item = Told> + Send + 'static {
        let Self { receiver, is_closed, place, has_missed } = self;
        let told = BroadcastStream::new(receiver).map(move |received| {
            // As long as the stream is.
            let _place = &place;
            Some(match received {
                Ok(event) => Told::Event(event),
                Err(BroadcastStreamRecvError::Lagged(_)) => Told::Missed,
            })
        });
        let end = WatchStream::from_changes(is_closed).map(|_| None);
        let first = has_missed.then_some(Some(Told::Missed));
        iter(first).chain(told.merge(end)).map_while(|told| told)
    }
}
