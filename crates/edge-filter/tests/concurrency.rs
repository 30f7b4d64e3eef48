//! Many threads at one filter: what they read is whole, and what they submit is not lost.

use std::net::IpAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use edge_filter::{
    Action, CanonicalPath, ClientNet, Conditions, Filter, Kind, List, NEVER, Operation, Origin,
    ParameterSegments, Reader, Resource, Rule, Settings, Status, Target, Verdict,
};

const NOW_S: u32 = 1_000_000;
const READERS: usize = 3;
const WRITERS: u16 = 4;

/// Different statuses that a reader sees, one after the other, before it has seen enough.
const CHANGES_SEEN: usize = 200;

/// Rules around one address, and on the way to one path.
const NETS: usize = 33;
const PREFIXES: usize = 20;

fn rule(target: Target, status: u16) -> Rule {
    Rule {
        target,
        action: Action::Deny(Status::new(status).unwrap()),
        expires_at_s: NEVER,
        origin: Origin::List("list".into()),
        reason: "".into(),
    }
}

fn client(list: List, addr: [u8; 4], prefix_len: u8) -> Target {
    Target::Client(list, ClientNet::new(IpAddr::from(addr), prefix_len).unwrap())
}

fn all_with(status: u16) -> Vec<Rule> {
    let clients = (0..=32).map(|len| client(List::Block, [192, 0, 2, 1], len));
    let resources = (0..PREFIXES).map(|depth| {
        let path = format!("/{}", "a/".repeat(depth));
        let path = CanonicalPath::parse(path, ParameterSegments::Keep, 99).unwrap();
        Target::Resource(Resource::prefix(None, path), Conditions::default())
    });
    clients.chain(resources).map(|target| rule(target, status)).collect()
}

/// The one status of all these rules, as a verdict's code.
fn status_of<'a>(rules: impl Iterator<Item = &'a Rule>, expected: usize) -> i16 {
    let codes: Vec<_> = rules.map(|rule| rule.action.verdict().code()).collect();
    assert_eq!(codes.len(), expected);
    assert!(codes.iter().all(|code| *code == codes[0]), "half of a batch: {codes:?}");
    codes[0]
}

/// Readers look until each has seen enough changes; until then there are new ones, as fast as they can be made.
fn read_while_it_changes(
    filter: &Filter,
    change: impl Fn(u16) -> Operation,
    look: impl Fn(&mut Reader<'_>) -> i16 + Sync,
) {
    filter.submit(change(0), NOW_S).unwrap();
    let read = || {
        let mut reader = filter.reader();
        let (mut last, mut changes) = (look(&mut reader), 0);
        while changes < CHANGES_SEEN {
            let seen = look(&mut reader);
            changes += usize::from(seen != last);
            last = seen;
        }
    };
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
        for round in (0..200).cycle().skip(1) {
            filter.submit(change(round), NOW_S).unwrap();
            if readers.iter().all(|reader| reader.is_finished()) {
                break;
            }
        }
    });
}

#[test]
fn a_reader_never_sees_half_of_a_batch() {
    let filter = Filter::new(Settings::default());
    let change =
        |round: u16| Operation::Batch(all_with(400 + round).into_iter().map(Operation::Put).collect());
    let url = format!("a.example{}", "/a".repeat(PREFIXES));
    read_while_it_changes(&filter, change, |reader| {
        let of_resource = reader.explain_resource(url.as_bytes(), NOW_S);
        status_of(of_resource.rules.iter().map(|explained| &explained.rule), PREFIXES);
        let all: Vec<_> = filter.rules(Kind::Client).map(|(rule, _)| rule).collect();
        status_of(all.iter(), NETS);
        let of_client = reader.explain_address([192, 0, 2, 1].into(), NOW_S);
        status_of(of_client.rules.iter().map(|explained| &explained.rule), NETS)
    });
}

