//! HAProxy under valgrind's memcheck.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::shipped;

/// Where valgrind writes what it finds in HAProxy and its workers.
#[derive(Debug)]
pub struct Memcheck(TempDir);

/// What valgrind found in one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Whether it ended by itself: leaks are looked for at its end only.
    pub has_ended: bool,
    /// Errors that may be the module's, as valgrind words them.
    pub errors: Vec<String>,
}

impl Memcheck {
    /// A directory for the findings.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new() -> io::Result<Self> {
        tempfile::Builder::new().prefix("edge-memcheck.").tempdir().map(Self)
    }

    /// What HAProxy is run under: see [`crate::Launch::under`].
    pub fn command(&self) -> Vec<OsString> {
        let mut log = OsString::from("--log-file=");
        log.push(self.0.path().join("%p.log"));
        let mut suppressions = OsString::from("--suppressions=");
        suppressions.push(shipped("tests/valgrind/haproxy.supp"));
        let fixed = [
            "valgrind",
            "--tool=memcheck",
            // A master executes itself anew.
            "--trace-children=yes",
            "--leak-check=full",
            "--show-leak-kinds=definite",
            // From the place of an error down to the hook that HAProxy called.
            "--num-callers=60",
            // Threads take turns here; without this one of them may wait for seconds.
            "--fair-sched=try",
        ];
        fixed.into_iter().map(OsString::from).chain([log, suppressions]).collect()
    }

    /// What was found so far in every process.
    ///
    /// # Errors
    /// Those of the system.
    pub fn findings(&self) -> io::Result<Vec<Findings>> {
        let logs = fs::read_dir(self.0.path())?.map(|entry| read(&entry?.path()));
        logs.collect()
    }
}

fn read(log: &Path) -> io::Result<Findings> {
    Ok(findings(&String::from_utf8_lossy(&fs::read(log)?)))
}

fn findings(log: &str) -> Findings {
    let lines: Vec<&str> = log.lines().map(without_pid).collect();
    let blocks = lines.split(|line| line.trim().is_empty()).map(|lines| lines.join("\n"));
    Findings {
        has_ended: lines.iter().any(|line| line.starts_with("ERROR SUMMARY:")),
        errors: blocks.filter(|block| is_error(block) && may_be_ours(block)).collect(),
    }
}

/// Without the `==number== ` that each line begins with.
fn without_pid(line: &str) -> &str {
    line.strip_prefix("==").and_then(|rest| rest.split_once("== ")).map_or(line, |(_, text)| text)
}

/// Whatever has a stack.
fn is_error(block: &str) -> bool {
    block.contains("   at 0x")
}

/// HAProxy leaks some bytes of its own. Any other error may be of memory that both use, whoever trips over it.
fn may_be_ours(error: &str) -> bool {
    // HAProxy and its libraries are C: whatever has a line of Rust is in the module.
    let is_in_module = error.contains(".rs:") || error.contains("edge_filter.so");
    is_in_module || !error.contains("definitely lost")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
==7== Memcheck, a memory error detector
==7== Command: /usr/sbin/haproxy -db
==7== 
==7== Invalid read of size 1
==7==    at 0x1: read_rule (table.rs:12)
==7==    by 0x2: main (in /usr/sbin/haproxy)
==7==  Address 0x3 is 0 bytes after a block of size 1 alloc'd
==7==    at 0x4: malloc (vg_replace_malloc.c:381)
==7== 
==7== HEAP SUMMARY:
==7==     in use at exit: 2 bytes in 2 blocks
==7== 
==7== 24 bytes in 1 blocks are definitely lost in loss record 1 of 2
==7==    at 0x5: calloc (in /usr/libexec/valgrind/vgpreload_memcheck.so)
==7==    by 0x6: readcfgfile (in /usr/sbin/haproxy)
==7== 
==7== 8 bytes in 1 blocks are definitely lost in loss record 2 of 2
==7==    at 0x7: malloc (in /usr/libexec/valgrind/vgpreload_memcheck.so)
==7==    by 0x8: luaopen_edge_filter (in /usr/lib/edge-filter/edge_filter.so)
==7== 
==7== LEAK SUMMARY:
==7==    definitely lost: 32 bytes in 2 blocks
==7== ERROR SUMMARY: 3 errors from 3 contexts (suppressed: 0 from 0)
";

    #[test]
    fn errors_count_but_for_the_leaks_of_haproxy() {
        let found = findings(LOG);
        assert!(found.has_ended);
        let first_lines: Vec<&str> = found.errors.iter().filter_map(|error| error.lines().next()).collect();
        assert_eq!(
            first_lines,
            ["Invalid read of size 1", "8 bytes in 1 blocks are definitely lost in loss record 2 of 2",]
        );
    }

    #[test]
    fn a_killed_process_has_not_ended() {
        let cut = LOG.find("==7== HEAP").unwrap();
        assert_eq!(
            findings(&LOG[..cut]),
            Findings { has_ended: false, errors: findings(LOG).errors[..1].to_vec() }
        );
    }
}
