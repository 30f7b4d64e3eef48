//! One line of JSON for each record or rule.

use std::io::{self, Write};

use edge_journal::{FileName, ReadError, Record, Records, StateDir};

use super::files::{Ending, Soundness, each_record, files};
use super::json::{Content, Line, OperationJson, RuleJson};

/// Writes every record of every file to `out`, and what is wrong to `errors`. O(bytes); holds one record at a time.
///
/// # Errors
/// The directory cannot be listed or has no files, or nobody takes the lines.
pub fn dump(dir: &StateDir, out: &mut dyn Write, errors: &mut dyn Write) -> io::Result<Soundness> {
    let (names, is_cut) = files(dir)?;
    let mut soundness = Soundness::Sound;
    for name in names {
        let ending = match Records::open(dir, &name) {
            Ok(mut records) => {
                each_record(&mut records, |offset, record| write_record(out, &name, offset, record))
            }
            Err(error) => Ending::Bad(error),
        };
        match ending {
            Ending::Whole { torn_bytes: 0 } | Ending::Bad(ReadError::NotFound { .. }) => {}
            Ending::Whole { torn_bytes } => {
                writeln!(errors, "{name}: an unfinished record, {torn_bytes} bytes, at its end")?;
            }
            Ending::Bad(error) => {
                writeln!(errors, "{error}")?;
                soundness = soundness.max(Soundness::of(&error));
            }
            Ending::Refused(error) => return Err(error),
        }
    }
    if is_cut {
        writeln!(errors, "There are more files than are looked at.")?;
        soundness = Soundness::Unreadable;
    }
    Ok(soundness)
}

fn write_record(out: &mut dyn Write, file: &FileName, offset: u64, record: Record) -> io::Result<()> {
    let file = file.to_string();
    let mut line = |content| {
        serde_json::to_writer(&mut *out, &Line { file: &file, offset, content })?;
        out.write_all(b"\n")
    };
    match record {
        Record::Head(head) => line(Content::Head {
            revision: head.revision,
            stamp_us: head.stamp_us,
            learned_until_us: head.learned_until_us,
            lists: &head.lists.iter().map(|name| &**name).collect::<Vec<_>>(),
        }),
        Record::Rules(rules) => rules.iter().try_for_each(|rule| line(Content::Rule(RuleJson::of(rule)))),
        Record::Addresses { list, reason, rules } => {
            rules.iter().try_for_each(|rule| line(Content::Rule(RuleJson::of_address(&list, &reason, rule))))
        }
        Record::Seal(seal) => line(Content::Seal {
            taken: seal.taken,
            chain: format!("{:016x}", seal.chain.to_bits()),
            content: format!("{:016x}", seal.content.to_bits()),
        }),
        Record::End { rules } => line(Content::End { rules }),
        Record::Change { revision, stamp_us, operation } => {
            line(Content::Change { revision, stamp_us, change: OperationJson::of(&operation) })
        }
        Record::Replace { revision, stamp_us, list } => {
            line(Content::Replace { revision, stamp_us, list: &list })
        }
        Record::Next { revision } => line(Content::Next { revision }),
    }
}
