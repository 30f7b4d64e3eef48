//! The files of certificates, each of which is there as a whole or not at all.
//!
//! `NAME.pem` has chain and key; of a certificate with keys of both kinds there are `NAME.pem.ecdsa` and `NAME.pem.rsa` in its
//! place, which HAProxy finds by the same path (configuration manual, `ssl-load-extra-files`). `.previous` is what was there
//! before. `pending/` has the keys and what has come of orders that have not ended, `accounts/` those of ACME.

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::bundle::MAX_BUNDLE_BYTES;
use super::names::file_stem;
use super::{Bundle, CertificateError, KeyKind, Names, PrivateKey};

/// What files begin with that are being written.
const BEGUN: &str = ".begun-";

/// How long a stand-in is valid, seconds: it is replaced as soon as a real one can be had.
const STAND_IN_LIFE_S: u64 = 90 * 86_400;

/// The directory of the certificates. Only its owner can look into it.
#[derive(Clone, Debug)]
pub struct Files {
    dir: PathBuf,
}

/// What an order has left in `pending/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Key,
    Bundle,
}

impl Files {
    /// Opens the directory, makes it if need be, and removes what was begun and not ended by somebody who was killed.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn open(dir: &Path) -> Result<Self, CertificateError> {
        let Self { dir } = Self::at(dir)?;
        for part in ["", "pending", "accounts"] {
            let path = dir.join(part);
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.and_then(|()| remove_begun(&path)).map_err(CertificateError::file(&path))?;
        }
        Ok(Self { dir })
    }

    /// The directory as it is, whoever uses it.
    ///
    /// # Errors
    /// There is no current directory that its path could be relative to.
    pub(super) fn at(dir: &Path) -> Result<Self, CertificateError> {
        Ok(Self { dir: std::path::absolute(dir).map_err(CertificateError::file(dir))? })
    }

    /// The path that HAProxy is told for the certificate of this name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}.pem", file_stem(name)))
    }

    /// Whether this path is one of ours.
    pub fn has(&self, path: &Path) -> bool {
        path.parent() == Some(&self.dir)
    }

    /// The files that HAProxy reads for a path: it itself, or those of both kinds of keys in its place.
    pub fn in_force(path: &Path) -> Vec<PathBuf> {
        if path.is_file() {
            return vec![path.to_owned()];
        }
        let kinds = [KeyKind::Ecdsa, KeyKind::Rsa];
        kinds.map(|kind| with_ending(path, kind.name())).into_iter().filter(|path| path.is_file()).collect()
    }

    /// When the last of those was put there, seconds since the Unix epoch.
    pub(super) fn put_at_s(&self, path: &Path) -> Option<u64> {
        let put_at = |file: PathBuf| fs::metadata(file).ok()?.modified().ok();
        let last = Self::in_force(path).into_iter().filter_map(put_at).max()?;
        Some(last.duration_since(UNIX_EPOCH).ok()?.as_secs())
    }

    /// The text of such a file.
    ///
    /// # Errors
    /// It cannot be read, or is longer than any certificate.
    pub fn read(path: &Path) -> io::Result<String> {
        let mut text = String::new();
        File::open(path)?.take(MAX_BUNDLE_BYTES as u64 + 1).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Puts a certificate in its place: one bundle, or one of each kind. What was there is kept as `.previous`, and nothing else
    /// is. Whoever reads meanwhile finds the one before or the new one; whoever was killed goes on by the same once more. Gives the
    /// place of each bundle.
    ///
    /// # Errors
    /// A file cannot be written; those that were are in place.
    pub fn install(&self, name: &str, bundles: &[Bundle]) -> Result<Vec<PathBuf>, CertificateError> {
        let mut obsolete = self.places(name).to_vec();
        let [whole, ..] = self.places(name);
        let place_of = |bundle: &Bundle| match bundles {
            [_] => whole.clone(),
            _ => with_ending(&whole, bundle.kind().name()),
        };
        let places: Vec<PathBuf> = bundles.iter().map(place_of).collect();
        obsolete.retain(|path| !places.contains(path));
        let is_there = |place: &Path, bundle: &Bundle| Self::read(place).is_ok_and(|pem| pem == bundle.pem());
        let new = || places.iter().zip(bundles).filter(|(place, bundle)| !is_there(place, bundle));
        // With nothing left to write, somebody was killed after it: what is kept by then is what was there before.
        if new().next().is_some() {
            for path in obsolete.iter().filter(|path| !path.exists()) {
                let previous = previous(path);
                remove_if_there(&previous).map_err(CertificateError::file(&previous))?;
            }
        }
        for (place, bundle) in new() {
            let kept = keep_previous(place);
            kept.and_then(|()| write(place, &bundle.pem())).map_err(CertificateError::file(place))?;
        }
        for path in obsolete {
            rename_if_there(&path, &previous(&path)).map_err(CertificateError::file(&path))?;
        }
        sync(&self.dir).map_err(CertificateError::file(&self.dir))?;
        Ok(places)
    }

    /// Puts back what was in the place of a certificate before, if anything. Where there was nothing, what is there now is
    /// removed, unless it `is_used`.
    ///
    /// # Errors
    /// A file cannot be renamed or removed.
    pub fn put_back(&self, name: &str, is_used: bool) -> Result<(), CertificateError> {
        let mut new = Vec::new();
        for path in self.places(name) {
            let is_back = rename_if_there(&previous(&path), &path).map_err(CertificateError::file(&path))?;
            new.extend((!is_back).then_some(path));
        }
        // HAProxy does not start without any.
        let keeps = is_used && new.len() == self.places(name).len();
        for path in new.iter().filter(|_| !keeps) {
            remove_if_there(path).map_err(CertificateError::file(path))?;
        }
        sync(&self.dir).map_err(CertificateError::file(&self.dir))
    }

    /// Removes a certificate, and the one before it.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub(super) fn remove(&self, name: &str) -> Result<(), CertificateError> {
        for path in self.places(name) {
            for path in [previous(&path), path] {
                remove_if_there(&path).map_err(CertificateError::file(&path))?;
            }
        }
        sync(&self.dir).map_err(CertificateError::file(&self.dir))
    }

    /// Puts a certificate that signs itself where there is none: HAProxy does not start without. Gives it if there was none.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn stand_in(
        &self,
        path: &Path,
        names: &Names,
        now_s: u64,
    ) -> Result<Option<Bundle>, CertificateError> {
        if !Self::in_force(path).is_empty() {
            return Ok(None);
        }
        let made = PrivateKey::generate(KeyKind::Ecdsa).and_then(|key| {
            // Clocks of clients may be late.
            let chain = key.self_signed(names, now_s.saturating_sub(86_400), now_s + STAND_IN_LIFE_S)?;
            Ok([chain, key.pem()].concat())
        });
        let text = made.map_err(|error| CertificateError::Invalid(error.to_string()))?;
        let bundle = Bundle::parse(&text)?;
        Self::put_secret(path, &bundle.pem())?;
        Ok(Some(bundle))
    }

    /// The key of an order, which is made where there is none, and on the disk before anybody hears of it.
    ///
    /// # Errors
    /// It cannot be made, read or written.
    pub(super) fn order_key(&self, name: &str, kind: KeyKind) -> Result<PrivateKey, CertificateError> {
        let path = self.pending(name, kind, Pending::Key);
        if let Ok(pem) = Self::read(&path)
            && let Ok(key) = PrivateKey::from_pem(&pem)
        {
            return Ok(key);
        }
        let key = PrivateKey::generate(kind).map_err(|error| CertificateError::Invalid(error.to_string()))?;
        Self::put_secret(&path, &key.pem())?;
        Ok(key)
    }

    /// Keeps what has come of an order.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn put_issued(&self, name: &str, bundle: &Bundle) -> Result<(), CertificateError> {
        Self::put_secret(&self.pending(name, bundle.kind(), Pending::Bundle), &bundle.pem())
    }

    /// What has come of an order.
    ///
    /// # Errors
    /// It is not there, or is not what was written.
    pub(super) fn issued(&self, name: &str, kind: KeyKind) -> Result<Bundle, CertificateError> {
        let path = self.pending(name, kind, Pending::Bundle);
        Ok(Bundle::parse(&Self::read(&path).map_err(CertificateError::file(&path))?)?)
    }

    /// Removes all that orders for this name have left.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn clear_pending(&self, name: &str) -> Result<(), CertificateError> {
        for kind in [KeyKind::Ecdsa, KeyKind::Rsa] {
            for what in [Pending::Key, Pending::Bundle] {
                let path = self.pending(name, kind, what);
                remove_if_there(&path).map_err(CertificateError::file(&path))?;
            }
        }
        Ok(())
    }

    /// Removes what belongs to no order of these names.
    ///
    /// # Errors
    /// The directory cannot be read or written.
    pub(super) fn tidy(&self, ordered: &[&str]) -> Result<(), CertificateError> {
        let dir = self.dir.join("pending");
        let kept: Vec<PathBuf> = ordered
            .iter()
            .flat_map(|name| {
                [KeyKind::Ecdsa, KeyKind::Rsa].into_iter().flat_map(move |kind| {
                    [Pending::Key, Pending::Bundle].map(|what| self.pending(name, kind, what))
                })
            })
            .collect();
        let tidy = || {
            for entry in fs::read_dir(&dir)? {
                let entry = entry?;
                // A directory is somebody else's.
                if !kept.contains(&entry.path()) && !entry.file_type()?.is_dir() {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        tidy().map_err(CertificateError::file(&dir))
    }

    /// The file of an account.
    pub(super) fn account(&self, directory_url: &str) -> PathBuf {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(directory_url.as_bytes());
        let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.dir.join("accounts").join(format!("{digits}.json"))
    }

    /// Writes a secret, which is there as a whole from then on.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn put_secret(path: &Path, text: &str) -> Result<(), CertificateError> {
        let written = write(path, text).and_then(|()| path.parent().map_or(Ok(()), sync));
        written.map_err(CertificateError::file(path))
    }

    /// Where the files of a certificate may be.
    fn places(&self, name: &str) -> [PathBuf; 3] {
        let path = self.path(name);
        let of_kind = |kind: KeyKind| with_ending(&path, kind.name());
        [path.clone(), of_kind(KeyKind::Ecdsa), of_kind(KeyKind::Rsa)]
    }

    fn pending(&self, name: &str, kind: KeyKind, what: Pending) -> PathBuf {
        let ending = match what {
            Pending::Key => "key",
            Pending::Bundle => "pem",
        };
        self.dir.join("pending").join(format!("{}.{kind}.{ending}", file_stem(name)))
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    path.into()
}

/// Under another name, then renamed. From its first byte on only its owner can read it (`tempfile` makes it 0600).
fn write(path: &Path, text: &str) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let mut begun = tempfile::Builder::new().prefix(BEGUN).tempfile_in(dir)?;
    begun.write_all(text.as_bytes())?;
    begun.as_file().sync_all()?;
    begun.persist(path)?;
    Ok(())
}

/// A second name for what is there, which is never without one.
fn keep_previous(path: &Path) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let place = tempfile::Builder::new().prefix(BEGUN).tempdir_in(dir)?;
    let link = place.path().join("previous");
    match fs::hard_link(path, &link) {
        Ok(()) => fs::rename(&link, previous(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => remove_if_there(&previous(path)),
        Err(error) => Err(error),
    }
}

fn previous(path: &Path) -> PathBuf {
    with_ending(path, "previous")
}

/// Whether it was there.
fn rename_if_there(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn remove_begun(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(BEGUN) {
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
    }
    Ok(())
}
