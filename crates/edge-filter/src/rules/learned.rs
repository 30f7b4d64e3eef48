//! What keeping lessons beyond the process asks of the rules.

use std::sync::Arc;

use crate::snapshot::{LEARNED, Snapshot};
use crate::{Edit, List, Resource, Rule, Target};

impl Edit<'_> {
    /// Make all changes that were submitted before this edit was begun. Once it has ended, readers see them; where a
    /// submission alone may leave that to another thread.
    pub fn settle(&mut self) {
        for operation in self.waiting() {
            self.apply(operation);
        }
    }

    /// The rule with this target, ended or not, as all changes so far have left it, those of the draft too.
    pub fn rule(&self, target: &Target) -> Option<Rule> {
        self.rules().next.rule(target)
    }

    /// The learned rules on this resource, whatever their conditions, and the stamps of their lessons.
    pub fn learned_on(&self, resource: &Resource) -> Vec<(Target, u64)> {
        let Some(of) = self.rules().next.resources.get(resource) else { return Vec::new() };
        let learned = of.rules.iter().filter(|rule| rule.source == LEARNED);
        learned
            .filter_map(|rule| {
                let provenance = rule.details.as_ref()?.provenance.as_ref()?;
                let conditions = rule.conditions.as_deref().cloned().unwrap_or_default();
                Some((Target::Resource(resource.clone(), conditions), provenance.learned_at_ms))
            })
            .collect()
    }
}

impl Snapshot {
    /// All learned rules, in no promised order, ended ones that were not yet swept too. `None` stands for each rule
    /// of a list, so that a walk over millions of those can be continued in slices of work.
    pub fn learned(self: Arc<Self>) -> impl Iterator<Item = Option<Rule>> + Send + use<> {
        let clients = [List::Allow, List::Block].into_iter().flat_map({
            let snapshot = self.clone();
            move |list| snapshot.list(list).entries().map(move |entry| (list, entry))
        });
        let snapshot = self.clone();
        let clients = clients
            .map(move |(list, entry)| (entry.source == LEARNED).then(|| snapshot.address_rule(list, &entry)));
        let resources = self.resources.entries().flat_map(move |of| {
            let learned =
                of.rules.iter().map(|rule| (rule.source == LEARNED).then(|| self.resource_rule(&of, rule)));
            learned.collect::<Vec<_>>()
        });
        clients.chain(resources)
    }
}
