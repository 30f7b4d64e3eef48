//! Whatever can be written is read as it was.

use std::net::IpAddr;
use std::sync::Arc;

use edge_filter::{
    Action, AddressRule, CanonicalPath, ClientNet, Conditions, Host, List, Operation, Origin,
    ParameterSegments, Provenance, Resource, Rule, Status, Target, canonical_query,
};
use edge_journal::{
    EncodeError, FileKind, FileName, Head, Invalid, MAX_LISTS, MAX_OPERATIONS, MAX_REASON_BYTES,
    MAX_RULES_PER_CHUNK, MAX_STAMP_US, Record, encode_file,
};
use proptest::option;
use proptest::prelude::*;

use crate::samples::{read, rule, rules};

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Observe),
        Just(Action::Tarpit),
        Just(Action::Drop),
        (400..600_u16).prop_map(|code| Action::Deny(Status::new(code).unwrap())),
    ]
}

fn net() -> impl Strategy<Value = ClientNet> {
    prop_oneof![
        (any::<u32>(), 0..=32_u8)
            .prop_map(|(bits, len)| ClientNet::new(IpAddr::V4(bits.into()), len).unwrap()),
        (any::<u128>(), 0..=128_u8)
            .prop_map(|(bits, len)| ClientNet::new(IpAddr::V6(bits.into()), len).unwrap()),
    ]
}

fn list() -> impl Strategy<Value = List> {
    prop_oneof![Just(List::Allow), Just(List::Block)]
}

fn resource() -> impl Strategy<Value = Resource> {
    let host = prop_oneof![
        "[a-z0-9_-]{1,20}(\\.[a-z]{1,5}){0,2}",
        any::<u128>().prop_map(|bits| { format!("[{}]", std::net::Ipv6Addr::from(bits)) })
    ];
    let parsed = |text: String| CanonicalPath::parse(text, ParameterSegments::Keep, 1000).unwrap();
    (option::of(host), "/[a-z0-9%./;é]{0,20}", any::<bool>()).prop_map(move |(host, path, is_prefix)| {
        let host = host.map(|text| Host::parse(&text).unwrap());
        if is_prefix { Resource::prefix(host, parsed(path)) } else { Resource::exact(host, parsed(path)) }
    })
}

fn canonical(text: &str) -> Box<str> {
    let mut buffer = [0; 200];
    str::from_utf8(canonical_query(text.as_bytes(), &mut buffer).unwrap()).unwrap().into()
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let parameter =
        ("[a-c%é]{0,5}", "[a-c=%é]{0,5}").prop_map(|(name, value)| (canonical(&name), canonical(&value)));
    (
        option::of("[A-Z-]{1,32}"),
        option::of("[a-c=&%é]{0,20}"),
        option::of(parameter),
        any::<bool>(),
        any::<Option<IpAddr>>(),
    )
        .prop_map(|(method, query, parameter, anonymous, client)| Conditions {
            method: method.map(Box::from),
            query: query.map(|text| canonical(&text)),
            parameter,
            anonymous,
            client,
        })
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        (list(), net()).prop_map(|(list, net)| Target::Client(list, net)),
        (resource(), conditions()).prop_map(|(resource, conditions)| Target::Resource(resource, conditions)),
    ]
}

