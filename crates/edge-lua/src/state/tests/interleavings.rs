//! Two workers of a reload and a client, in every order of their steps: after each step, the next worker to start finds
//! what was acknowledged, as if both workers had been killed there.

use super::*;

/// Steps of the old worker's upkeep, and of the new worker, whose first step is its start.
const OLD_STEPS: usize = 2;
const NEW_STEPS: usize = 3;

/// Rules that the old worker has besides, so that a copy of its journal takes several slices.
const OTHER_RULES: usize = 20;

const LONG_S: u32 = 600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Old,
    New,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Teach(u32),
    TakeBack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Half a response: it is submitted to the filter, or written and acknowledged.
    Client,
    /// A slice of a worker's upkeep without time, a second after the step before.
    Upkeep(Side),
}

/// What the rule is about, and how a backend takes it back.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Url,
    Method,
    Client,
}

impl Kind {
    fn target(self) -> Target {
        match self {
            Self::Url => Target::Resource(resource("/yeet"), Conditions::default()),
            Self::Method => {
                let conditions = Conditions { method: Some("GET".into()), ..Conditions::default() };
                Target::Resource(resource("/yeet"), conditions)
            }
            Self::Client => Target::Client(List::Block, "192.0.2.1".parse().unwrap()),
        }
    }

    fn operation(self, change: Change, stamp_us: u64, now_s: u32) -> Operation {
        match (change, self) {
            (Change::Teach(ttl_s), _) => {
                Operation::Put(Rule { target: self.target(), ..learned("/yeet", stamp_us, now_s + ttl_s) })
            }
            (Change::TakeBack, Self::Client) => Operation::Forget(self.target()),
            // Without a condition in the header, every rule on the resource goes.
            (Change::TakeBack, _) => Operation::ForgetResource(resource("/yeet")),
        }
    }
}

/// A response that was submitted and is not acknowledged yet.
struct Submitted {
    side: Side,
    stamp_us: u64,
    operation: Operation,
    takes_back: Option<super::super::TakesBack>,
    expires_at_s: Option<u32>,
}

struct World<'a> {
    _home: TempDir,
    dir: PathBuf,
    kind: Kind,
    old: Worker,
    new: Option<Worker>,
    now_us: u64,
    script: std::slice::Iter<'a, (Side, Change)>,
    submitted: Option<Submitted>,
    /// When the rule ends; `None` where there is none.
    acknowledged: Option<u32>,
}

impl<'a> World<'a> {
    fn new(kind: Kind, script: &'a [(Side, Change)]) -> Self {
        let (_home, dir) = home();
        let mut old = Worker::start(&dir, START_US);
        (0..OTHER_RULES).for_each(|n| old.learn(&format!("/other/{n}"), LONG_S));
        old.turn();
        let now_us = old.now_us;
        Self {
            _home,
            dir,
            kind,
            old,
            new: None,
            now_us,
            script: script.iter(),
            submitted: None,
            acknowledged: None,
        }
    }

    fn worker(&mut self, side: Side) -> Option<&mut Worker> {
        let now_us = self.now_us;
        let worker = match side {
            Side::Old => &mut self.old,
            Side::New => self.new.as_mut()?,
        };
        worker.now_us = now_us;
        Some(worker)
    }

    /// Whether the step is possible.
    fn step(&mut self, step: Step) -> bool {
        match step {
            Step::Client => self.client(),
            Step::Upkeep(side) => {
                self.now_us += 1_000_000;
                match self.worker(side) {
                    Some(worker) => {
                        worker.filter.upkeep(worker.now_s(), 100);
                        worker.state.turn(
                            &worker.filter,
                            worker.now_us,
                            Budget::of(std::time::Duration::ZERO),
                        );
                    }
                    None => self.new = Some(Worker::start(&self.dir, self.now_us)),
                }
                true
            }
        }
    }

    fn client(&mut self) -> bool {
        if let Some(Submitted { side, stamp_us, operation, takes_back, expires_at_s }) = self.submitted.take()
        {
            let worker = self.worker(side).expect("it was submitted to it");
            worker.state.learned(stamp_us, &operation, takes_back);
            self.acknowledged = expires_at_s;
            return true;
        }
        self.now_us += 1000;
        let Some(&(side, change)) = self.script.next() else { return false };
        let kind = self.kind;
        let Some(worker) = self.worker(side) else { return false };
        let stamp_us = worker.state.stamp_us(worker.now_us);
        let operation = kind.operation(change, stamp_us, worker.now_s());
        let takes_back = State::takes_back(&worker.filter, &operation);
        worker.filter.submit(operation.clone(), worker.now_s()).unwrap();
        let expires_at_s = match &operation {
            Operation::Put(rule) => Some(rule.expires_at_s),
            _ => None,
        };
        self.submitted = Some(Submitted { side, stamp_us, operation, takes_back, expires_at_s });
        true
    }

