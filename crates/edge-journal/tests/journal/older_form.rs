//! Records of a version that left fewer characters without an escape are the same rules, and no damage.

use edge_filter::{
    CanonicalPath, Conditions, Filter, Operation, ParameterSegments, Resource, Rule, Settings, Target,
};
use edge_journal::{Damage, FileKind, FileName, Head, ReadError, Record, encode_file};

use crate::samples::{learned, read, rule};

const PREAMBLE_BYTES: usize = 16;
const FRAME_HEAD_BYTES: usize = 8;

fn target(path: &str, conditions: Conditions) -> Target {
    let path = CanonicalPath::parse(path, ParameterSegments::Keep, 99).unwrap();
    Target::Resource(Resource::exact(None, path), conditions)
}

fn with_query(path: &str, query: &str) -> Target {
    let conditions = Conditions {
        query: Some(query.into()),
        parameter: Some((query.into(), query.into())),
        ..Conditions::default()
    };
    target(path, conditions)
}

/// The file with `AAA` written as this escape wherever it stands, and checksums that are right.
fn spelled(kind: FileKind, records: &[Record], escape: &str) -> Vec<u8> {
    let mut bytes = encode_file(kind, records).unwrap();
    let mut at = PREAMBLE_BYTES;
    while at < bytes.len() {
        let length: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
        let payload = at + FRAME_HEAD_BYTES..at + FRAME_HEAD_BYTES + u32::from_le_bytes(length) as usize;
        for at in payload.start..payload.end - 2 {
            if &bytes[at..at + 3] == b"AAA" {
                bytes[at..at + 3].copy_from_slice(escape.as_bytes());
            }
        }
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&length);
        hasher.update(&bytes[payload.clone()]);
        bytes[at + 4..at + 8].copy_from_slice(&hasher.finalize().to_le_bytes());
        at = payload.end;
    }
    bytes
}

fn snapshot(rules: Vec<Rule>) -> Vec<Record> {
    let head = Head { lists: vec!["manager".into()], ..Head::default() };
    let end = Record::End { rules: rules.len() as u64 };
    vec![Record::Head(head), Record::Rules(rules), end]
}

#[test]
fn escapes_that_are_characters_today_are_read_as_these() {
    let rules = |text: &str| {
        let prefix = |path: &str| match target(path, Conditions::default()) {
            Target::Resource(resource, conditions) => {
                Target::Resource(Resource::prefix(None, resource.path), conditions)
            }
            client => client,
        };
        vec![
            rule(target(&format!("/u/{text}dmin"), Conditions::default())),
            rule(prefix(&format!("/{text}/{text}"))),
            rule(with_query("/q", text)),
            learned(target(&format!("/{text}"), Conditions::default())),
        ]
    };
    let old = spelled(FileKind::Snapshot, &snapshot(rules("AAA")), "%40");
    let (records, _, end) = read(&FileName::Snapshot, &old);
    assert_eq!((records, end.unwrap()), (snapshot(rules("@")), 0));

    let take_back = |text: &str| {
        let operation = Operation::Forget(with_query(&format!("/{text}"), text));
        vec![
            Record::Head(Head { stamp_us: 1, ..Head::default() }),
            Record::Change { revision: 0, stamp_us: 2, operation },
        ]
    };
    let old = spelled(FileKind::Learned, &take_back("AAA"), "%3A");
    let (records, _, end) = read(&FileName::learned("1").unwrap(), &old);
    assert_eq!((records, end.unwrap()), (take_back(":"), 0));
}

#[test]
fn two_rules_that_have_become_one_are_one_in_the_filter() {
    let both =
        vec![rule(target("/u/AAA", Conditions::default())), rule(target("/u/@", Conditions::default()))];
    let old = spelled(FileKind::Snapshot, &snapshot(both), "%40");
    let (records, _, end) = read(&FileName::Snapshot, &old);
    assert_eq!(end.unwrap(), 0, "the count of rules is that of the file");
    let filter = Filter::new(Settings::default());
    for record in records {
        let Record::Rules(rules) = record else { continue };
        rules.into_iter().for_each(|rule| filter.submit(Operation::Put(rule), 1).unwrap());
    }
    assert_eq!(filter.snapshot().counts().resource, 1);
    assert_eq!(filter.reader().resource(b"a.example/u/%40", 1).code(), 404);
}

#[test]
fn what_no_version_wrote_is_damage() {
    for (path, escape) in [("/AAA", "%2f"), ("/AAAb", "/.."), ("/a/AAA", "//b")] {
        let bad =
            spelled(FileKind::Snapshot, &snapshot(vec![rule(target(path, Conditions::default()))]), escape);
        let (_, _, end) = read(&FileName::Snapshot, &bad);
        assert!(
            matches!(end, Err(ReadError::Damaged { damage: Damage::Invalid(_), .. })),
            "{path} {escape}: {end:?}"
        );
    }
}
