//! Rules and changes as JSON: one form for what the API takes and answers and what the command line sends and prints.

mod audit;
mod bulk;
mod change;
mod explanation;
mod fields;
mod removal;
mod request;
mod resource;
mod rule;
#[cfg(test)]
mod tests;

pub use audit::AuditJson;
pub(crate) use bulk::without_place;
pub use bulk::{Bulk, BulkBody, BulkError, BulkJson, Form};
pub use change::{ChangeJson, Enforced, PublishedJson, StoredJson};
pub use explanation::{ExplanationJson, PartName};
pub use removal::RemovalJson;
pub use request::NewRuleJson;
pub use resource::{OriginName, ResourceChangeJson, ResourceJson, ResourcePageJson};
pub use rule::{Matching, RuleJson};