    /// What may be found: more than one thing while a response is not acknowledged.
    fn possible(&self) -> Vec<Option<u32>> {
        let ends = [Some(self.acknowledged), self.submitted.as_ref().map(|submitted| submitted.expires_at_s)];
        let is_over = |end: u32| u64::from(end) * 1_000_000 <= self.now_us;
        ends.into_iter().flatten().map(|end| end.filter(|end| !is_over(*end))).collect()
    }

    fn found_by(&self, worker: &Worker) -> Option<u32> {
        let rule = worker.filter.snapshot().rule(&self.kind.target())?;
        Some(rule.expires_at_s).filter(|end| u64::from(*end) * 1_000_000 > self.now_us)
    }

    /// Both workers are killed: what the next one finds.
    fn check(&self) -> Result<(), String> {
        let next = Worker::start(&self.dir, self.now_us);
        let others = next.filter.snapshot().counts().learned - usize::from(self.found_by(&next).is_some());
        if others < OTHER_RULES {
            return Err(format!("{others} of {OTHER_RULES} other rules"));
        }
        self.holds("the next worker", &next)
    }

    fn holds(&self, name: &str, worker: &Worker) -> Result<(), String> {
        let (found, possible) = (self.found_by(worker), self.possible());
        if possible.contains(&found) {
            Ok(())
        } else {
            Err(format!("{name} has {found:?}, where one of {possible:?} may be"))
        }
    }

    /// One worker is killed, the other one goes on.
    fn end(mut self, survivor: Side) -> Result<(), String> {
        let other = match survivor {
            Side::Old => self.new.take(),
            Side::New => self.new.take().map(|new| std::mem::replace(&mut self.old, new)),
        };
        drop(other);
        for _ in 0..4 {
            self.old.now_us = self.old.now_us.max(self.now_us);
            self.old.turn();
            self.now_us = self.old.now_us;
            self.check()?;
        }
        self.holds(&format!("{survivor:?}"), &self.old)?;
        match journals(&self.dir).len() {
            1 => Ok(()),
            files => Err(format!("{files} journals")),
        }
    }
}

/// Every order of so many steps of each, in lexicographic order.
fn orders(left: &mut [(Step, usize)], begun: &mut Vec<Step>, f: &mut impl FnMut(&[Step])) {
    if left.iter().all(|(_, count)| *count == 0) {
        return f(begun);
    }
    for at in 0..left.len() {
        if left[at].1 > 0 {
            left[at].1 -= 1;
            begun.push(left[at].0);
            orders(left, begun, f);
            begun.pop();
            left[at].1 += 1;
        }
    }
}

/// Takes these steps; those before `checked` were looked at before. How many were possible.
fn take(kind: Kind, script: &[(Side, Change)], steps: &[Step], checked: usize, survivor: Side) -> usize {
    let mut world = World::new(kind, script);
    let explain = |at: usize, why: String| -> ! {
        panic!("{kind:?} {script:?}: after {:?}: {why}", &steps[..at]);
    };
    for (at, step) in steps.iter().enumerate() {
        if !world.step(*step) {
            return at;
        }
        if at >= checked
            && let Err(why) = world.check()
        {
            explain(at + 1, why);
        }
    }
    if let Err(why) = world.end(survivor) {
        explain(steps.len(), format!("then only {survivor:?} lives on: {why}"));
    }
    steps.len()
}

fn explore(kind: Kind, script: &[(Side, Change)]) -> usize {
    let mut left = [
        (Step::Client, 2 * script.len()),
        (Step::Upkeep(Side::Old), OLD_STEPS),
        (Step::Upkeep(Side::New), NEW_STEPS),
    ];
    let mut before: Vec<Step> = Vec::new();
    let mut possible = usize::MAX;
    let mut whole = 0;
    orders(&mut left, &mut Vec::new(), &mut |steps| {
        let common = before.iter().zip(steps).take_while(|(one, other)| one == other).count();
        // It begins with what was not possible.
        if common > possible {
            return;
        }
        let survivor = if whole % 2 == 0 { Side::Old } else { Side::New };
        possible = take(kind, script, steps, common, survivor);
        whole += usize::from(possible == steps.len());
        before = steps.to_vec();
    });
    whole
}

use Change::{TakeBack, Teach};
use Side::{New, Old};

#[test]
fn what_was_taken_back_does_not_come_back_whichever_worker_is_killed_when() {
    let orders = explore(Kind::Method, &[(Old, Teach(LONG_S)), (New, TakeBack)]);
    assert!(orders > 500, "{orders} orders");
    let orders = explore(Kind::Client, &[(New, Teach(LONG_S)), (Old, TakeBack)]);
    assert!(orders > 500, "{orders} orders");
}

#[test]
fn what_was_taught_again_holds_whichever_worker_is_killed_when() {
    let orders = explore(Kind::Url, &[(Old, Teach(LONG_S)), (New, Teach(2 * LONG_S))]);
    assert!(orders > 500, "{orders} orders");
}
