//! A list of addresses replaced as a whole under load.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use edge_benches::lists::{self, Probe};
use edge_benches::rules::{self, LIST};
use edge_filter::{ClientNet, Rule};
use edge_journal::RulesWriter;
use rustix::process::setpriority_process;

use super::{GENTLE, LONG, kept, lookups};
use crate::contender::{Contender, Subject};
use crate::field::{Field, PAGE, first_of};
use crate::figures::{At, Case, Metric};
use crate::load::{Client, Pace, Requests};
use crate::options::Plan;
use crate::problem::{Fallible, go_on, problem};
use crate::stand::{Cli, Place, Stand};

const CONNECTIONS: usize = 32;
/// A line of commands that fits HAProxy's buffer, bytes.
const LINE_BYTES: usize = 15_000;
const PAUSE: Duration = Duration::from_millis(2);
const DEADLINE: Duration = Duration::from_secs(120);

/// Somebody whose list is replaced, from the first to the second and back.
struct Contest {
    who: Contender,
    stand: Stand,
    writer: Option<RulesWriter>,
    marker: Client,
}

/// The two lists, and a client that the one has and the other has not.
struct Lists {
    nets: [Vec<ClientNet>; 2],
    only_in: [IpAddr; 2],
}

/// Measures, and adds to `case`.
pub(super) fn measure(case: &mut Case, plan: &Plan) -> Fallible<()> {
    let field = Field::lay_out(Subject::Addresses, plan.large)?;
    let lists = Lists::beside(&field);
    let dir = tempfile::tempdir()?;
    let state = dir.path().join("state");
    let writer = kept::write(&state, &lists.nets[0])?;
    let own = |who| Stand::start(who, Subject::Addresses, &field, Place::apart());
    let mut contests = Vec::new();
    for (who, writer) in
        [(Contender::OwnList, None), (Contender::OwnMap, None), (Contender::Edge, Some(writer))]
    {
        let mut stand = if who == Contender::Edge { kept::stand(&state)? } else { own(who)? };
        stand.connect(CONNECTIONS)?;
        contests.push(Contest { who, marker: Client::connect(stand.addr(), 1)?, stand, writer });
    }
    // Nobody of these is in either list, so each gets the same answer before, meanwhile and after.
    let requests = lists.requests();
    // Each round takes seconds with HAProxy's own commands.
    let rounds = plan.rounds.min(3);
    for n in 0..rounds {
        eprintln!("  round {} of {rounds}", n + 1);
        for contest in &mut contests {
            go_on()?;
            contest.round(case, plan, &field, &lists, &requests, 1 - n % 2)?;
        }
    }
    Ok(())
}

impl Lists {
    /// That of `field`, and another that has half of it.
    fn beside(field: &Field) -> Self {
        let first = field.nets().to_vec();
        let half = first.len() / 2;
        let listed: HashSet<ClientNet> = first.iter().copied().collect();
        let more = lists::v4_hosts(first.len() * 2).in_order(lists::Order::Random).nets;
        let fresh: Vec<ClientNet> = more.into_iter().filter(|net| !listed.contains(net)).take(half).collect();
        let only_in = [first[half], fresh[0]].map(first_of);
        let second = first[..half].iter().copied().chain(fresh).collect();
        Self { nets: [first, second], only_in }
    }

    /// For clients that neither has.
    fn requests(&self) -> Requests {
        let listed: HashSet<IpAddr> = self.nets.iter().flatten().map(|&net| first_of(net)).collect();
        let mut requests = Requests::default();
        for addr in Probe::Miss.addresses(&lists::v4_hosts(1)) {
            if !listed.contains(&addr) {
                requests.push(PAGE, addr, false);
            }
        }
        requests
    }
}

