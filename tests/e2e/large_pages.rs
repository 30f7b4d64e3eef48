//! Large pages for large tables.

use std::fmt::Write;
use std::fs;

use edge_e2e::{Backend, Edge, Mode, Process, Request, eventually, tell};

/// Whether the kernel gives large pages to who asks for them, and at once (`MADV_COLLAPSE`).
fn kernel_has_large_pages() -> bool {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let release = read("/proc/sys/kernel/osrelease");
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let enabled = read("/sys/kernel/mm/transparent_hugepage/enabled");
    version >= (6, 1) && (enabled.contains("[madvise]") || enabled.contains("[always]"))
}

#[test]
fn a_large_table_has_large_pages_also_in_a_worker() {
    if !kernel_has_large_pages() {
        return tell(format_args!("large pages: this kernel gives none, or not at once: nothing to see"));
    }
    let list = (0..400_000_u32).fold(String::new(), |mut list, n| {
        writeln!(list, "2001:db8:{:x}:{:x}::{:x}", n >> 16, n & 0xffff, n & 0xff).expect("a text grows");
        list
    });
    let backend = Backend::start();
    for mode in [Mode::DEFAULT, Mode::WORKER] {
        let start = |list: &str| Edge::before(&backend, mode).list("blocked_ips.map", list).start();
        let (small, large) = (start("2001:db8::1\n"), start(&list));
        assert!(large.refuses(&Request::get("/").forwarded_for("2001:db8:0:0::0")));
        // One that is started by a dynamic linker of its own, as trixie's here, may have no room for a break: malloc then takes
        // its memory elsewhere, piece by piece.
        if Process(large.worker_pid()).heap_kib() < 10 << 10 {
            return tell(format_args!(
                "large pages: this HAProxy's heap does not grow by the break: nothing to see"
            ));
        }
        eventually("large pages", || (Process(large.worker_pid()).large_pages_kib() > 8 << 10).then_some(()));
        assert_eq!(Process(small.worker_pid()).large_pages_kib(), 0, "a small heap is left alone");
    }
}
