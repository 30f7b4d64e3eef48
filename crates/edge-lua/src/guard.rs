//! No panic leaves the module: above the C entries there is only HAProxy, which would be aborted.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

static PANICS: AtomicU64 = AtomicU64::new(0);

/// The words of the last panic that was not logged yet.
static LAST: Mutex<Option<String>> = Mutex::new(None);

/// What `f` gives; `None` when it panicked, which is counted.
pub(crate) fn catch<T>(f: impl FnOnce() -> Option<T>) -> Option<T> {
    // What a half-done call leaves behind: lookups have an immutable snapshot, counters, and buffers that the next
    // one overwrites. Learning and upkeep have the writer's own copy of the rules, under a lock that unwinding
    // frees. The operation at work is lost there, in part or whole, and the next change publishes what it left.
    panic::catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        None
    })
}

/// Keeps what a panic says for [`last_panic`]. The default hook writes to stderr, which may block, and reads
/// files for a backtrace.
pub(crate) fn keep_panic_messages() {
    panic::set_hook(Box::new(|info| {
        if let Ok(mut last) = LAST.try_lock() {
            *last = Some(info.to_string());
        }
    }));
}

/// What the last panic said, once.
pub(crate) fn last_panic() -> Option<String> {
    LAST.try_lock().ok()?.take()
}

/// Panics caught since the process started.
pub(crate) fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_counted_and_goes_no_further() {
        let before = panics();
        assert_eq!(catch(|| -> Option<u8> { panic!("on purpose") }), None);
        assert_eq!(catch(|| Some(7)), Some(7));
        // Other tests panic on purpose too.
        assert!(panics() > before);
    }
}
