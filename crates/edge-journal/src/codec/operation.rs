//! Operations from and to the wire.

use edge_filter::Operation;

use super::bounds::{Invalid, MAX_OPERATIONS, at_most};
use super::rule::{
    resource_from_wire, resource_to_wire, rule_from_wire, rule_to_wire, target_from_wire, target_to_wire,
};
use super::wire::{Change, Step};

pub(super) fn operation_to_wire(operation: &Operation) -> Result<Change<'_>, Invalid> {
    match operation {
        Operation::Batch(operations) => {
            at_most(operations.len(), MAX_OPERATIONS, "operations of a batch")?;
            operations.iter().map(step_to_wire).collect::<Result<_, _>>().map(Change::Batch)
        }
        one => step_to_wire(one).map(Change::One),
    }
}

pub(super) fn operation_from_wire(change: Change<'_>) -> Result<Operation, Invalid> {
    match change {
        Change::One(step) => step_from_wire(step),
        Change::Batch(steps) => {
            steps.into_iter().map(step_from_wire).collect::<Result<_, _>>().map(Operation::Batch)
        }
    }
}

fn step_to_wire(operation: &Operation) -> Result<Step<'_>, Invalid> {
    Ok(match operation {
        Operation::Put(rule) => Step::Put(rule_to_wire(rule)?),
        Operation::Remove(target) => Step::Remove(target_to_wire(target)?),
        Operation::Forget(target) => Step::Forget(target_to_wire(target)?),
        Operation::ForgetResource(resource) => Step::ForgetResource(resource_to_wire(resource)?),
        Operation::Batch(_) => return Err(Invalid::Nested),
    })
}

fn step_from_wire(step: Step<'_>) -> Result<Operation, Invalid> {
    Ok(match step {
        Step::Put(rule) => Operation::Put(rule_from_wire(rule)?),
        Step::Remove(target) => Operation::Remove(target_from_wire(target)?),
        Step::Forget(target) => Operation::Forget(target_from_wire(target)?),
        Step::ForgetResource(resource) => Operation::ForgetResource(resource_from_wire(resource)?),
    })
}
