//! The servers that HAProxy knows, and how they are.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::socket::lines;

/// Longest answer that is read, bytes: some 50,000 servers.
const MAX_BYTES: u64 = 32 << 20;

/// How long a worker is listened to.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a server is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// HAProxy's word: `UP`, `DOWN`, `MAINT`, `no check`.
    pub status: String,
    /// What the last check said, such as `L4CON`; empty where nothing is checked.
    pub check: String,
    /// How long it has been so, seconds.
    pub since_s: Option<u64>,
}

/// The servers by backend and name, of the first worker that answers; `None` where none does. O(servers).
pub fn servers(sockets: &[PathBuf]) -> Option<HashMap<(String, String), Health>> {
    sockets.iter().find_map(|socket| {
        let (mut columns, mut found) = (None, HashMap::new());
        let mut take = |line: &str| match (&columns, line.strip_prefix("# ")) {
            (None, Some(head)) => columns = Columns::of(head),
            (Some(columns), _) => found.extend(columns.read(line)),
            (None, None) => {}
        };
        let told = lines(socket, "show stat -1 4 -1", MAX_BYTES, Instant::now() + PATIENCE, &mut take);
        told.ok().and(columns).map(|_| found)
    })
}

/// Where in a line what stands (management guide, section 9.1).
#[derive(Clone, Copy, Debug)]
struct Columns {
    backend: usize,
    server: usize,
    status: usize,
    check: usize,
    since: usize,
}

impl Columns {
    fn of(head: &str) -> Option<Self> {
        let at = |name: &str| head.split(',').position(|column| column == name);
        Some(Self {
            backend: at("pxname")?,
            server: at("svname")?,
            status: at("status")?,
            check: at("check_status")?,
            since: at("lastchg")?,
        })
    }

    /// No value of these has a comma.
    fn read(self, line: &str) -> Option<((String, String), Health)> {
        let fields: Vec<&str> = line.split(',').collect();
        let text = |at: usize| fields.get(at).map(|field| (*field).to_owned());
        let health = Health {
            status: text(self.status)?,
            check: text(self.check)?,
            since_s: text(self.since)?.parse().ok(),
        };
        Some(((text(self.backend)?, text(self.server)?), health))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_their_names() {
        let columns = Columns::of("pxname,svname,qcur,status,lastchg,check_status").unwrap();
        let health = Health { status: "DOWN".into(), check: "L4CON".into(), since_s: Some(7) };
        assert_eq!(columns.read("shop,s1,0,DOWN,7,L4CON"), Some((("shop".into(), "s1".into()), health)));
        assert_eq!(columns.read("shop,s1"), None);
        assert!(Columns::of("a,b").is_none());
    }
}
