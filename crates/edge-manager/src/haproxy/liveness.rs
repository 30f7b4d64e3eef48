//! Whether HAProxy runs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::socket::ask;

/// How long each socket is asked.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether a worker answers on one of these stats sockets, asked one after the other, for 1 s at most each.
pub fn is_running(sockets: &[PathBuf]) -> bool {
    let answers = |socket: &PathBuf| ask(socket, "show info", Instant::now() + PATIENCE);
    sockets.iter().any(|socket| answers(socket).is_ok_and(|answer| !answer.is_empty()))
}
