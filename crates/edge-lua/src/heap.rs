//! Bytes on the heap, for the tests that say what may not grow.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting for each thread what it has allocated and freed: tests run side by side.
struct Counting;

#[global_allocator]
static HEAP: Counting = Counting;

thread_local! {
    /// Neither made nor dropped at run time, so the allocator may use it at any time.
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

/// What this thread has allocated and not freed, bytes; negative if it freed what others had allocated.
pub(crate) fn heap_bytes() -> isize {
    BYTES.get()
}

fn count(bytes: isize) {
    BYTES.set(BYTES.get() + bytes);
}

// SAFETY: every call goes to `System` unchanged; the counter touches no memory of the allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(at, layout) }
    }
}
