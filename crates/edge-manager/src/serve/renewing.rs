//! The clock of the certificates.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::api::App;

/// Looks after certificates again and again. What is under way when the manager ends goes on at the next start.
pub(super) async fn renew(app: Arc<App>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let looked = app.upkeep(|app| {
            // Before orders, which need it.
            app.sites.renew_validation();
            app.look_after_certificates();
            Ok(())
        });
        // A panic has been logged.
        let _ = looked.await;
        tracing::trace!("certificates were looked after");
    }
}
