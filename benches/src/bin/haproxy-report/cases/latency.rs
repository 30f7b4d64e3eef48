//! Latency of all contenders below full load.

use rand::seq::SliceRandom;

use super::{GENTLE, lookups};
use crate::contender::{Contender, Subject};
use crate::field::{Ask, Field};
use crate::figures::{At, Case};
use crate::load::Pace;
use crate::options::Plan;
use crate::problem::{Fallible, go_on};
use crate::stand::Place;

/// Measures, and adds to `case`.
pub(super) fn measure(case: &mut Case, plan: &Plan) -> Fallible<()> {
    let field = Field::lay_out(Subject::Addresses, plan.large)?;
    let contenders = Contender::ALL.into_iter().filter(|who| plan.takes(*who));
    let mut seats = lookups::seats(case, Subject::Addresses, &field, contenders, &Place::apart())?;
    // Next to nobody of these is listed, and whoever is, is left to those who know.
    let requests = field.requests(Ask::Miss);
    let passed = requests.all_passed();
    for n in 0..plan.long_rounds {
        eprintln!("  round {} of {}", n + 1, plan.long_rounds);
        seats.shuffle(&mut rand::rng());
        for seat in &mut seats {
            go_on()?;
            let requests = if seat.at.who.is_filter() { &requests } else { &passed };
            let turn = seat.stand.turn(requests, Pace::PerSecond(GENTLE), plan.long_turn)?;
            lookups::add_latencies(case, At { what: Ask::Miss.name(), ..seat.at }, &turn);
        }
    }
    Ok(())
}
