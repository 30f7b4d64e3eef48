//! The socket of the command line: who can open it is admin.

use std::fs;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::Mode;
use rustix::process::geteuid;

use crate::api::Peer;
use crate::socket_file::SocketFile;

/// The socket, which is removed with this.
#[derive(Debug)]
pub(super) struct ControlSocket(SocketFile);

impl ControlSocket {
    /// Binds it, in place of one that nobody listens on any more. Nobody but the owner can open it.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        SocketFile::bind(path, Mode::RUSR | Mode::WUSR).map(Self)
    }

    pub(super) fn listener(&self) -> io::Result<UnixListener> {
        self.0.listener()
    }
}

/// The user at the other end: the owner of this process, or root.
pub(super) fn peer(stream: &tokio::net::UnixStream) -> Option<Peer> {
    let user = stream.peer_cred().ok()?.uid();
    let is_known = user == 0 || user == geteuid().as_raw();
    is_known.then(|| Peer::Control(name(user).into()))
}

/// As `CLI:root`, by the file that most users are in; else with the number.
fn name(user: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == user.to_string()).then(|| name.to_owned())
    });
    format!("CLI:{}", found.unwrap_or_else(|| user.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_owner_can_open_it_and_no_other_file_is_kept_from_anybody() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (dir.path().join("sock"), dir.path().join("file"));
        fs::write(&file, "").unwrap();
        let usual = mode(&file);
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let others = scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    fs::remove_file(&file).unwrap();
                    fs::write(&file, "").unwrap();
                    assert_eq!(mode(&file), usual);
                }
            });
            for _ in 0..500 {
                let socket = ControlSocket::bind(&path).unwrap();
                assert_eq!(mode(&path), 0o600);
                assert!(UnixStream::connect(&path).is_ok());
                drop(socket);
                assert!(!path.exists());
            }
            is_done.store(true, Ordering::Relaxed);
            others.join().unwrap();
        });
    }
}
