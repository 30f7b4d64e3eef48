//! What the kernel says of a process (proc(5)).

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

/// A process by its number.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// How many descriptors it has of sockets, and of anything else.
    ///
    /// # Panics
    /// It has ended.
    pub fn descriptors(self) -> (u64, u64) {
        let entries = fs::read_dir(self.dir().join("fd")).expect("a process that lives");
        // One that is closed meanwhile is none.
        let targets: Vec<PathBuf> =
            entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
        let sockets = targets.iter().filter(|target| target.to_string_lossy().starts_with("socket:")).count();
        (sockets as u64, (targets.len() - sockets) as u64)
    }

    /// Memory that it alone has and has written to, KiB.
    ///
    /// # Panics
    /// It has ended.
    pub fn private_kib(self) -> u64 {
        self.kib("smaps_rollup", "Private_Dirty:")
    }

    /// Resident memory, KiB.
    ///
    /// # Panics
    /// It has ended.
    pub fn resident_kib(self) -> u64 {
        self.kib("status", "VmRSS:")
    }

    /// Memory of its own in large pages, KiB.
    ///
    /// # Panics
    /// It has ended.
    pub fn large_pages_kib(self) -> u64 {
        self.kib("smaps_rollup", "AnonHugePages:")
    }

    /// Length of the heap up to the break (brk(2)), KiB; 0 for none.
    ///
    /// # Panics
    /// It has ended.
    pub fn heap_kib(self) -> u64 {
        let maps = fs::read_to_string(self.dir().join("maps")).expect("a process that lives");
        let heap = maps.lines().find(|line| line.ends_with("[heap]")).and_then(|line| line.split(' ').next());
        let Some((start, end)) = heap.and_then(|range| range.split_once('-')) else { return 0 };
        let at = |text| u64::from_str_radix(text, 16).expect("an address");
        (at(end) - at(start)) >> 10
    }

    /// The port of this IPv4 address where it takes UDP, if it does.
    pub fn udp_port(self, ip: IpAddr) -> Option<u16> {
        let IpAddr::V4(ip) = ip else { return None };
        let ip = format!("{:08X}", u32::from_ne_bytes(ip.octets()));
        let entries = fs::read_dir(self.dir().join("fd")).ok()?;
        let sockets: Vec<PathBuf> = entries.flatten().filter_map(|e| fs::read_link(e.path()).ok()).collect();
        let table = fs::read_to_string(self.dir().join("net/udp")).ok()?;
        // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
        table.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (at, port) = fields.get(1)?.split_once(':')?;
            let socket = PathBuf::from(format!("socket:[{}]", fields.get(9)?));
            let is_it = at == ip && *fields.get(2)? == "00000000:0000" && sockets.contains(&socket);
            is_it.then(|| u16::from_str_radix(port, 16).ok())?
        })
    }

    fn kib(self, file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(self.dir().join(file)).expect("a process that lives");
        let value = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line of this name");
        value.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    fn dir(self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_process_tells_where_it_takes_udp() {
        let ours = Process(std::process::id());
        // An address that no other test of this process uses.
        let socket = UdpSocket::bind("127.0.0.77:0").unwrap();
        let addr = socket.local_addr().unwrap();
        assert_eq!(ours.udp_port(addr.ip()), Some(addr.port()));
        assert_eq!(ours.udp_port([127, 0, 0, 78].into()), None);
        // A socket of ours is none of our parent's.
        assert_eq!(Process(std::os::unix::process::parent_id()).udp_port(addr.ip()), None);
    }
}
