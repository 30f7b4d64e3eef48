//! Rules of clients, and a filter that holds them.

use edge_filter::{
    Action, ClientNet, Filter, List, NEVER, Operation, Origin, Rule, Settings, Status, Target,
};

/// The clock of the benches, seconds since the Unix epoch.
pub const NOW_S: u32 = 1_800_000_000;

/// The name of the list that every rule here belongs to.
pub const LIST: &str = "bench";

/// A rule of the list that blocks, without end.
pub fn block(target: Target, list: &std::sync::Arc<str>) -> Rule {
    Rule {
        target,
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s: NEVER,
        origin: Origin::List(list.clone()),
        reason: "".into(),
    }
}

/// One blocking rule for each network.
pub fn block_all(nets: &[ClientNet]) -> Vec<Rule> {
    let list = LIST.into();
    nets.iter().map(|&net| block(Target::Client(List::Block, net), &list)).collect()
}

/// A filter with default caps and these rules, published at once.
pub fn filter_of(rules: Vec<Rule>) -> Filter {
    let filter = Filter::new(Settings::default());
    filter.submit(Operation::Replace(LIST.into(), rules), NOW_S).expect("nobody else submits");
    filter
}
