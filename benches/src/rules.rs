//! Rules of clients, and a filter that holds them.

use edge_filter::{
    Action, AddressRule, ClientNet, Filter, List, NEVER, Operation, Origin, Rule, Settings, Status, Target,
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
    let target = |net| Target::Client(List::Block, net);
    let Some(&first) = nets.first() else { return Vec::new() };
    let alike = block(target(first), &LIST.into());
    nets.iter().map(|&net| Rule { target: target(net), ..alike.clone() }).collect()
}

/// A filter with default caps and these rules, published at once.
pub fn filter_of(rules: Vec<Rule>) -> Filter {
    let filter = Filter::new(Settings::default());
    put_all(&filter, rules);
    filter
}

/// Put these rules, published at once.
pub fn put_all(filter: &Filter, rules: Vec<Rule>) {
    let addresses: Option<Vec<_>> = rules.iter().map(AddressRule::of).collect();
    let mut edit = filter.edit(NOW_S).expect("nobody else writes");
    match addresses {
        Some(addresses) => _ = edit.draft_addresses(&LIST.into(), &"".into(), [addresses]),
        None => rules.into_iter().for_each(|rule| edit.draft(Operation::Put(rule))),
    }
    edit.publish_draft();
}
