//! From start to first answer, with a million addresses in random order.

use edge_benches::lists::{self, Order};
use edge_benches::start::{Field, Place};

use crate::contender::Contender;
use crate::figures::{At, Case, Metric};
use crate::options::Plan;
use crate::problem::{Fallible, go_on};

/// Measures, and adds to `case`.
pub(super) fn measure(case: &mut Case, plan: &Plan) -> Fallible<()> {
    let field = Field::lay_out(&lists::v4_hosts(plan.large).in_order(Order::Random))?;
    for n in 0..plan.long_rounds {
        eprintln!("  round {} of {}", n + 1, plan.long_rounds);
        for place in Place::ALL {
            go_on()?;
            let start = field.start(place, false);
            let (who, what) = match place {
                Place::Nowhere => (Contender::None, "list"),
                Place::OwnList => (Contender::OwnList, "list"),
                Place::OwnMap => (Contender::OwnMap, "list"),
                Place::EmptyModule => (Contender::Edge, "empty"),
                Place::ListFile => (Contender::Edge, "list"),
                Place::Snapshot => (Contender::Edge, "snapshot"),
            };
            let at = At { who, entries: plan.large, threads: 2, what };
            case.add(at, Metric::WallMs, start.wall.as_secs_f64() * 1e3);
            case.add(at, Metric::StartCpuMs, start.cpu.as_secs_f64() * 1e3);
            case.add(at, Metric::PeakBytes, start.peak_bytes as f64);
        }
    }
    Ok(())
}
