//! Every kind of rule, condition, operation and record, with fixed contents.

use std::sync::Arc;

use edge_filter::{
    Action, AddressRule, CanonicalPath, Conditions, Host, List, NEVER, Operation, Origin, ParameterSegments,
    Provenance, Resource, Rule, Status, Target,
};
use edge_journal::{FileName, Head, Next, ReadError, Record, Records};

/// What the golden files hold: a state directory at revision 7, and what has happened since.
pub(crate) fn files() -> Vec<(FileName, Vec<Record>)> {
    let learned = FileName::learned("1-1700000000").unwrap();
    vec![
        (FileName::Snapshot, snapshot()),
        (FileName::List(18), list()),
        (FileName::Journal(7), journal()),
        (
            FileName::Journal(18),
            vec![Record::Head(Head { revision: 18, stamp_us: 1_700_000_018_000_000, ..Head::default() })],
        ),
        (learned, learned_journal()),
    ]
}

pub(crate) fn snapshot() -> Vec<Record> {
    let head = Head {
        revision: 7,
        stamp_us: 1_700_000_007_000_000,
        learned_until_us: 1_700_000_006_500_000,
        lists: vec!["manager".into(), "spam".into(), "".into()],
    };
    vec![
        Record::Head(head),
        Record::Addresses { list: "spam".into(), reason: "".into(), rules: addresses() },
        Record::Addresses { list: "manager".into(), reason: "grüße".into(), rules: addresses() },
        Record::Rules(rules()),
        Record::End { rules: 2 * addresses().len() as u64 + rules().len() as u64 },
    ]
}

fn list() -> Vec<Record> {
    let head = Head {
        revision: 18,
        stamp_us: 1_700_000_018_000_000,
        learned_until_us: 0,
        lists: vec!["spam".into()],
    };
    vec![
        Record::Head(head),
        Record::Addresses { list: "spam".into(), reason: "".into(), rules: addresses() },
        Record::End { rules: addresses().len() as u64 },
    ]
}

pub(crate) fn journal() -> Vec<Record> {
    let head = Head { revision: 7, stamp_us: 1_700_000_007_000_000, ..Head::default() };
    let changes = operations().into_iter().zip(8..).map(|(operation, revision)| Record::Change {
        revision,
        stamp_us: 1_700_000_000_000_000 + 1_000_000 * revision,
        operation,
    });
    let mut records = vec![Record::Head(head)];
    records.extend(changes);
    records.push(Record::Replace { revision: 18, stamp_us: 1_700_000_018_000_000, list: "spam".into() });
    records.push(Record::Next { revision: 18 });
    records
}

pub(crate) fn learned_journal() -> Vec<Record> {
    let mut records = vec![Record::Head(Head { stamp_us: 1_700_000_000_000_000, ..Head::default() })];
    records.extend(
        operations().into_iter().zip(1_700_000_000_001_000..).map(|(operation, stamp_us)| Record::Change {
            revision: 0,
            stamp_us,
            operation,
        }),
    );
    records
}

fn addresses() -> Vec<AddressRule> {
    let rule = |list, net: &str, action, expires_at_s| AddressRule {
        list,
        net: net.parse().unwrap(),
        action,
        expires_at_s,
    };
    let deny = |code| Action::Deny(Status::new(code).unwrap());
    vec![
        rule(List::Block, "192.0.2.1", deny(403), NEVER),
        rule(List::Block, "198.51.100.0/24", Action::Drop, 1_800_000_000),
        rule(List::Allow, "0.0.0.0/0", Action::Observe, 0),
        rule(List::Block, "2001:db8::1", Action::Tarpit, 250),
        rule(List::Allow, "2001:db8::/32", deny(400), 251),
        rule(List::Block, "::/0", deny(599), 65_536),
    ]
}

