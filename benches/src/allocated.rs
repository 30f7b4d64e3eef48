//! Bytes on the heap, as `malloc` hands them out.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, counting. A bench names it as its `#[global_allocator]`.
pub struct Counting;

static HEAP_BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);

/// glibc's malloc: 8 bytes of header, sizes in steps of 16, at least 32.
const fn charged(size: usize) -> usize {
    let with_header = (size + 8).next_multiple_of(16);
    if with_header < 32 { 32 } else { with_header }
}

// SAFETY: every call goes to `System` unchanged; the counter touches no memory of the allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = charged(layout.size());
        let now = HEAP_BYTES.fetch_add(size, Ordering::Relaxed) + size;
        if now > PEAK_BYTES.load(Ordering::Relaxed) {
            PEAK_BYTES.fetch_max(now, Ordering::Relaxed);
        }
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HEAP_BYTES.fetch_sub(charged(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Bytes allocated now, headers and rounding of malloc included.
pub fn heap_bytes() -> usize {
    HEAP_BYTES.load(Ordering::Relaxed)
}

/// The most bytes that were allocated at a time since [`restart_peak`].
pub fn peak_bytes() -> usize {
    PEAK_BYTES.load(Ordering::Relaxed)
}

/// Look for the most from now on.
pub fn restart_peak() {
    PEAK_BYTES.store(heap_bytes(), Ordering::Relaxed);
}
