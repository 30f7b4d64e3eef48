//! What a lookup costs: all contenders by turns, in the same rounds.

use std::time::Duration;

use crate::contender::{Contender, Subject};
use crate::field::{Ask, Field};
use crate::figures::{At, Case, Metric};
use crate::load::{Pace, Requests};
use crate::options::Plan;
use crate::problem::{Fallible, go_on};
use crate::stand::{Place, Round, Stand};

/// Connections of the client: enough to keep HAProxy busy.
const CONNECTIONS: usize = 32;

/// A list of one size, and who looks it up where.
pub(super) struct Lookups {
    pub(super) subject: Subject,
    pub(super) entries: usize,
    pub(super) seats: Vec<(Contender, Place)>,
    pub(super) asks: Vec<Ask>,
    pub(super) pace: Pace,
    /// How long each contender has in a round.
    pub(super) round: Duration,
}

impl Lookups {
    /// Measures, and adds to `case`.
    pub(super) fn run(&self, case: &mut Case, plan: &Plan) -> Fallible<()> {
        let Self { subject, entries, seats, asks, pace, round } = self;
        eprintln!("  {entries} listed: writing the files");
        let field = Field::lay_out(*subject, *entries)?;
        // All run at once, so that their turns follow each other; whoever has no turn sleeps.
        let mut stands = Vec::new();
        for (who, place) in seats {
            go_on()?;
            eprintln!("  {entries} listed: {}", who.name(*subject));
            let mut stand = Stand::start(*who, *subject, &field, place.clone())?;
            let at = At { who: *who, entries: *entries, threads: place.threads, what: "" };
            case.add(at, Metric::PrivateBytes, stand.private_bytes() as f64);
            stand.connect(CONNECTIONS)?;
            stands.push((at, stand));
        }
        let asks: Vec<(Ask, Requests)> = asks
            .iter()
            .filter(|ask| *entries > 0 || **ask == Ask::Miss)
            .map(|&ask| (ask, field.requests(ask)))
            .collect();
        for n in 0..plan.rounds {
            eprintln!("  {entries} listed: round {} of {}", n + 1, plan.rounds);
            for (ask, requests) in &asks {
                // No filter refuses nobody.
                let passed = requests.all_passed();
                let count = stands.len();
                for turn in 0..count {
                    go_on()?;
                    // Somebody else begins each round: nobody always follows the same.
                    let (at, stand) = &mut stands[(turn + n) % count];
                    let requests = if at.who == Contender::None { &passed } else { requests };
                    let round = stand.round(requests, *pace, *round)?;
                    add(case, At { what: ask.name(), ..*at }, &round);
                }
            }
        }
        Ok(())
    }
}

/// All that a round tells.
pub(super) fn add(case: &mut Case, at: At<'_>, round: &Round) {
    case.add(at, Metric::CpuUs, round.cpu_us());
    case.add(at, Metric::PerSecond, round.per_second());
    case.add(at, Metric::Busy, round.cpu.as_secs_f64() / round.outcome.wall.as_secs_f64());
    case.add(at, Metric::P50Us, round.outcome.within_us(0.5));
    case.add(at, Metric::P99Us, round.outcome.within_us(0.99));
    case.add(at, Metric::P999Us, round.outcome.within_us(0.999));
    if at.who == Contender::Spoe {
        let agent_us = round.agent_cpu.as_secs_f64() * 1e6 / round.outcome.answered as f64;
        case.add(at, Metric::AgentCpuUs, agent_us);
    }
}
