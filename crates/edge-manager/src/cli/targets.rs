//! The targets that a command is about.

use std::io::{self, Read};

use clap::Args;

use super::failure::Failure;
use crate::rules::Invalid;

/// Longest standard input, bytes.
const MAX_INPUT_BYTES: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(super) struct Targets {
    /// An address, a CIDR, /path or host/path, with /* at its end for all below it; - for the first word of each line of
    /// standard input, but for those that begin with #
    ///
    /// However many there are: all are changed, or none.
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
}

impl Targets {
    /// What `each` makes of all of them, in their order.
    pub(super) fn map<T>(&self, mut each: impl FnMut(&str) -> Result<T, Invalid>) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        for target in &self.targets {
            if target != "-" {
                all.push(each(target)?);
                continue;
            }
            let text = input()?;
            for (line, text) in (1..).zip(text.lines()) {
                let word = text.split_ascii_whitespace().next().filter(|word| !word.starts_with('#'));
                if let Some(word) = word {
                    all.push(each(word).map_err(|error| Failure::Line { line, error })?);
                }
            }
        }
        Ok(all)
    }
}

fn input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = io::stdin().lock().take(MAX_INPUT_BYTES + 1).read_to_string(&mut text);
    match read {
        Ok(bytes) if bytes as u64 <= MAX_INPUT_BYTES => Ok(text),
        Ok(_) => Err(Failure::Input(io::Error::other(format!("longer than {MAX_INPUT_BYTES} bytes")))),
        Err(error) => Err(Failure::Input(error)),
    }
}
