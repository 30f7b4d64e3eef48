//! Files of HAProxy with a key or a pattern a line.

use std::path::PathBuf;

use edge_filter::list::addresses;
use edge_filter::{List, Status, Target};

use super::lines::{Line, each_line, shown};
use super::{Foreign, ImportError, Place, Problem, Terms};
use crate::rules::{Input, target};

/// Longest line that is looked at, bytes.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// How a line is read. `#` at its beginning makes it a comment in both, as for HAProxy (`pat_ref_read_from_file`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A map, `key value`: the key is an address, a CIDR, a path or host and path. A value from 400 to 599 is the status
    /// that is answered with; the value `true` of a path means that it is not blocked, and `0`, `false`, `off` or `allow` of an address is an error,
    /// as for the filter; other values are no matter.
    Map,
    /// A pattern a line: an address, a CIDR, a path or host and path.
    Acl,
}

/// A file of HAProxy's.
#[derive(Clone, Debug)]
pub struct ListFile {
    /// Where it is.
    pub path: PathBuf,
    /// How it is read.
    pub form: Form,
}

impl ListFile {
    pub(super) fn each_rule<E: From<ImportError>>(
        &self,
        terms: &Terms,
        now_us: u64,
        take: &mut impl FnMut(Result<Foreign, Problem>) -> Result<(), E>,
    ) -> Result<(), E> {
        each_line(&self.path, MAX_LINE_BYTES, |line, text| {
            let place = || Place::Line { file: self.path.display().to_string(), line };
            let parsed = match text {
                Line::Text(text) => self.rule(text, terms, now_us).transpose(),
                Line::TooLong => Some(Err(format!("longer than {MAX_LINE_BYTES} bytes"))),
            };
            match parsed {
                Some(parsed) => take(parsed.map_err(|reason| Problem::new(place(), reason))),
                None => Ok(()),
            }
        })
    }

    /// `None` for a line without a rule.
    fn rule(&self, line: &[u8], terms: &Terms, now_us: u64) -> Result<Option<Foreign>, String> {
        let line = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (key, rest) = line.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((line, ""));
        let rest = rest.trim_ascii();
        let mut status = None;
        match self.form {
            Form::Map => {
                let target = target(key, "");
                if rest == "true" && matches!(target, Ok(Target::Resource(..))) {
                    return Ok(None);
                }
                // An address as the filter reads it.
                let list = if terms.input(key).allows { List::Allow } else { List::Block };
                if matches!(target, Ok(Target::Client(..)))
                    && let Some(Err(bad)) = addresses(line.as_bytes(), 1, list).next()
                {
                    return Err(format!("{:?}: {}", bad.text, bad.reason));
                }
                status = rest.parse::<Status>().ok();
            }
            // HAProxy would take the whole line for the pattern.
            Form::Acl if !rest.is_empty() && !rest.starts_with(['#', ';']) => {
                return Err(format!("{:?}: more than one pattern", shown(line)));
            }
            Form::Acl => {}
        }
        let action = status.map(|status| format!("deny {}", status.code()));
        let input = terms.input(key);
        let input = Input { action: action.as_deref().unwrap_or(input.action), ..input };
        let new = input.parse(now_us).map_err(|invalid| invalid.to_string())?;
        Ok(Some(Foreign { new, created_at_s: None }))
    }
}
