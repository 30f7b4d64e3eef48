//! The state directory, kept as it was written.

use std::time::{Duration, Instant};

use crate::api::App;
use crate::clock::now_us;
use crate::rules::Effect;

/// Between two looks at the contents of all files; whether they look changed is seen each second.
const VERIFY_EVERY: Duration = Duration::from_secs(60);

/// Between a repair that did not help and the next one, then twice as long each time, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Nothing was wrong for so long: the last repair has helped, and the next one comes at once.
const SOUND: Duration = Duration::from_secs(5);

/// Repairs of the state directory: at once, and ever less often where they do not help.
#[derive(Debug)]
pub(super) struct Repairs {
    verify_at: Instant,
    last: Option<Instant>,
    /// Since when nothing was wrong.
    sound_since: Option<Instant>,
    wait: Duration,
    told: String,
}

impl Default for Repairs {
    fn default() -> Self {
        Self {
            verify_at: Instant::now() + VERIFY_EVERY,
            last: None,
            sound_since: None,
            wait: FIRST_WAIT,
            told: String::new(),
        }
    }
}

impl Repairs {
    /// Looks after the directory: to be called each second.
    pub(super) fn look(&mut self, app: &App) {
        let is_thorough = Instant::now() >= self.verify_at;
        if is_thorough {
            self.verify_at = Instant::now() + VERIFY_EVERY;
        }
        let damage = app.rules.inspect(is_thorough, now_us());
        app.watch.set_files(damage.clone());
        let Some(why) = damage.or_else(|| app.watch.wants_rules()) else {
            if app.watch.has_all_rules() {
                self.sound_since.get_or_insert_with(Instant::now);
            }
            return self.catch_up(app);
        };
        let has_helped = self.sound_since.take().is_some_and(|since| since.elapsed() >= SOUND);
        match self.last.map(|last| last.elapsed()) {
            Some(elapsed) if !has_helped && elapsed < self.wait => return,
            Some(_) if !has_helped => self.wait = (self.wait * 2).min(LONGEST_WAIT),
            _ => self.wait = FIRST_WAIT,
        }
        self.last = Some(Instant::now());
        let next_s = self.wait.as_secs();
        match app.rules.rewrite(now_us()) {
            Ok(Effect::Published(revision)) => {
                app.metrics.count_repair();
                app.watch.set_files(None);
                // What cannot be read again is no repair.
                app.rules.doubt();
                tracing::error!(
                    why,
                    revision,
                    "rules of HAProxy were damaged: all of them were written anew; if that does not help, they are again in {next_s} s"
                );
            }
            Ok(Effect::StoredOnly(error)) | Err(error) => {
                let problem = format!("{why}; and they cannot be written anew: {error}");
                tracing::error!(problem, "rules of HAProxy are damaged; the next attempt is in {next_s} s");
                app.watch.set_files(Some(problem));
            }
        }
    }

    /// What could not be published when it was changed is published without another change, as soon as that can be done.
    fn catch_up(&mut self, app: &App) {
        let problem = match app.rules.catch_up(now_us()) {
            Ok(None) => String::new(),
            Ok(Some(Effect::Published(revision))) => {
                tracing::info!(revision, "the state directory has caught up");
                String::new()
            }
            Ok(Some(Effect::StoredOnly(error))) | Err(error) => error.to_string(),
        };
        if !problem.is_empty() && problem != self.told {
            tracing::error!(error = problem, "the state directory may lack changes");
        }
        self.told = problem;
    }
}
