//! The socket of the command line: who can open it is admin.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::{geteuid, umask};

use crate::api::Peer;

/// The socket, which is removed with this.
#[derive(Debug)]
pub(super) struct ControlSocket {
    path: PathBuf,
    listener: UnixListener,
}

impl ControlSocket {
    /// Binds it, in place of one that nobody listens on any more. Nobody but the owner can open it.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another edge-manager listens on it"));
        }
        if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            fs::remove_file(path)?;
        }
        // From the beginning: changed afterwards, there would be a moment for everybody.
        let before = umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(path);
        umask(before);
        let listener = bound?;
        listener.set_nonblocking(true)?;
        Ok(Self { path: path.to_owned(), listener })
    }

    pub(super) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // If it stays, the next one is bound in its place.
        let _ = fs::remove_file(&self.path);
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
