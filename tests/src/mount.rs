//! Small file systems that only their test sees.

use std::io;
use std::path::PathBuf;
use std::thread;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::{StateHome, tell};

/// Runs `test` in a thread with a mount namespace of its own. What is mounted there is seen by the processes started
/// there alone, and is gone with the last of them, however they end. Who may not mount, as root of a container without
/// `CAP_SYS_ADMIN` may not, tests nothing, and is told so.
///
/// # Panics
/// `test` does, or the kernel has no such namespaces.
pub fn with_private_mounts(test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let private = scope.spawn(|| {
            match unshare(CloneFlags::CLONE_NEWNS) {
                Err(Errno::EPERM) => {
                    return tell("no private mounts without CAP_SYS_ADMIN: nothing is tested");
                }
                other => other.expect("a mount namespace"),
            }
            let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).expect("private mounts");
            test();
        });
        if let Err(panic) = private.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// A file system in memory over a state directory, for use within [`with_private_mounts`].
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
    options: String,
}

impl SmallDisk {
    /// Mounts one of this size, owned by whoever serves.
    ///
    /// # Errors
    /// Those of the system.
    pub fn mount(home: &StateHome, kib: u32) -> io::Result<Self> {
        let owner = home.owner().map(|(user, group)| format!(",uid={user},gid={group}"));
        let options = format!("size={kib}k,mode=750{}", owner.unwrap_or_default());
        let disk = Self { at: home.path(), options };
        disk.mount_with(MsFlags::empty())?;
        Ok(disk)
    }

    /// Makes it read-only, or not.
    ///
    /// # Errors
    /// Those of the system; a file that is open for writing is one.
    pub fn set_read_only(&self, read_only: bool) -> io::Result<()> {
        let flags = if read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() };
        self.mount_with(MsFlags::MS_REMOUNT | flags)
    }

    fn mount_with(&self, flags: MsFlags) -> io::Result<()> {
        Ok(mount(Some("tmpfs"), &self.at, Some("tmpfs"), flags, Some(self.options.as_str()))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // HAProxy may still have files open.
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}
