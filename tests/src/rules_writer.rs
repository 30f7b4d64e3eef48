//! The process that writes the rules of a state directory in place of the manager.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::StateHome;

/// A running `edge-rules-writer`. Dropping it kills and reaps it.
#[derive(Debug)]
pub struct RulesProcess {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    revision: u64,
    is_damaged: bool,
}

/// A rule as `edge-rules-writer` takes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedRule {
    /// `block`, `allow` or `resource`.
    pub kind: &'static str,
    /// The address, or host and path.
    pub what: String,
    /// When it ends, seconds since the Unix epoch; `u32::MAX`: never.
    pub ends_at_s: u32,
    /// The list that it belongs to.
    pub list: &'static str,
}

impl RulesProcess {
    /// Starts `program`, the built `edge-rules-writer`, as the user that serves, and waits until it has opened the
    /// directory.
    ///
    /// # Errors
    /// It ended instead; what it said is on stderr.
    pub fn spawn(program: &Path, home: &StateHome) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg(home.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some((user, group)) = home.owner() {
            command.uid(user.as_raw()).gid(group.as_raw());
        }
        let mut child = command.spawn()?;
        let commands = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let answers = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let mut process = Self { child, commands, answers, revision: 0, is_damaged: false };
        process.answer()?;
        Ok(process)
    }

    /// The revision that it has acknowledged last.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether the journal is damaged, so that only a rotation can follow.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Puts one rule.
    ///
    /// # Errors
    /// It has ended.
    pub fn put(&mut self, rule: &ListedRule) -> io::Result<u64> {
        self.ask(&format!("put {rule}\n"))
    }

    /// Removes the rule of this kind about this.
    ///
    /// # Errors
    /// It has ended.
    pub fn remove(&mut self, kind: &str, what: &str) -> io::Result<u64> {
        self.ask(&format!("remove {kind} {what}\n"))
    }

    /// Replaces a list.
    ///
    /// # Errors
    /// It has ended.
    pub fn replace<'a>(
        &mut self,
        list: &str,
        rules: impl ExactSizeIterator<Item = &'a ListedRule>,
    ) -> io::Result<u64> {
        self.ask(&with_rules(format!("replace {list} {}\n", rules.len()), rules))
    }

    /// Replaces a list by `count` addresses from `first` on.
    ///
    /// # Errors
    /// It has ended.
    pub fn bulk(&mut self, list: &str, first: Ipv4Addr, count: u32) -> io::Result<u64> {
        self.ask(&format!("bulk {list} {first} {count}\n"))
    }

    /// Begins another journal after a snapshot of these rules, which are all there are of these lists.
    ///
    /// # Errors
    /// It has ended.
    pub fn rotate<'a>(
        &mut self,
        lists: &[&str],
        rules: impl ExactSizeIterator<Item = &'a ListedRule>,
    ) -> io::Result<u64> {
        self.ask(&with_rules(format!("rotate {} {}\n", lists.join(","), rules.len()), rules))
    }

    fn ask(&mut self, command: &str) -> io::Result<u64> {
        self.commands.write_all(command.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<u64> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let (word, number) = line.trim_end().split_once(' ').ok_or(io::ErrorKind::UnexpectedEof)?;
        self.is_damaged = word == "damaged";
        self.revision = number.parse().map_err(io::Error::other)?;
        Ok(self.revision)
    }
}

fn with_rules<'a>(mut text: String, rules: impl Iterator<Item = &'a ListedRule>) -> String {
    for rule in rules {
        text.push_str(&format!("{rule}\n"));
    }
    text
}

impl fmt::Display for ListedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.kind, self.what, self.ends_at_s, self.list)
    }
}

impl Drop for RulesProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
