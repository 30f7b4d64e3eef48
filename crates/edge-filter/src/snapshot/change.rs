//! The two ways in which a snapshot that the writer still has to itself changes.

use std::sync::Arc;

use super::{Holder, Kept, LEARNED, Place, SlotDetails, Snapshot};
use crate::rule::Details;
use crate::{AddressEntry, AddressTable, List, Target};

impl Snapshot {
    /// The rule that has this target.
    pub(crate) fn holder(&self, target: &Target) -> Option<Holder> {
        match target {
            Target::Client(list, net) => self.list(*list).get(*net).as_ref().map(Holder::from),
            Target::Resource(resource, conditions) => {
                self.resources.get(resource)?.with_conditions(conditions).map(Holder::from)
            }
        }
    }

    /// The rule in this place.
    pub(crate) fn at(&self, place: &Place) -> Option<Holder> {
        match place {
            Place::Client(list, net) => self.list(*list).get(*net).as_ref().map(Holder::from),
            Place::Resource(resource, slot) => {
                let rules = &self.resources.get(resource)?.rules;
                rules.iter().find(|rule| rule.slot == *slot).map(Holder::from)
            }
        }
    }

    /// Add a rule, in place of the one with the same target.
    pub(crate) fn insert(&mut self, kept: Kept) {
        let (source, replaced) = match kept {
            Kept::Client(list, entry, details) => {
                let replaced = self.list_mut(list).insert(entry);
                if let Some(other) = replaced.filter(|other| other.slot != entry.slot || details.is_none()) {
                    self.remove_details(other.slot);
                }
                if let Some(details) = details {
                    self.insert_details(entry.slot, details);
                }
                (entry.source, replaced.map(|other| other.source))
            }
            Kept::Resource(resource, rule) => {
                (rule.source, self.resources.insert(&resource, rule).map(|other| other.source))
            }
        };
        self.learned += usize::from(source == LEARNED);
        self.learned -= usize::from(replaced == Some(LEARNED));
    }

    /// Take the rule in this place out.
    pub(crate) fn remove(&mut self, place: &Place) -> Option<Holder> {
        let removed = match place {
            Place::Client(list, net) => {
                let entry = self.list_mut(*list).remove(*net)?;
                self.remove_details(entry.slot);
                Holder::from(&entry)
            }
            Place::Resource(resource, slot) => Holder::from(&self.resources.remove(resource, *slot)?),
        };
        self.learned -= usize::from(removed.source == LEARNED);
        Some(removed)
    }

    fn list_mut(&mut self, list: List) -> &mut AddressTable {
        match list {
            List::Allow => &mut self.allow,
            List::Block => &mut self.block,
        }
    }

    fn insert_details(&mut self, slot: u32, details: Arc<Details>) {
        self.details.insert(SlotDetails { slot, details }, |other| other.slot == slot);
    }

    fn remove_details(&mut self, slot: u32) {
        let hash = self.details.keys().hash_one(slot);
        self.details.remove(hash, |other| other.slot == slot);
    }

    /// All rules but those of single addresses, with their places, in no promised order. Shares the snapshot as it is now.
    pub(crate) fn places_beside_hosts(&self) -> impl Iterator<Item = (Place, Holder)> + Send + use<> {
        let place =
            |(list, entry): (List, AddressEntry)| (Place::Client(list, entry.net), Holder::from(&entry));
        let of = |list| self.list(list).nets().map(move |entry| (list, entry));
        let clients = of(List::Allow).chain(of(List::Block)).map(place);
        let resources = self.resources.entries().flat_map(|of| {
            let place = |slot| Place::Resource(of.resource(), slot);
            of.rules.iter().map(|rule| (place(rule.slot), Holder::from(rule))).collect::<Vec<_>>()
        });
        clients.chain(resources)
    }
}
