//! Changes of the record, none beyond what the filter has room for.

use edge_filter::{MAX_RULES_PER_RESOURCE, Operation, ParameterSegments, Rule, Target};

use super::{Change, Entry, IfPresent, NewRule, Refusal, RulesError};
use crate::caps::Caps;
use crate::store::{Changes, StoreError};

/// What became of a change, and what the filter is told, if anything.
pub(crate) type Made = (Entry, Option<Operation>);

/// Makes changes of one transaction. A rule beyond a cap of the filter would be in the record, and displace another one there
/// or never be in force: it is refused.
pub(crate) struct Maker<'m, 'c> {
    record: &'m mut Changes<'c>,
    caps: Caps,
    now_s: u32,
    /// Rules that there is room for, at least.
    room: u64,
}

impl<'m, 'c> Maker<'m, 'c> {
    /// O(log rules).
    ///
    /// # Errors
    /// The record cannot be read.
    pub(crate) fn new(record: &'m mut Changes<'c>, now_s: u32) -> Result<Self, RulesError> {
        let caps = record.caps()?;
        let room = u64::from(caps.max_rules).saturating_sub(record.rule_counts()?.all());
        Ok(Self { record, caps, now_s, room })
    }

    /// Makes one change, the `at`th. O(log rules); at the cap on all rules O(those that have ended).
    ///
    /// # Errors
    /// It cannot be made, or the record cannot be written.
    pub(crate) fn make(&mut self, change: Change, at: usize) -> Result<Made, RulesError> {
        self.try_make(change).map_err(|reason| match reason {
            Reason::Refused(why) => RulesError::Refused { at, why },
            Reason::Record(error) => error.into(),
        })
    }

    fn try_make(&mut self, change: Change) -> Result<Made, Reason> {
        match change {
            Change::Put(NewRule { rule, by }, if_present) => {
                let entry = match self.present(&rule.target)? {
                    None => return self.insert(rule, &by, self.now_s),
                    Some(entry) if if_present == IfPresent::Refuse => {
                        return Err(Refusal::Present(Box::new(entry)).into());
                    }
                    Some(entry)
                        if if_present == IfPresent::Prolong
                            && entry.rule.expires_at_s >= rule.expires_at_s =>
                    {
                        let operation = Operation::Put(entry.rule.clone());
                        return Ok((entry, Some(operation)));
                    }
                    Some(entry) => entry,
                };
                let operation = Operation::Put(rule.clone());
                Ok((self.record.update(entry, rule)?, Some(operation)))
            }
            Change::Adopt { new: NewRule { rule, by }, created_at_s } => match self.present(&rule.target)? {
                Some(entry) => Ok((entry, None)),
                None => self.insert(rule, &by, created_at_s.unwrap_or(self.now_s)),
            },
            Change::Remove(target) => {
                let found = self.record.find(&target)?;
                self.remove(found, || Refusal::Absent(Box::new(target)))
            }
            Change::RemoveNumber(id) => {
                let found = self.record.entry(id)?;
                self.remove(found, || Refusal::NoSuchNumber(id))
            }
        }
    }

    /// The rule with this target. One that has ended is none, and makes way.
    fn present(&mut self, target: &Target) -> Result<Option<Entry>, StoreError> {
        match self.record.find(target)? {
            Some(entry) if entry.has_ended(self.now_s) => {
                self.record.remove(entry.id)?;
                Ok(None)
            }
            found => Ok(found),
        }
    }

    fn insert(&mut self, rule: Rule, by: &str, created_at_s: u32) -> Result<Made, Reason> {
        self.take_place(&rule.target)?;
        let operation = Operation::Put(rule.clone());
        Ok((self.record.insert(rule, by, created_at_s)?, Some(operation)))
    }

    /// One that has ended counts as absent.
    fn remove(&mut self, found: Option<Entry>, absent: impl FnOnce() -> Refusal) -> Result<Made, Reason> {
        let entry = found.filter(|entry| !entry.has_ended(self.now_s)).ok_or_else(absent)?;
        self.record.remove(entry.id)?;
        self.room += 1;
        let operation = Operation::Remove(entry.rule.target.clone());
        Ok((entry, Some(operation)))
    }

    /// Takes a place of the filter for one rule more.
    fn take_place(&mut self, target: &Target) -> Result<(), Reason> {
        if let Target::Resource(resource, _) = target {
            let has_parameters = resource.path.as_str().contains(';');
            if has_parameters && self.caps.paths.parameter_segments == ParameterSegments::Drop {
                return Err(Refusal::Parameters(Box::new(resource.clone())).into());
            }
            if self.record.in_force_on(resource, self.now_s)? >= MAX_RULES_PER_RESOURCE {
                return Err(Refusal::FullResource(Box::new(resource.clone())).into());
            }
        }
        if self.room == 0 {
            // Those that have ended have no place there.
            let in_force = self.record.in_force(self.now_s)?;
            self.room = u64::from(self.caps.max_rules).saturating_sub(in_force);
        }
        self.room = self.room.checked_sub(1).ok_or(Refusal::Full(self.caps.max_rules))?;
        Ok(())
    }
}

/// Why a change cannot be made, whichever it is.
enum Reason {
    Refused(Refusal),
    Record(StoreError),
}

impl From<Refusal> for Reason {
    fn from(why: Refusal) -> Self {
        Self::Refused(why)
    }
}

impl From<StoreError> for Reason {
    fn from(error: StoreError) -> Self {
        Self::Record(error)
    }
}
