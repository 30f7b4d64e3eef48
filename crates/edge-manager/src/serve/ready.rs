//! Telling others that the manager answers, and that it still does.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use sd_notify::NotifyState;

use crate::api::App;

/// Writes the address, all at once: who waits for the file reads all of it.
pub(super) fn write(path: &Path, address: SocketAddr) -> io::Result<()> {
    let mut begun = path.as_os_str().to_owned();
    begun.push(".new");
    fs::write(&begun, format!("{address}\n"))?;
    fs::rename(&begun, path)
}

/// Tells systemd, if it asks, that the manager is ready, and from then on that it is alive: that requests are taken up and
/// the record is read.
pub(super) fn tell(app: &Arc<App>) {
    notify(NotifyState::Ready);
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    let app = app.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(patience / 2);
        loop {
            ticks.tick().await;
            let app = app.clone();
            let read = move || app.store.read(|view| view.revision());
            match tokio::task::spawn_blocking(read).await {
                Ok(Ok(_)) => notify(NotifyState::Watchdog),
                Ok(Err(error)) => tracing::error!(%error, "the watchdog is not told that all is well"),
                Err(_) => tracing::error!("the watchdog is not told that all is well"),
            }
        }
    });
}

/// Tells systemd, if it asks, that the manager ends.
pub(super) fn tell_stopping() {
    notify(NotifyState::Stopping);
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
