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

/// Tells systemd, if it asks, that the manager is ready, and from then on that it is alive: that requests are taken up, and
/// that a read of the record comes to its end. Whether it succeeds is no matter: another process could not mend the disk.
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
            // A panic has been logged.
            if let Ok(Err(error)) = tokio::task::spawn_blocking(read).await {
                tracing::error!(%error, "the record cannot be read");
            }
            notify(NotifyState::Watchdog);
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
