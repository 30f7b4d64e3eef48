//! The form `acl is_blocked src A B C ...` in a haproxy.cfg.

use std::path::{Path, PathBuf};

use super::lines::{Line, each_line};
use super::{Foreign, ImportError, Place, Problem, Terms};

/// Words of a line that HAProxy reads (`MAX_LINE_ARGS`, include/haproxy/defaults.h).
pub const MAX_WORDS: usize = 64;

/// Such lines that are kept: no file has more for a reason.
const MAX_LINES: usize = 10_000;

/// One such line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrcAcl {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// Its name, such as `is_blocked`.
    pub name: String,
    /// The addresses in it.
    pub addresses: Vec<String>,
    /// Addresses behind word [`MAX_WORDS`], the last of `addresses`.
    pub beyond: usize,
    /// The files that it names with `-f`.
    pub files: Vec<String>,
    /// Its words in all.
    pub words: usize,
}

impl SrcAcl {
    /// What whoever wrote the line should know.
    pub fn advice(&self) -> Vec<String> {
        let place = format!("{}, line {}", self.path.display(), self.line);
        let mut all = Vec::new();
        if self.words >= MAX_WORDS {
            let (name, words) = (&self.name, self.words);
            let lost = match self.beyond {
                0 => "the next address would be lost".to_owned(),
                n => {
                    let first = &self.addresses[self.addresses.len() - n];
                    format!("{n} addresses from {first} on were never in force, and are once imported")
                }
            };
            all.push(format!(
                "{place}: `acl {name} src` has {words} words and HAProxy reads {MAX_WORDS} of a line: {lost}. Remove the line \
                 when it is imported: a rule of the filter has no such limit, and needs no reload"
            ));
        }
        let files = self.files.iter();
        all.extend(files.map(|file| {
            format!("{place}: it names the file {file}, which is not read: edge-manager import acl {file}")
        }));
        all
    }

    pub(super) fn each_rule<E: From<ImportError>>(
        &self,
        terms: &Terms,
        now_us: u64,
        take: &mut impl FnMut(Result<Foreign, Problem>) -> Result<(), E>,
    ) -> Result<(), E> {
        for address in &self.addresses {
            let new = terms.input(address).parse(now_us);
            let place = || Place::Line { file: self.path.display().to_string(), line: self.line };
            let foreign = new.map(|new| Foreign { new, created_at_s: None });
            take(foreign.map_err(|invalid| Problem::new(place(), invalid)))?;
        }
        Ok(())
    }
}

/// All lines of a haproxy.cfg of the form `acl NAME src ...`.
///
/// # Errors
/// The file cannot be read, or there is none of this name.
pub fn src_acls(path: &Path, name: &str) -> Result<Vec<SrcAcl>, ImportError> {
    let (mut found, mut others) = (Vec::new(), Vec::new());
    each_line(path, |line, text| {
        // One that is too long for this is too long for HAProxy.
        let Line::Text(text) = text else { return Ok(()) };
        let text = String::from_utf8_lossy(text);
        if let Some(acl) = src_acl(path, line, &text) {
            if acl.name != name {
                others.push(acl.name);
            } else {
                found.push(acl);
            }
        }
        match found.len() + others.len() > MAX_LINES {
            true => Err(ImportError::TooLong(path.to_owned(), MAX_LINES as u64)),
            false => Ok(()),
        }
    })?;
    if found.is_empty() {
        others.sort();
        others.dedup();
        let others = match others.len() {
            0 => String::new(),
            _ => format!("; there are those of {}, which --acl would take", others.join(", ")),
        };
        return Err(ImportError::NoAcl { path: path.to_owned(), name: name.to_owned(), others });
    }
    Ok(found)
}

fn src_acl(path: &Path, line: usize, text: &str) -> Option<SrcAcl> {
    let words: Vec<&str> = text.split_ascii_whitespace().take_while(|word| !word.starts_with('#')).collect();
    let ["acl", name, "src", rest @ ..] = &words[..] else { return None };
    let mut acl = SrcAcl {
        path: path.to_owned(),
        line,
        name: (*name).to_owned(),
        addresses: Vec::new(),
        beyond: 0,
        files: Vec::new(),
        words: words.len(),
    };
    let mut rest = (words.len() - rest.len() + 1..).zip(rest);
    let mut are_flags = true;
    while let Some((number, word)) = rest.next() {
        match *word {
            "-f" if are_flags => acl.files.extend(rest.next().map(|(_, file)| (*file).to_owned())),
            "-m" | "-u" if are_flags => drop(rest.next()),
            "-i" | "-n" | "-M" if are_flags => {}
            "--" if are_flags => are_flags = false,
            address => {
                are_flags = false;
                acl.addresses.push(address.to_owned());
                acl.beyond += usize::from(number > MAX_WORDS);
            }
        }
    }
    Some(acl)
}
