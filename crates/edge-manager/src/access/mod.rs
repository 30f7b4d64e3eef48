//! Who may do what: keys, their roles, and who has a request made.

mod attempts;
mod caller;
mod key;
mod keys;
mod role;
#[cfg(test)]
mod tests;

pub use attempts::{Attempts, client};
pub use caller::Caller;
pub use key::{KeyHash, NewKey};
pub use keys::{AccessError, Admission, Keys, MAX_KEYS, add_key, remove_key};
pub use role::Role;