impl Contest {
    /// Latency with nothing else, with a client that is kept busy as it is by whoever gives the orders, and while the
    /// list is replaced.
    fn round(
        &mut self,
        case: &mut Case,
        plan: &Plan,
        field: &Field,
        lists: &Lists,
        requests: &Requests,
        to: usize,
    ) -> Fallible<()> {
        let at = |what| At { who: self.who, entries: plan.large, threads: 1, what };
        let pace = Pace::PerSecond(GENTLE);
        let length = plan.round * LONG;
        let idle = self.stand.round(requests, pace, length)?;
        lookups::add(case, at("idle"), &idle);
        let is_over = AtomicBool::new(false);
        let busy = thread::scope(|scope| {
            let burner = scope.spawn(|| {
                stand_back();
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let busy = self.stand.round(requests, pace, length);
            is_over.store(true, Ordering::Relaxed);
            burner.join().expect("it does not panic");
            busy
        })?;
        lookups::add(case, at("idle, client busy"), &busy);
        let order = Order::of(self.who, &self.stand.cli(), field, &lists.nets[to])?;
        let is_over = AtomicBool::new(false);
        let (marker, writer, stand) = (&mut self.marker, &mut self.writer, &mut self.stand);
        let cli = stand.cli();
        let (replaced, round) = thread::scope(|scope| {
            let changer = scope.spawn(|| {
                stand_back();
                let start = Instant::now();
                let outcome = order.give(&cli, writer.as_mut());
                let outcome = outcome.and_then(|()| wait_for(marker, lists.only_in[to]));
                let took = start.elapsed();
                is_over.store(true, Ordering::Relaxed);
                outcome.map(|()| took)
            });
            let round = stand.round_until(requests, pace, |_, _| is_over.load(Ordering::Relaxed));
            (changer.join().expect("it does not panic"), round)
        });
        let (took, round) = (replaced?, round?);
        lookups::add(case, at("replacing"), &round);
        case.add(at("replacing"), Metric::Errors, (round.outcome.wrong + round.outcome.failed) as f64);
        case.add(at("replacing"), Metric::ReplacedMs, took.as_secs_f64() * 1e3);
        Ok(())
    }
}

/// How a list is replaced, with all text and rules made beforehand.
enum Order {
    /// Command by command: a new generation beside the old one, then the change from one to the other.
    Commands(Vec<String>),
    /// A file in the state directory.
    Kept(Vec<Rule>),
}

impl Order {
    fn of(who: Contender, cli: &Cli, field: &Field, nets: &[ClientNet]) -> Fallible<Self> {
        let (kind, file) = match who {
            Contender::OwnList => ("acl", field.acl()),
            Contender::OwnMap => ("map", field.map()),
            _ => return Ok(Self::Kept(rules::block_all(nets))),
        };
        let name = file.display().to_string();
        // By its number, which is shorter than its name: more of them fit a line.
        let known = cli.ask(&format!("show {kind}"))?;
        let line = known.lines().find(|line| line.contains(&name)).ok_or_else(|| problem(known.clone()))?;
        let number = line.split(' ').next().unwrap_or_default();
        let answer = cli.ask(&format!("prepare {kind} #{number}"))?;
        let version = answer.trim().rsplit(' ').next().unwrap_or_default();
        if version.parse::<u32>().is_err() {
            return Err(problem(format!("prepare {kind}: {answer}")));
        }
        let add = format!("add {kind} @{version} #{number}");
        // A map takes many keys in one command, a list takes one.
        let (begin, each, end) = match who {
            Contender::OwnMap => (format!("{add} <<\n"), String::new(), " 1\n"),
            _ => (String::new(), format!("{add} "), ";"),
        };
        let mut lines = vec![begin.clone()];
        for &net in nets {
            let command = format!("{each}{}{end}", first_of(net));
            match lines.last_mut() {
                Some(line) if line.len() + command.len() <= LINE_BYTES => line.push_str(&command),
                _ => lines.push(format!("{begin}{command}")),
            }
        }
        lines.push(format!("commit {kind} @{version} #{number}"));
        Ok(Self::Commands(lines))
    }

    fn give(self, cli: &Cli, writer: Option<&mut RulesWriter>) -> Fallible<()> {
        match (self, writer) {
            (Self::Kept(rules), Some(writer)) => {
                writer.replace_list(LIST, rules, kept::now_us())?;
                Ok(())
            }
            (Self::Commands(lines), _) => lines.iter().try_for_each(|line| {
                go_on()?;
                let answer = cli.ask(line.trim_end_matches(';'))?;
                if answer.trim().is_empty() { Ok(()) } else { Err(problem(answer)) }
            }),
            (Self::Kept(_), None) => Err(problem("rules without a writer")),
        }
    }
}

/// Lets the client go first on the core that both share.
fn stand_back() {
    // Where the system refuses, the figures are worse, and those beside a busy client show it.
    let _ = setpriority_process(None, 19);
}

/// Asks on behalf of this client until it is refused.
fn wait_for(marker: &mut Client, addr: IpAddr) -> Fallible<()> {
    let mut requests = Requests::default();
    requests.push(PAGE, addr, true);
    let start = Instant::now();
    loop {
        let seen = marker.drive(&requests, Pace::Full, |_, seen| seen.answered + seen.wrong > 0)?;
        if seen.answered > 0 {
            return Ok(());
        }
        go_on()?;
        if start.elapsed() > DEADLINE {
            return Err(problem("the new list is not in force"));
        }
        thread::sleep(PAUSE);
    }
}
