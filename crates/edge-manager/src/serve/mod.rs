//! `edge-manager serve`: the process around the API.

mod background;
mod clients;
mod connections;
mod control;
mod following;
mod log_file;
mod logs;
mod presence;
mod ready;
mod renewing;
mod repairs;
mod run;
mod server;
mod watching;

pub use logs::{Format, LogError, LogFiles, Logs};
pub use run::{ServeError, Settings, run};
pub use server::{MAX_CONNECTIONS, Server};
