//! A worker tells what it has of the manager's rules, by whatever way it came to them.

use std::fs;

use edge_filter::Rule;
use edge_journal::{Digest, Mark, RulesWriter, WriteError};

use super::*;

fn put(writer: &mut RulesWriter, addresses: std::ops::Range<u32>) {
    for n in addresses {
        writer.append(&Operation::Put(listed(&format!("192.0.2.{n}"))), START_US).unwrap();
    }
}

fn rules(addresses: std::ops::Range<u32>) -> Vec<Rule> {
    addresses.map(|n| listed(&format!("192.0.2.{n}"))).collect()
}

impl Worker {
    fn mark(&self) -> Option<Mark> {
        let report = self.state.report();
        let digest = Digest::from_bits(u64::from_str_radix(report.hash.as_deref()?, 16).unwrap());
        Some(Mark { revision: report.revision, taken: report.taken, digest })
    }
}

#[test]
fn workers_that_followed_and_that_began_at_any_point_have_the_mark_of_the_writer() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    let mut workers = vec![Worker::start(&dir, START_US)];
    let batch = Operation::Batch(rules(100..200).into_iter().map(Operation::Put).collect());
    for step in 0..8 {
        match step {
            0 => put(&mut writer, 0..3),
            1 => writer.rotate(rules(0..3), &["ours".into()], 0, START_US).unwrap(),
            2 => _ = writer.append(&batch, START_US).unwrap(),
            3 => _ = writer.replace_list("ours", rules(0..9), START_US).unwrap(),
            4 => writer.rotate(rules(0..9), &["ours".into()], 0, START_US).unwrap(),
            5 => {
                let all = rules(0..5).into_iter().map(Ok::<_, WriteError>);
                writer.replace_all(all, &["ours".into()], 0, START_US).map(drop).unwrap();
            }
            _ => put(&mut writer, 10 * step..10 * step + 2),
        }
        workers.push(Worker::start(&dir, START_US));
        for (at, worker) in workers.iter_mut().enumerate() {
            worker.turn().turn();
            assert_eq!(worker.mark(), writer.mark(), "worker {at} after step {step}: {:?}", worker.lines);
        }
    }
}

#[test]
fn a_rule_that_has_ended_changes_no_mark() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    let mut one = Worker::start(&dir, START_US);
    let short = Rule { expires_at_s: one.now_s() + 5, ..listed("192.0.2.1") };
    writer.append(&Operation::Put(short), START_US).unwrap();
    one.turn();
    assert!(one.blocks("192.0.2.1"));
    let before = one.mark();
    one.now_us += 60_000_000;
    one.turn();
    one.filter.upkeep(one.now_s(), 100);
    assert!(!one.blocks("192.0.2.1") && one.mark() == before && before == writer.mark());
    assert_eq!(Worker::start(&dir, one.now_us).mark(), writer.mark());
}

#[test]
fn a_worker_that_has_read_a_part_has_no_mark_and_heals_by_another_snapshot() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    let many: Vec<_> = (0..9000).map(|n| listed(&format!("10.0.{}.{}", n / 256, n % 256))).collect();
    writer.rotate(many.clone(), &["ours".into()], 0, START_US).unwrap();
    let snapshot = dir.join("rules.snapshot");
    let mut bytes = fs::read(&snapshot).unwrap();
    // In the second record of rules: the first one holds 8,192.
    let late = bytes.len() - 4000;
    bytes[late] ^= 1;
    fs::write(&snapshot, bytes).unwrap();
    let mut one = Worker::start(&dir, START_US);
    one.turn();
    let report = one.state.report();
    assert!(report.incomplete && report.hash.is_none() && (1..9000).contains(&report.taken), "{report:?}");
    assert!(report.rules_problem.as_deref().is_some_and(|problem| problem.contains("rules.snapshot")));
    put(&mut writer, 0..1);
    one.turn();
    assert_eq!((one.mark(), one.state.report().incomplete), (None, true), "changes bring nothing of it");
    let all = many.into_iter().map(Ok::<_, WriteError>);
    writer.replace_all(all, &["ours".into()], 0, START_US).unwrap();
    one.turn().turn();
    assert_eq!(one.mark(), writer.mark());
    assert!(one.blocks("10.0.35.39") && !one.state.report().incomplete);
}

#[test]
fn the_rules_of_another_manager_have_another_mark_and_give_way() {
    let (_home, dir) = home();
    let (_other_home, other) = home();
    let mut theirs = RulesWriter::open(&other, START_US + 1_000_000_000).unwrap();
    put(&mut theirs, 50..53);
    theirs.rotate(rules(50..53), &["ours".into()], 0, START_US + 1_000_000_000).unwrap();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    put(&mut writer, 0..3);
    writer.rotate(rules(0..3), &["ours".into()], 0, START_US).unwrap();
    fs::copy(other.join("rules.snapshot"), dir.join("rules.snapshot")).unwrap();
    let mut one = Worker::start(&dir, START_US);
    one.turn();
    assert_eq!(one.state.revision(), writer.revision());
    assert_ne!(one.mark(), writer.mark());
    assert!(writer.check(false).is_some());
    let all = rules(0..3).into_iter().map(Ok::<_, WriteError>);
    writer.replace_all(all, &["ours".into()], 0, START_US).unwrap();
    one.turn().turn();
    assert_eq!(one.mark(), writer.mark(), "{:?}", one.lines);
    assert!(one.blocks("192.0.2.1") && !one.blocks("192.0.2.50"));
}

#[test]
fn a_snapshot_of_an_earlier_version_is_taken_and_has_no_mark() {
    let (_home, dir) = home();
    let head = edge_journal::Record::Head(edge_journal::Head {
        revision: 4,
        stamp_us: START_US,
        lists: vec!["ours".into()],
        ..Default::default()
    });
    let records = [head, edge_journal::Record::Rules(rules(0..3)), edge_journal::Record::End { rules: 3 }];
    let bytes = edge_journal::encode_file(edge_journal::FileKind::Snapshot, &records).unwrap();
    fs::write(dir.join("rules.snapshot"), bytes).unwrap();
    let one = Worker::start(&dir, START_US);
    let report = one.state.report();
    assert_eq!((one.mark(), report.taken, report.revision, report.incomplete), (None, 3, 4, false));
    assert!(one.blocks("192.0.2.2"));
}
