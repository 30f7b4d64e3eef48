//! Processes that have something in common.

use std::fs;
use std::path::Path;

/// Processes that were started with an argument that has this path in it. Whoever started them, and however their parent
/// has ended: a HAProxy outlives a manager that was killed.
pub(crate) fn processes_of(path: &Path) -> Vec<u32> {
    let path = path.as_os_str().as_encoded_bytes();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_of = |pid: &u32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments.windows(path.len()).any(|window| window == path)
    };
    let mut found: Vec<u32> = pids.filter(is_of).collect();
    found.sort_unstable();
    found
}

/// Whether it runs: one that nobody has waited for does not.
pub(crate) fn is_running(pid: u32) -> bool {
    fields(pid).is_some_and(|fields| !fields.starts_with(['Z', 'X']))
}

/// The process that started it, or that took it over.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    fields(pid)?.split(' ').nth(1)?.parse().ok()
}

/// State and parent stand behind the name, which is in parentheses (proc(5)).
fn fields(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_found_by_a_path_that_it_was_given() {
        let dir = tempfile::tempdir().unwrap();
        assert!(processes_of(dir.path()).is_empty());
        let mut child = Command::new("sleep").arg0(dir.path()).arg("1000").spawn().unwrap();
        crate::eventually("its arguments", || (processes_of(dir.path()) == [child.id()]).then_some(()));
        assert!(is_running(child.id()) && parent_of(child.id()) == Some(std::process::id()));
        child.kill().unwrap();
        crate::eventually("its end", || (!is_running(child.id())).then_some(()));
        child.wait().unwrap();
        assert!(processes_of(dir.path()).is_empty());
    }
}
