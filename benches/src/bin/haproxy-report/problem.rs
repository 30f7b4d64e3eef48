//! What keeps a case from being measured.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The outcome of what may not work.
pub(crate) type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// A problem in words.
pub(crate) fn problem(text: impl Into<String>) -> Box<dyn Error + Send + Sync> {
    text.into().into()
}

/// From now on Ctrl-C and SIGTERM are told by [`go_on`]; a second one ends the process at once.
///
/// # Errors
/// The system does not take the handlers.
pub(crate) fn heed_signals() -> Fallible<()> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    INTERRUPTED.get_or_init(|| flag);
    Ok(())
}

/// Whether to go on.
///
/// # Errors
/// A signal came: everything that was started is to be ended.
pub(crate) fn go_on() -> Fallible<()> {
    if is_interrupted() { Err(problem("interrupted")) } else { Ok(()) }
}

/// Whether a signal came.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}
