//! The form `acl is_blocked src A B C ...` in a haproxy.cfg.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::lines::{Line, each_line, shown};
use super::{Foreign, ImportError, Place, Problem, Terms};

/// Words of a line that HAProxy reads (`MAX_LINE_ARGS`, include/haproxy/defaults.h).
pub const MAX_WORDS: usize = 64;

/// Longest line that is looked at, bytes. HAProxy reads lines of any length, and 64 words of them.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// Other names that are told where none is as wanted.
const MAX_NAMES: usize = 20;

/// The lines `acl NAME src ...` of a haproxy.cfg. They are read as they are needed: one is in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrcAcls {
    path: PathBuf,
    name: String,
}

/// One such line.
struct SrcAcl<'a> {
    name: &'a str,
    /// Its words in all.
    words: usize,
    /// Each with the number of the word, counted from 1.
    addresses: Vec<(usize, &'a str)>,
    /// The files that it names with `-f`.
    files: Vec<&'a str>,
}

impl SrcAcls {
    /// Those of this name.
    pub fn new(path: &Path, name: &str) -> Self {
        Self { path: path.to_owned(), name: name.to_owned() }
    }

    /// Gives what whoever wrote the lines should know to `told`.
    ///
    /// # Errors
    /// The file cannot be read, or there is no line of the name.
    pub fn each_advice(&self, mut told: impl FnMut(String)) -> Result<(), ImportError> {
        let (mut is_there, mut others) = (false, BTreeSet::new());
        each_line::<ImportError>(&self.path, MAX_LINE_BYTES, |line, text| {
            let Line::Text(text) = text else {
                // It may be one of them; what is wrong with it is told with the rules.
                is_there = true;
                return Ok(());
            };
            let text = String::from_utf8_lossy(text);
            match SrcAcl::of(&text) {
                Some(acl) if acl.name == self.name => {
                    is_there = true;
                    acl.each_advice(&format!("{}, line {line}", self.path.display()), &mut told);
                }
                Some(acl) if others.len() < MAX_NAMES => {
                    others.insert(shown(acl.name).to_owned());
                }
                _ => {}
            }
            Ok(())
        })?;
        if is_there {
            return Ok(());
        }
        let others = match others.len() {
            0 => String::new(),
            _ => format!(
                "; there are those of {}, which --acl would take",
                others.into_iter().collect::<Vec<_>>().join(", ")
            ),
        };
        Err(ImportError::NoAcl { path: self.path.clone(), name: self.name.clone(), others })
    }

    pub(super) fn each_rule<E: From<ImportError>>(
        &self,
        terms: &Terms,
        now_us: u64,
        take: &mut impl FnMut(Result<Foreign, Problem>) -> Result<(), E>,
    ) -> Result<(), E> {
        each_line(&self.path, MAX_LINE_BYTES, |line, text| {
            let place = || Place::Line { file: self.path.display().to_string(), line };
            let Line::Text(text) = text else {
                let reason = format!("longer than {MAX_LINE_BYTES} bytes");
                return take(Err(Problem::new(place(), reason)));
            };
            let text = String::from_utf8_lossy(text);
            let Some(acl) = SrcAcl::of(&text).filter(|acl| acl.name == self.name) else { return Ok(()) };
            acl.addresses.iter().try_for_each(|(_, address)| {
                let new = terms.input(address).parse(now_us);
                let foreign = new.map(|new| Foreign { new, created_at_s: None });
                take(foreign.map_err(|invalid| Problem::new(place(), invalid)))
            })
        })
    }
}

impl<'a> SrcAcl<'a> {
    /// None where the line is another one.
    fn of(text: &'a str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace().take_while(|word| !word.starts_with('#'));
        let (Some("acl"), Some(name), Some("src")) = (words.next(), words.next(), words.next()) else {
            return None;
        };
        let mut acl = Self { name, words: 3, addresses: Vec::new(), files: Vec::new() };
        let mut are_flags = true;
        while let Some(word) = acl.next(&mut words) {
            match word {
                "-f" if are_flags => {
                    let file = acl.next(&mut words);
                    acl.files.extend(file);
                }
                "-m" | "-u" if are_flags => drop(acl.next(&mut words)),
                "-i" | "-n" | "-M" if are_flags => {}
                "--" if are_flags => are_flags = false,
                address => {
                    are_flags = false;
                    acl.addresses.push((acl.words, address));
                }
            }
        }
        Some(acl)
    }

    fn next(&mut self, words: &mut impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let word = words.next()?;
        self.words += 1;
        Some(word)
    }

    fn each_advice(&self, place: &str, told: &mut impl FnMut(String)) {
        let Self { name, words, .. } = self;
        if *words >= MAX_WORDS {
            let beyond =
                self.addresses.iter().filter(|(number, _)| *number > MAX_WORDS).map(|(_, word)| *word);
            let lost = match beyond.clone().next() {
                None => "the next address would be lost".to_owned(),
                Some(first) => {
                    let count = beyond.count();
                    format!(
                        "{count} addresses from {} on were never in force, and are once imported",
                        shown(first)
                    )
                }
            };
            told(format!(
                "{place}: `acl {name} src` has {words} words and HAProxy reads {MAX_WORDS} of a line: {lost}. Remove the line \
                 when it is imported: a rule of the filter has no such limit, and needs no reload"
            ));
        }
        for file in self.files.iter().map(|file| shown(file)) {
            told(format!(
                "{place}: it names the file {file}, which is not read: edge-manager import acl {file}"
            ));
        }
    }
}
