//! Unix sockets with a path.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fchmod, openat};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::process::geteuid;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// A socket that listens at a path. The file is removed with this, if it still is this socket's.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    listener: UnixListener,
    /// Device and inode of the file.
    file: (u64, u64),
}

impl SocketFile {
    /// Binds a socket that may be opened by this `mode`, in place of one that nobody listens on any more, or of a link.
    pub(crate) fn bind(path: &Path, mode: Mode) -> io::Result<Self> {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it"));
        }
        // A link that a user who may write to the directory has put there would keep the socket away.
        let is_in_the_way = |found: fs::Metadata| found.file_type().is_socket() || found.is_symlink();
        if fs::symlink_metadata(path).is_ok_and(is_in_the_way) {
            fs::remove_file(path)?;
        }
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // The file gets the mode that the socket has (`unix_bind_bsd` in net/unix/af_unix.c of Linux). Changed afterwards, there
        // would be a moment for everybody; and the umask is that of all threads.
        fchmod(&socket, mode)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        listen(&socket, BACKLOG)?;
        let listener = UnixListener::from(socket);
        listener.set_nonblocking(true)?;
        let file = give_mode(path, mode)?;
        Ok(Self { path: path.to_owned(), listener, file })
    }

    pub(crate) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }

    /// Whether its path still leads to it.
    pub(crate) fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.file)
    }
}

/// What the umask has taken of the mode is given back, to the socket alone: a user who may write to its directory could have put a
/// link in its place. Device and inode of the file.
fn give_mode(path: &Path, mode: Mode) -> io::Result<(u64, u64)> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = File::from(openat(CWD, path, flags, Mode::empty())?);
    let metadata = found.metadata()?;
    if !metadata.file_type().is_socket() || metadata.uid() != geteuid().as_raw() {
        return Err(io::Error::other("somebody has put another file in its place"));
    }
    if metadata.mode() & 0o777 != mode.bits() {
        let opened = format!("/proc/self/fd/{}", found.as_raw_fd());
        fs::set_permissions(opened, Permissions::from_mode(mode.bits()))?;
    }
    Ok((metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_there() {
            // If it stays, the next one is bound in its place.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_replaces_what_nobody_listens_on_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let bind = || SocketFile::bind(&path, Mode::from_raw_mode(0o666));
        drop(UnixListener::bind(&path).unwrap());
        assert!(fs::exists(&path).unwrap(), "a stale one");
        let socket = bind().unwrap();
        assert_eq!(bind().unwrap_err().to_string(), "another process listens on it");
        fs::remove_file(&path).unwrap();
        assert!(!socket.is_there());
        let next = bind().unwrap();
        drop(socket);
        assert!(next.is_there(), "the first leaves alone what is the second's");
        drop(next);
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert!(bind().unwrap().is_there(), "in place of a link");
        fs::write(&path, "").unwrap();
        assert!(bind().is_err());
        assert!(fs::exists(&path).unwrap());
    }

    #[test]
    fn its_mode_is_the_one_that_was_asked_for_whatever_the_umask() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        for bits in [0o666, 0o660, 0o600] {
            let _socket = SocketFile::bind(&path, Mode::from_raw_mode(bits)).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, bits);
        }
        let (link, file) = (dir.path().join("link"), dir.path().join("file"));
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for other in [&link, &file] {
            assert!(give_mode(other, Mode::from_raw_mode(0o666)).is_err());
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
