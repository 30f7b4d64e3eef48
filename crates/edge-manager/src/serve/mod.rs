//! `edge-manager serve`: the process around the API.

mod background;
mod backups;
mod clients;
mod connections;
mod control;
mod following;
mod listeners;
mod log_file;
mod logs;
mod presence;
mod ready;
mod renewing;
mod repairs;
mod run;
mod server;
mod unread;
mod watching;

pub use backups::Backups;
pub use logs::{Format, LogError, LogFiles, Logs};
pub use run::{ServeError, Settings, run};
pub use server::{MAX_CONNECTIONS, Server};
