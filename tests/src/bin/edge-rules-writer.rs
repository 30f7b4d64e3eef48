//! A manager without a record of its own: writes the rules of a state directory as it is told on stdin, a command a line,
//! and says on stdout when each is in the files, so that a test can kill it at any moment.
//!
//! `put KIND WHAT END LIST`, `remove KIND WHAT`, `replace LIST N` and `rotate LIST,... N`, both followed by N lines
//! `KIND WHAT END LIST`; each is answered with `revision R`, or `damaged R` where only a rotation can follow. The first answer,
//! to the start, is `torn N` where N bytes of the journal were cut, and then the same.
//! `bulk LIST FIRST N` replaces a list by N addresses from FIRST on. KIND is `block`, `allow` or `resource`, END in seconds
//! since the Unix epoch.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, Lines, StdinLock, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use edge_filter::{
    Action, CanonicalPath, ClientNet, Conditions, Host, List, NEVER, Operation, Origin, ParameterSegments,
    Resource, Rule, Status, Target,
};
use edge_journal::RulesWriter;

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    let dir = env::args_os().nth(1).ok_or("usage: edge-rules-writer DIR")?;
    let mut writer = RulesWriter::open(Path::new(&dir), now_us()?)?;
    if writer.torn_bytes() > 0 {
        println!("torn {}", writer.torn_bytes());
    }
    answer(&writer)?;
    let mut lines = io::stdin().lock().lines();
    while let Some(line) = lines.next() {
        obey(&mut writer, &line?, &mut lines)?;
        answer(&writer)?;
    }
    Ok(())
}

fn answer(writer: &RulesWriter) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let word = if writer.needs_rotation() { "damaged" } else { "revision" };
    writeln!(stdout, "{word} {}", writer.revision())?;
    stdout.flush()
}

fn now_us() -> Fallible<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?)
}

fn obey(writer: &mut RulesWriter, line: &str, lines: &mut Lines<StdinLock<'_>>) -> Fallible<()> {
    let words: Vec<&str> = line.split(' ').collect();
    let now_us = now_us()?;
    match words[..] {
        ["put", kind, what, end, list] => {
            writer.append(&Operation::Put(rule(kind, what, end, list)?), now_us)?;
        }
        ["remove", kind, what] => {
            writer.append(&Operation::Remove(target(kind, what)?), now_us)?;
        }
        ["replace", list, count] => {
            writer.replace_list(list, rules(count, lines)?, now_us)?;
        }
        ["bulk", list, first, count] => {
            let origin = Origin::List(list.into());
            let first = first.parse::<Ipv4Addr>()?.to_bits();
            let addresses = (0..count.parse()?).map(|n| Ipv4Addr::from_bits(first + n));
            writer.replace_list(list, addresses.map(|addr| blocked(addr, &origin)), now_us)?;
        }
        ["rotate", lists, count] => {
            let lists: Vec<Arc<str>> = lists.split(',').map(Arc::from).collect();
            writer.rotate(rules(count, lines)?, &lists, 0, now_us)?;
        }
        _ => return Err(format!("not a command: {line:?}").into()),
    }
    Ok(())
}

fn rules(count: &str, lines: &mut Lines<StdinLock<'_>>) -> Fallible<Vec<Rule>> {
    let mut rules = Vec::new();
    for _ in 0..count.parse()? {
        let line = lines.next().ok_or("fewer rules than announced")??;
        match line.split(' ').collect::<Vec<_>>()[..] {
            [kind, what, end, list] => rules.push(rule(kind, what, end, list)?),
            _ => return Err(format!("not a rule: {line:?}").into()),
        }
    }
    Ok(rules)
}

fn rule(kind: &str, what: &str, end: &str, list: &str) -> Fallible<Rule> {
    Ok(Rule {
        target: target(kind, what)?,
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s: end.parse()?,
        origin: Origin::List(list.into()),
        reason: "".into(),
    })
}

fn target(kind: &str, what: &str) -> Fallible<Target> {
    Ok(match kind {
        "block" => Target::Client(List::Block, what.parse()?),
        "allow" => Target::Client(List::Allow, what.parse()?),
        "resource" => {
            let slash = what.find('/').ok_or("a resource has a path")?;
            let (host, path) = what.split_at(slash);
            let path = CanonicalPath::parse(path, ParameterSegments::Keep, 1024)?;
            Target::Resource(Resource::exact(Some(Host::parse(host)?), path), Conditions::default())
        }
        _ => return Err(format!("not a kind of rule: {kind:?}").into()),
    })
}

fn blocked(addr: Ipv4Addr, origin: &Origin) -> Rule {
    Rule {
        target: Target::Client(List::Block, ClientNet::host(IpAddr::V4(addr))),
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s: NEVER,
        origin: origin.clone(),
        reason: "".into(),
    }
}
