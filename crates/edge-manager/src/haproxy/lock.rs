//! The lock of who supervises a HAProxy.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait for the lock of who supervises.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// The lock on this file. A program that another thread is just starting has all files of this process for a moment, those
/// that it has closed since too.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).append(true).open(path)?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => {
                let path = path.display();
                return Err(io::Error::other(format!("{path}: another process supervises HAProxy here")));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}
