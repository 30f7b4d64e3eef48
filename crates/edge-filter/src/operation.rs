//! The changes that can be made to the rules.

use crate::{Resource, Rule, Target};

/// One change. `apply` is the same function live, in replay and in tests, so an operation carries absolute
/// times and means the same whenever it is applied.
///
/// An [`Operation::Batch`] is applied in one go, however large: some microseconds a rule. Where that is too long,
/// [`crate::Edit`] does the same in slices of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Add a rule, or replace the one with the same target. Its hits stay if it has not ended.
    Put(Rule),
    /// Remove the rule with this target, whatever its origin.
    Remove(Target),
    /// A backend takes back what was learned: the learned rule with this target. Rules of lists stay.
    Forget(Target),
    /// A backend takes back every learned rule on this resource, whatever its conditions.
    ForgetResource(Resource),
    /// All of these, published at once: no reader sees half of them.
    Batch(Vec<Operation>),
}
