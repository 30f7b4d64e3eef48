use std::path::Path;
use std::sync::Arc;

use edge_filter::{Action, AddressRule, List, NEVER, Operation, Origin, Rule, Target};

use super::*;
use crate::{Next, Record, Records};

fn rule(address: &str, list: &str) -> Rule {
    Rule {
        target: Target::Client(List::Block, address.parse().unwrap()),
        action: Action::Drop,
        expires_at_s: NEVER,
        origin: Origin::List(list.into()),
        reason: "".into(),
    }
}

fn addresses(list: &str, addresses: &[&str]) -> Record {
    let rules = addresses.iter().map(|address| AddressRule {
        list: List::Block,
        net: address.parse().unwrap(),
        action: Action::Drop,
        expires_at_s: NEVER,
    });
    Record::Addresses { list: list.into(), reason: "".into(), rules: rules.collect() }
}

fn put(address: &str) -> Operation {
    Operation::Put(rule(address, "manager"))
}

fn records(dir: &Path, file: FileName) -> Vec<Record> {
    let dir = StateDir::open(dir).unwrap();
    let mut records = Records::open(&dir, &file).unwrap();
    let mut all = Vec::new();
    loop {
        match records.next().unwrap() {
            Next::Record(record) => all.push(record),
            Next::End { torn_bytes } => {
                assert_eq!(torn_bytes, 0);
                return all;
            }
        }
    }
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = RulesWriter::open(dir.path(), 5000).unwrap();
    assert_eq!(writer.append(&put("192.0.2.1"), 5000).unwrap(), 1);
    assert_eq!(writer.replace_list("bad", [rule("192.0.2.2", "bad")], 1).unwrap(), 2);
    let change = Record::Change { revision: 1, stamp_ms: 5001, operation: put("192.0.2.1") };
    let replace = Record::Replace { revision: 2, stamp_ms: 5003, list: "bad".into() };
    assert_eq!(records(dir.path(), FileName::Journal(0))[1..], [change, replace]);
    let list = [addresses("bad", &["192.0.2.2"]), Record::End { rules: 1 }];
    assert_eq!(records(dir.path(), FileName::List(2))[1..], list);
    let all = [rule("192.0.2.1", "manager"), rule("192.0.2.2", "bad")];
    writer.rotate(all.clone(), &["manager".into(), "bad".into()], 77, 9000).unwrap();
    assert_eq!(records(dir.path(), FileName::Journal(0)).last(), Some(&Record::Next { revision: 2 }));
    let lists: Vec<Arc<str>> = vec!["manager".into(), "bad".into()];
    let snapshot = [
        Record::Head(Head { revision: 2, stamp_ms: 9000, learned_until_ms: 77, lists }),
        addresses("bad", &["192.0.2.2"]),
        addresses("manager", &["192.0.2.1"]),
        Record::End { rules: 2 },
    ];
    assert_eq!(records(dir.path(), FileName::Snapshot), snapshot);
    drop(writer);
    let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
    assert_eq!(writer.revision(), 2);
    assert_eq!(writer.append(&put("192.0.2.3"), 1).unwrap(), 3);
    let change = Record::Change { revision: 3, stamp_ms: 9001, operation: put("192.0.2.3") };
    assert_eq!(records(dir.path(), FileName::Journal(2))[1..], [change]);
}
