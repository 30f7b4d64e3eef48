//! The socket of the command line: who can open it is admin.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::process::geteuid;

use crate::api::Peer;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

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
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // The file gets the mode that the socket has (`unix_bind_bsd` in net/unix/af_unix.c of Linux). Changed afterwards, there
        // would be a moment for everybody; and the umask is that of all threads.
        fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        listen(&socket, BACKLOG)?;
        let listener = UnixListener::from(socket);
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
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