#[test]
fn an_address_is_never_blocked_between_the_halves_of_a_batch() {
    let filter = Filter::new(Settings::default());
    let [blocked, allowed] =
        [client(List::Block, [192, 0, 2, 0], 24), client(List::Allow, [192, 0, 2, 7], 32)];
    let change = |round: u16| {
        Operation::Batch(if round.is_multiple_of(2) {
            vec![Operation::Put(rule(blocked.clone(), 403)), Operation::Put(rule(allowed.clone(), 403))]
        } else {
            vec![Operation::Remove(allowed.clone()), Operation::Remove(blocked.clone())]
        })
    };
    read_while_it_changes(&filter, change, |reader| {
        assert_eq!(reader.address([192, 0, 2, 7].into(), NOW_S), Verdict::Pass);
        reader.address([192, 0, 2, 8].into(), NOW_S).code()
    });
}

/// The rule that a writer makes in its step.
fn of_writer(writer: u16, step: u16) -> Rule {
    let [upper, lower] = step.to_be_bytes();
    rule(client(List::Block, [10, writer as u8, upper, lower], 32), 403)
}

/// A place where all writers meet, without sleeping: they go on at the same time.
#[derive(Default)]
struct Meeting(AtomicUsize);

impl Meeting {
    fn wait(&self) {
        let all = usize::from(WRITERS);
        let meeting = self.0.fetch_add(1, Ordering::AcqRel) / all + 1;
        while self.0.load(Ordering::Acquire) < meeting * all {
            thread::yield_now();
        }
    }
}

#[test]
fn what_many_threads_submit_is_in_force_when_they_are_done() {
    const ROUNDS: u16 = 20_000;
    let filter = Filter::new(Settings::default());
    let (meeting, rounds_with_a_rest) = (Meeting::default(), AtomicUsize::new(0));
    let write = |writer: u16| {
        for round in 0..ROUNDS {
            meeting.wait();
            filter.submit(Operation::Put(of_writer(writer, round)), NOW_S).unwrap();
            meeting.wait();
            // All have returned and none begins anew. A panic here would leave the others waiting.
            let submitted = usize::from(round + 1) * usize::from(WRITERS);
            if writer == 0 && filter.snapshot().counts().block != submitted {
                rounds_with_a_rest.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let write = &write;
            scope.spawn(move || write(writer));
        }
    });
    assert_eq!(rounds_with_a_rest.into_inner(), 0, "operations were left for an upkeep");
    assert_eq!(filter.counters().queue_full, 0);
}

#[test]
fn what_was_accepted_is_in_force_and_what_was_not_is_counted() {
    let filter = Filter::new(Settings::default());
    let start = Barrier::new(WRITERS.into());
    // While one thread applies a large batch, the others fill the queue.
    let batch = |round: u16| {
        let of_list = |rule| Rule { origin: Origin::List(format!("{round}").into()), ..rule };
        Operation::Batch((0..4000).map(|at| Operation::Put(of_list(of_writer(200, at)))).collect())
    };
    let accepted: Vec<Vec<bool>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (filter, start, batch) = (&filter, &start, &batch);
                scope.spawn(move || {
                    start.wait();
                    let submit = |step: u16| {
                        let put = Operation::Put(of_writer(writer, step));
                        let operation = if step % 1000 == 999 {
                            Operation::Batch(vec![put, batch(step / 1000)])
                        } else {
                            put
                        };
                        filter.submit(operation, NOW_S).is_ok()
                    };
                    (0..5000).map(submit).collect()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    filter.upkeep(NOW_S, 0);
    let mut reader = filter.reader();
    for (writer, accepted) in accepted.iter().enumerate() {
        for (step, accepted) in accepted.iter().enumerate() {
            let Target::Client(_, net) = of_writer(writer as u16, step as u16).target else { unreachable!() };
            let addr: IpAddr = net.to_string().parse().unwrap();
            let expected = if *accepted { 403 } else { 0 };
            assert_eq!(reader.address(addr, NOW_S).code(), expected, "{writer}, {step}");
        }
    }
    let refused = accepted.iter().flatten().filter(|accepted| !**accepted).count();
    assert_eq!(filter.counters().queue_full, refused as u64);
}
