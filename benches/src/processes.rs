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

/// How the kernel has served a process so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Served {
    /// Time on a processor.
    pub cpu: Duration,
    /// Time that it was ready to run while something else had the processor.
    pub waited: Duration,
}

impl Served {
    /// How the kernel has served the threads of this process; `None` if it has ended. A thread that runs at this moment
    /// is counted up to the last tick of the kernel only.
    pub fn of(pid: u32) -> Option<Self> {
        let mut sum = Self::default();
        for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            // Nanoseconds, where `stat` counts ticks of 10 ms (Documentation/scheduler/sched-stats.rst of Linux).
            let times = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let mut times = times.split_whitespace().map(|ns| ns.parse().map(Duration::from_nanos));
            sum.cpu += times.next()?.ok()?;
            sum.waited += times.next()?.ok()?;
        }
        Some(sum)
    }
}

/// Time that the host of this virtual machine has taken from these processors, so far, to the next 10 ms (proc(5),
/// `/proc/stat`); zero where the kernel does not say.
pub fn stolen(cpus: &[usize]) -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = |cpu: &usize| -> Option<u64> {
        let name = format!("cpu{cpu} ");
        let line = stat.lines().find(|line| line.starts_with(&name))?;
        line.split_whitespace().nth(8)?.parse().ok()
    };
    Duration::from_millis(10 * cpus.iter().filter_map(ticks).sum::<u64>())
}

fn cost_of(pid: u32) -> Option<Cost> {
    let cpu = Served::of(pid)?.cpu;
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
    fn a_process_that_has_ended_was_not_served() {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(Served::of(child.id()), None);
        assert!(Served::of(std::process::id()).unwrap().cpu > Duration::ZERO);
    }

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
