//! What a lookup costs: all contenders by turns, each between two turns of no filter.

use std::time::Duration;

use rand::seq::SliceRandom;

use super::CONNECTIONS;
use crate::contender::{Contender, Subject};
use crate::field::{Ask, Field};
use crate::figures::{At, Case, Metric};
use crate::load::{Pace, Requests};
use crate::problem::{Fallible, go_on};
use crate::stand::{Place, Stand, Turn};

/// Progress is told once in so many rounds.
pub(super) const SHOWN: usize = 10;

/// A list of one size, and who looks it up where.
pub(super) struct Lookups {
    pub(super) subject: Subject,
    pub(super) entries: usize,
    /// No filter is at each place.
    pub(super) seats: Vec<(Contender, Place)>,
    /// Without any, only memory is measured.
    pub(super) asks: Vec<Ask>,
    pub(super) rounds: usize,
    /// How long each contender has in a round.
    pub(super) turn: Duration,
}

/// Somebody who runs, and where its figures belong.
pub(super) struct Seat {
    pub(super) at: At<'static>,
    pub(super) stand: Stand,
}

impl Lookups {
    /// Measures, and adds to `case`.
    pub(super) fn run(&self, case: &mut Case) -> Fallible<()> {
        let field = Field::lay_out(self.subject, self.entries)?;
        let mut places: Vec<&Place> = self.seats.iter().map(|(_, place)| place).collect();
        places.dedup();
        // All run at once, so that their turns follow each other; whoever has no turn sleeps.
        let mut tables: Vec<Vec<Seat>> = Vec::new();
        for place in places {
            let here = self.seats.iter().filter(|(_, at)| at == place).map(|(who, _)| *who);
            tables.push(seats(case, self.subject, &field, here, place)?);
        }
        let asks: Vec<(Ask, Requests)> = self
            .asks
            .iter()
            .filter(|ask| self.entries > 0 || **ask == Ask::Miss)
            .map(|&ask| (ask, field.requests(ask)))
            .collect();
        drop(field);
        let mut rng = rand::rng();
        for (ask, requests) in &asks {
            // No filter refuses nobody.
            let passed = requests.all_passed();
            let turn = |seat: &mut Seat| {
                go_on()?;
                let requests = if seat.at.who.is_filter() { requests } else { &passed };
                seat.stand.turn(requests, Pace::Full, self.turn)
            };
            for n in 0..self.rounds {
                if n % SHOWN == 0 {
                    eprintln!(
                        "  {} listed, {}: round {} of {}",
                        self.entries,
                        ask.name(),
                        n + 1,
                        self.rounds
                    );
                }
                tables.shuffle(&mut rng);
                for table in &mut tables {
                    let (none, others) = table.split_first_mut().expect("no filter is everywhere");
                    others.shuffle(&mut rng);
                    let mut before = turn(none)?;
                    for seat in others {
                        let own = turn(seat)?;
                        let after = turn(none)?;
                        compare(case, At { what: ask.name(), ..seat.at }, &own, [&before, &after]);
                        before = after;
                    }
                    let at = At { what: ask.name(), ..none.at };
                    case.add(at, Metric::CpuUs, before.cpu_us());
                    case.add(at, Metric::PerSecond, before.per_second());
                }
            }
        }
        Ok(())
    }
}

/// Starts them, with connections of the client, and tells what memory each takes.
pub(super) fn seats(
    case: &mut Case,
    subject: Subject,
    field: &Field,
    contenders: impl IntoIterator<Item = Contender>,
    place: &Place,
) -> Fallible<Vec<Seat>> {
    let mut seats = Vec::new();
    for who in contenders {
        go_on()?;
        eprintln!("  {} listed: {} starts", field.entries, who.name(subject));
        let mut stand = Stand::start(who, subject, field, place.clone())?;
        let at = At { who, entries: field.entries, threads: place.threads, what: "" };
        case.add(at, Metric::PrivateBytes, stand.private_bytes() as f64);
        case.add(at, Metric::LargePageBytes, stand.large_page_bytes() as f64);
        stand.connect(CONNECTIONS)?;
        seats.push(Seat { at, stand });
    }
    Ok(seats)
}

/// Adds what a turn tells beside those directly before and after it.
pub(super) fn compare(case: &mut Case, at: At<'_>, own: &Turn, beside: [&Turn; 2]) {
    let mean = |of: fn(&Turn) -> f64| beside.map(of).iter().sum::<f64>() / 2.0;
    case.add(at, Metric::CpuUs, own.cpu_us());
    case.add(at, Metric::CpuBesideUs, mean(Turn::cpu_us));
    case.add(at, Metric::PerSecond, own.per_second());
    case.add(at, Metric::PerSecondBeside, mean(Turn::per_second));
    if at.who == Contender::Spoe {
        case.add(at, Metric::AgentCpuUs, own.agent_cpu_us());
    }
    let [before, after] = beside.map(Turn::cpu_us);
    let drift = (before - after).abs() / mean(Turn::cpu_us);
    // Threads that share processors with the client always wait for each other.
    let lost = if at.threads == 1 {
        beside.map(Turn::lost_part).into_iter().fold(own.lost_part(), f64::max)
    } else {
        0.0
    };
    case.add(at, Metric::Disturbed, drift.max(lost));
}

/// Adds the latencies of a turn.
pub(super) fn add_latencies(case: &mut Case, at: At<'_>, turn: &Turn) {
    case.add(at, Metric::P50Us, turn.outcome.within_us(0.5));
    case.add(at, Metric::P99Us, turn.outcome.within_us(0.99));
    case.add(at, Metric::P999Us, turn.outcome.within_us(0.999));
}
