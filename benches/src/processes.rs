//! What a process and its workers have cost so far, as the kernel counts it.

use std::fs;
use std::time::Duration;

/// The processes of one process group.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Time on a processor, of all of them.
    pub cpu: Duration,
    /// The most memory that one of them has had, bytes.
    pub peak_bytes: u64,
}

/// What the processes of this group have cost. One that ends meanwhile is left out.
pub fn cost_of_group(group: u32) -> Cost {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|&pid| group_of(pid) == Some(group)).filter_map(cost_of).fold(Cost::default(), |sum, one| {
        Cost { cpu: sum.cpu + one.cpu, peak_bytes: sum.peak_bytes.max(one.peak_bytes) }
    })
}

/// The third field after the name, which stands in parentheses and may have blanks (proc(5), `/proc/pid/stat`).
fn group_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

/// Time that the threads of this process have been on a processor; `None` if it has ended. A thread that runs at this
/// moment is counted up to the last tick of the kernel only.
pub fn cpu_of(pid: u32) -> Option<Duration> {
    let mut cpu = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        // Nanoseconds, where `stat` counts ticks of 10 ms.
        let times = fs::read_to_string(task.path().join("schedstat")).ok()?;
        cpu += Duration::from_nanos(times.split(' ').next()?.parse().ok()?);
    }
    Some(cpu)
}

fn cost_of(pid: u32) -> Option<Cost> {
    let cpu = cpu_of(pid)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak_kb = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?;
    Some(Cost { cpu, peak_bytes: peak_kb.parse::<u64>().ok()? * 1024 })
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn memory_and_time_of_a_group_are_those_of_its_processes() {
        let mut child = Command::new("sleep").arg("100").process_group(0).spawn().unwrap();
        let cost = cost_of_group(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(cost.peak_bytes > 0);
        let ours = group_of(std::process::id()).unwrap();
        let before = cost_of_group(ours);
        let full: Vec<u8> = black_box((0..64 << 20).map(|n| n as u8).collect());
        let after = cost_of_group(ours);
        assert!(after.cpu > before.cpu);
        assert!(after.peak_bytes >= full.len() as u64);
        assert_eq!(cost_of_group(child.id()).peak_bytes, 0);
    }
}