fn origin() -> impl Strategy<Value = Origin> {
    let text = || "[^\\p{Cc}]{0,20}";
    let provenance = (text(), text(), text(), text(), 0..=MAX_STAMP_US, option::of(net())).prop_map(
        |(backend, server, unique_id, request, learned_at_us, client_network)| {
            let from = Provenance { backend, server, unique_id, request, learned_at_us, client_network };
            Origin::Learned(Arc::new(from))
        },
    );
    prop_oneof![text().prop_map(|name| Origin::List(name.into())), provenance]
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (target(), action(), any::<u32>(), origin(), "[^\\p{Cc}]{0,20}").prop_map(
        |(target, action, expires_at_s, origin, reason)| Rule {
            target,
            action,
            expires_at_s,
            origin,
            reason: reason.into(),
        },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    let one = prop_oneof![
        any_rule().prop_map(Operation::Put),
        target().prop_map(Operation::Remove),
        target().prop_map(Operation::Forget),
        resource().prop_map(Operation::ForgetResource),
    ]
    .boxed();
    prop_oneof![3 => one.clone(), 1 => prop::collection::vec(one, 0..4).prop_map(Operation::Batch)]
}

fn address_rule() -> impl Strategy<Value = AddressRule> {
    (list(), net(), action(), any::<u32>()).prop_map(|(list, net, action, expires_at_s)| AddressRule {
        list,
        net,
        action,
        expires_at_s,
    })
}

fn snapshot(rules: Record, count: usize) -> Vec<Record> {
    let end = Record::End { rules: count as u64 };
    vec![Record::Head(Head { revision: 3, ..Head::default() }), rules, end]
}

fn round_trip(file: &FileName, records: &[Record]) {
    let bytes = encode_file(file.kind(), records).unwrap();
    let (found, offset, end) = read(file, &bytes);
    assert_eq!(found, records);
    assert_eq!((offset, end.unwrap()), (bytes.len() as u64, 0));
}

proptest! {
    #[test]
    fn any_operation_is_read_as_it_was_written(
        operations in prop::collection::vec((0..=MAX_STAMP_US, operation()), 0..4),
    ) {
        let mut records = vec![Record::Head(Head { stamp_us: 7, ..Head::default() })];
        records.extend(operations.into_iter().map(|(stamp_us, operation)| {
            Record::Change { revision: 0, stamp_us, operation }
        }));
        round_trip(&FileName::learned("1").unwrap(), &records);
    }

    #[test]
    fn any_rules_are_read_as_they_were_written(rules in prop::collection::vec(any_rule(), 0..20)) {
        let count = rules.len();
        round_trip(&FileName::Snapshot, &snapshot(Record::Rules(rules), count));
    }

    #[test]
    fn any_addresses_are_read_as_they_were_written(
        mut rules in prop::collection::vec(address_rule(), 0..50),
        (list, reason) in ("[^\\p{Cc}]{0,20}", "[^\\p{Cc}]{0,20}"),
    ) {
        // Those of IPv4 come first.
        rules.sort_by_key(|rule| matches!(rule.net, ClientNet::V6(..)));
        let count = rules.len();
        let addresses = Record::Addresses { list: list.into(), reason: reason.into(), rules };
        round_trip(&FileName::Snapshot, &snapshot(addresses, count));
    }
}

fn refusal(record: Record) -> Invalid {
    match encode_file(FileKind::Snapshot, &[record]) {
        Err(EncodeError::Invalid(invalid)) => invalid,
        other => panic!("{other:?}"),
    }
}

fn refused(operation: Operation) -> String {
    refusal(Record::Change { revision: 1, stamp_us: 1, operation }).to_string()
}

#[test]
fn what_no_reader_takes_is_not_written() {
    let put = |change: fn(&mut Rule)| {
        let mut rule = rules().swap_remove(9);
        change(&mut rule);
        refused(Operation::Put(rule))
    };
    let text = |what, max| format!("a {what} has at most {max} bytes and no control characters");
    assert_eq!(put(|rule| rule.reason = "a\nb".into()), text("reason", MAX_REASON_BYTES));
    assert_eq!(put(|rule| rule.reason = "a".repeat(1025).into()), text("reason", MAX_REASON_BYTES));
    assert_eq!(put(|rule| rule.origin = Origin::List("\u{85}".into())), text("list's name", 1024));
    assert_eq!(
        put(|rule| {
            let provenance = Provenance { server: "a".repeat(1025), ..Provenance::default() };
            rule.origin = Origin::Learned(Arc::new(provenance));
        }),
        text("text of a provenance", 1024)
    );
    assert_eq!(
        put(|rule| {
            let client_network = Some(ClientNet::V4(1, 24));
            rule.origin = Origin::Learned(Arc::new(Provenance { client_network, ..Provenance::default() }));
        }),
        "not a network in canonical form"
    );
    assert_eq!(
        put(|rule| rule.target = Target::Client(List::Block, ClientNet::V4(1, 31))),
        "not a network in canonical form"
    );
    assert_eq!(
        put(|rule| rule.target = Target::Client(List::Block, ClientNet::V6(0, 129))),
        "not a network in canonical form"
    );
    let path = "not a path in canonical form of at most 16384 bytes";
    assert_eq!(put(|rule| with_path(rule, "/adm/")), path);
    assert_eq!(put(|rule| with_path(rule, &format!("/{}", "a".repeat(16_384)))), path);
    let method = Conditions { method: Some("a b".into()), ..Conditions::default() };
    let Target::Resource(resource, _) = rules().swap_remove(9).target else { panic!("not a resource") };
    assert_eq!(
        refused(Operation::Remove(Target::Resource(resource, method))),
        "a method is a token of at most 32 bytes"
    );
}

fn with_path(rule: &mut Rule, path: &str) {
    let Target::Resource(resource, _) = &mut rule.target else { panic!("not a resource") };
    resource.path = CanonicalPath::parse(path, ParameterSegments::Keep, 99_999).unwrap();
}

#[test]
fn everything_has_a_bound() {
    let batch = |count| Operation::Batch(vec![Operation::Remove(rules().swap_remove(12).target); count]);
    let change = |operation| Record::Change { revision: 0, stamp_us: 1, operation };
    let head = || Record::Head(Head::default());
    round_trip(&FileName::learned("1").unwrap(), &[head(), change(batch(MAX_OPERATIONS))]);
    assert_eq!(refused(batch(MAX_OPERATIONS + 1)), "more than 4096 operations of a batch");
    assert_eq!(refused(Operation::Batch(vec![batch(1)])), "a batch within a batch");

    let address = || rule(Target::Client(List::Block, "192.0.2.1".parse().unwrap()));
    let chunk = |count| Record::Rules(vec![address(); count]);
    round_trip(&FileName::Snapshot, &snapshot(chunk(MAX_RULES_PER_CHUNK), MAX_RULES_PER_CHUNK));
    assert_eq!(refusal(chunk(MAX_RULES_PER_CHUNK + 1)).to_string(), "more than 4096 rules of a record");

    let head = |count| Record::Head(Head { lists: vec!["a".into(); count], ..Head::default() });
    round_trip(&FileName::learned("1").unwrap(), &[head(MAX_LISTS)]);
    assert_eq!(refusal(head(MAX_LISTS + 1)).to_string(), "more than 250 lists");

    let large: Vec<_> =
        (0..1100).map(|n| Rule { reason: format!("{n:01024}").into(), ..address() }).collect();
    let large = encode_file(FileKind::Snapshot, &[Record::Rules(large)]);
    assert!(matches!(large, Err(EncodeError::TooLarge { bytes }) if bytes > 1_048_576), "{large:?}");
}
