//! Dividing changes into records of the journal.

use edge_filter::{Conditions, Host, Operation, Origin, Resource, Rule, Target};
use edge_journal::{MAX_FRAME_BYTES, MAX_OPERATIONS};

/// What a change takes in a record beside its texts, bytes, at most: numbers of at most 17 bytes each.
const OTHER_BYTES: usize = 256;

/// The changes in as few as possible that a record can hold each, in their order. One change is no batch.
pub fn batches(operations: impl IntoIterator<Item = Operation>) -> Vec<Operation> {
    let (mut all, mut batch, mut bytes) = (Vec::new(), Vec::new(), 0);
    for operation in operations {
        let more = bytes_at_most(&operation);
        if batch.len() == MAX_OPERATIONS || bytes + more > MAX_FRAME_BYTES {
            all.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += more;
        batch.push(operation);
    }
    all.push(batch);
    let record = |mut batch: Vec<Operation>| match batch.len() {
        0 => None,
        1 => batch.pop(),
        _ => Some(Operation::Batch(batch)),
    };
    all.into_iter().filter_map(record).collect()
}

fn bytes_at_most(operation: &Operation) -> usize {
    let texts = match operation {
        Operation::Put(rule) => {
            let Rule { target, origin, reason, .. } = rule;
            let list = match origin {
                Origin::List(name) => name.len(),
                Origin::Learned(from) => {
                    from.backend.len() + from.server.len() + from.unique_id.len() + from.request.len()
                }
            };
            of_target(target) + list + reason.len()
        }
        Operation::Remove(target) | Operation::Forget(target) => of_target(target),
        Operation::ForgetResource(resource) => of_resource(resource),
        // No batch holds one.
        Operation::Batch(_) => MAX_FRAME_BYTES,
    };
    texts + OTHER_BYTES
}

fn of_target(target: &Target) -> usize {
    let Target::Resource(resource, conditions) = target else { return 0 };
    let Conditions { method, query, parameter, anonymous: _, client: _ } = conditions;
    let parameter = parameter.as_ref().map_or(0, |(name, value)| name.len() + value.len());
    let len = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
    of_resource(resource) + len(method) + len(query) + parameter
}

fn of_resource(resource: &Resource) -> usize {
    resource.host.as_ref().map_or(0, |host: &Host| host.as_str().len()) + resource.path.as_str().len()
}

#[cfg(test)]
mod tests {
    use edge_filter::{Action, List, NEVER};
    use edge_journal::RulesWriter;

    use super::*;

    fn put(n: u32, reason: &str) -> Operation {
        let net = std::net::Ipv4Addr::from_bits(n).to_string();
        Operation::Put(Rule {
            target: Target::Client(List::Block, net.parse().unwrap()),
            action: Action::Drop,
            expires_at_s: NEVER,
            origin: Origin::List("manual".into()),
            reason: reason.into(),
        })
    }

    fn flat(batches: &[Operation]) -> Vec<Operation> {
        batches
            .iter()
            .cloned()
            .flat_map(|one| match one {
                Operation::Batch(operations) => operations,
                one => vec![one],
            })
            .collect()
    }

    #[test]
    fn each_batch_is_a_record_that_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
        for (count, reason_bytes, least) in [(9000, 0, 3), (3000, 1024, 3)] {
            let operations: Vec<_> = (0..count).map(|n| put(n, &"r".repeat(reason_bytes))).collect();
            let batches = batches(operations.clone());
            assert!((least..least + 2).contains(&batches.len()), "{} batches", batches.len());
            assert_eq!(flat(&batches), operations);
            for batch in &batches {
                writer.append(batch, 1).unwrap();
            }
        }
    }

    #[test]
    fn one_change_is_no_batch_and_none_is_none() {
        assert_eq!(batches([put(1, "")]), [put(1, "")]);
        assert_eq!(batches([]), []);
    }
}
