//! Large pages for the tables.
//!
//! A lookup of a table of tens of megabytes goes to memory that no cache has; with pages of 4 KiB the processor first
//! looks for the page, in tables that are in no cache either, and in a virtual machine through those of both systems. With
//! pages of 2 MiB it need not. The kernel takes them for malloc's memory where it is told to (madvise(2), `MADV_HUGEPAGE`;
//! `/sys/kernel/mm/transparent_hugepage/enabled` is `madvise` or `always`), and what is there already it moves together: at
//! once when asked (`MADV_COLLAPSE`, Linux 6.1), else by and by (khugepaged).

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{fs, ptr};

/// Smaller heaps are left alone: a few large pages more would be much of them, and the caches hold what they have.
const WORTHWHILE_BYTES: usize = 8 << 20;

/// `MADV_COLLAPSE` of `asm-generic/mman-common.h`, which the libc crate lacks for glibc.
const MADV_COLLAPSE: libc::c_int = 25;

/// The heap of malloc's main arena, between where it begins and the break (brk(2)): what the first thread allocates, which
/// reads all lists and directories.
pub(crate) struct Heap {
    /// Where its first large page may begin.
    start: usize,
    page_bytes: usize,
    /// Up to here the kernel has been told.
    told: AtomicUsize,
}

impl Heap {
    /// The heap of this process, before it locks itself in a directory without `/proc`. None where the kernel has no large pages.
    pub(crate) fn find() -> Option<Self> {
        let size = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size").ok()?;
        let page_bytes = size.trim().parse().ok().filter(|bytes: &usize| bytes.is_power_of_two())?;
        let start = heap_start(&fs::read_to_string("/proc/self/maps").ok()?)?.next_multiple_of(page_bytes);
        Some(Self { start, page_bytes, told: AtomicUsize::new(start) })
    }

    /// Tells the kernel of what the heap has grown by, and has it moved together at once if need be: half a millisecond for
    /// each large page then. Otherwise a few instructions, and a system call when it has grown by a large page.
    pub(crate) fn tell(&self, at_once: bool) {
        let end = the_break() / self.page_bytes * self.page_bytes;
        let told = self.told.load(Relaxed).min(end);
        if end < self.start + WORTHWHILE_BYTES || end == told {
            self.told.store(told, Relaxed);
            return;
        }
        advise(told, end, libc::MADV_HUGEPAGE);
        if at_once {
            for page in (told..end).step_by(self.page_bytes) {
                advise(page, page + self.page_bytes, MADV_COLLAPSE);
            }
        }
        self.told.store(end, Relaxed);
    }
}

/// Where `[heap]` of `/proc/self/maps` begins (proc_pid_maps(5)).
fn heap_start(maps: &str) -> Option<usize> {
    let line = maps.lines().find(|line| line.ends_with("[heap]"))?;
    usize::from_str_radix(line.split('-').next()?, 16).ok()
}

fn the_break() -> usize {
    // SAFETY: an increment of zero moves nothing, and only says where the break is.
    unsafe { libc::sbrk(0) }.addr()
}

/// Where the kernel does not, nothing is lost but time.
fn advise(from: usize, to: usize, advice: libc::c_int) {
    // SAFETY: both kinds of advice change neither contents nor rights of any page, whatever is in that range.
    unsafe { libc::madvise(ptr::without_provenance_mut(from), to - from, advice) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_is_found_among_the_maps() {
        let maps = "5581c0000000-5581c0200000 r-xp 00000000 fe:00 17 /usr/sbin/haproxy\n\
                    5581c1234000-5581c2000000 rw-p 00000000 00:00 0                          [heap]\n\
                    7f0000000000-7f0000021000 rw-p 00000000 00:00 0\n";
        assert_eq!(heap_start(maps), Some(0x5581_c123_4000));
        assert_eq!(heap_start("5581c1234000-5581c2000000 rw-p 0 00:00 0 /tmp/heap\n"), None);
        assert_eq!(heap_start(""), None);
    }
}