/// Rules of resources with every condition, and learned ones.
pub(crate) fn rules() -> Vec<Rule> {
    let host = |text| Some(Host::parse(text).unwrap());
    let path = |text| CanonicalPath::parse(text, ParameterSegments::Keep, 1024).unwrap();
    let conditions = [
        Conditions::default(),
        Conditions { method: Some("POST".into()), ..Conditions::default() },
        Conditions { query: Some("a=1&b=/".into()), ..Conditions::default() },
        Conditions { query: Some("".into()), ..Conditions::default() },
        Conditions { parameter: Some(("id".into(), "7".into())), ..Conditions::default() },
        Conditions { anonymous: true, ..Conditions::default() },
        Conditions { client: "192.0.2.7".parse().ok(), ..Conditions::default() },
        Conditions { client: "2001:db8::7".parse().ok(), ..Conditions::default() },
        Conditions {
            method: Some("GET".into()),
            query: Some("id=7".into()),
            parameter: Some(("id".into(), "7".into())),
            anonymous: true,
            client: "::ffff:192.0.2.7".parse().ok(),
        },
    ];
    let shop = Resource::exact(host("shop.example"), path("/a;v=1/%2F"));
    let mut rules: Vec<_> =
        conditions.into_iter().map(|conditions| rule(Target::Resource(shop.clone(), conditions))).collect();
    let of = |resource| rule(Target::Resource(resource, Conditions::default()));
    rules.push(of(Resource::prefix(host("[2001:db8::1]"), path("/adm/"))));
    rules.push(of(Resource::prefix(None, path("/"))));
    rules.push(learned(of(Resource::exact(None, path("/yeet"))).target));
    rules.push(learned(Target::Client(List::Block, "203.0.113.9".parse().unwrap())));
    rules
}

pub(crate) fn rule(target: Target) -> Rule {
    Rule {
        target,
        action: Action::Deny(Status::new(404).unwrap()),
        expires_at_s: 1_800_000_000,
        origin: Origin::List("manager".into()),
        reason: "not here".into(),
    }
}

pub(crate) fn learned(target: Target) -> Rule {
    let provenance = Provenance {
        backend: "be_app".into(),
        server: "app1".into(),
        unique_id: "7F000001:1".into(),
        request: "GET shop.example/yeet".into(),
        learned_at_us: 1_700_000_000_123_000,
        client_network: None,
    };
    Rule { origin: Origin::Learned(Arc::new(provenance)), ..rule(target) }
}

fn operations() -> Vec<Operation> {
    let rules = rules();
    let resource = |at: usize| match &rules[at].target {
        Target::Resource(resource, _) => resource.clone(),
        Target::Client(..) => panic!("rule {at} is no resource"),
    };
    let last = rules.last().unwrap().clone();
    let address = addresses()[4].target();
    let flat = vec![
        Operation::Put(last.clone()),
        Operation::Put(rule(address.clone())),
        Operation::Remove(address),
        Operation::Remove(rules[8].target.clone()),
        Operation::Forget(last.target.clone()),
        Operation::Forget(rules[9].target.clone()),
        Operation::ForgetResource(resource(9)),
        Operation::ForgetResource(resource(11)),
    ];
    let mut operations = flat.clone();
    operations.push(Operation::Batch(flat));
    operations.push(Operation::Batch(Vec::new()));
    operations
}

/// The records of some bytes up to their end or the damage, the offset there, and how they end: torn bytes or the
/// error.
pub(crate) type Reading = (Vec<Record>, u64, Result<u64, ReadError>);

pub(crate) fn read(file: &FileName, bytes: &[u8]) -> Reading {
    let mut all = Vec::new();
    let mut records = match Records::over(file.clone(), bytes) {
        Ok(records) => records,
        Err(error) => return (all, 0, Err(error)),
    };
    loop {
        match records.next() {
            Ok(Next::Record(record)) => all.push(record),
            Ok(Next::End { torn_bytes }) => return (all, records.offset(), Ok(torn_bytes)),
            Err(error) => return (all, records.offset(), Err(error)),
        }
    }
}
