//! Many addresses at once.

use std::sync::Arc;

use super::{Context, Rules};
use crate::{AddressRule, Origin, Rule, Target};

impl Rules {
    /// Put these rules of one list.
    pub(crate) fn put_addresses(
        &mut self,
        list: &Arc<str>,
        reason: &Arc<str>,
        rules: &[AddressRule],
        context: Context<'_>,
    ) {
        for &AddressRule { list: which, net, action, expires_at_s } in rules {
            let origin = Origin::List(list.clone());
            let target = Target::Client(which, net);
            self.put(Rule { target, action, expires_at_s, origin, reason: reason.clone() }, context);
        }
    }
}
