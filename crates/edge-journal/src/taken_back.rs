//! What was taken back, and when: it keeps older lessons of other journals from coming back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use edge_filter::{Operation, Resource, Target};

/// Most of them that are kept.
pub const MAX_TAKEN_BACK: usize = 10_000;

/// What was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Taken {
    /// The rule with this target.
    Target(Target),
    /// Every learned rule on this resource, whatever its conditions.
    Resource(Resource),
}

impl Taken {
    /// What an operation takes back, if it does.
    pub fn of(operation: &Operation) -> Option<Self> {
        match operation {
            Operation::Remove(target) | Operation::Forget(target) => Some(Self::Target(target.clone())),
            Operation::ForgetResource(resource) => Some(Self::Resource(resource.clone())),
            Operation::Put(_) | Operation::Batch(_) => None,
        }
    }

    /// As a backend takes it back: rules of lists stay.
    pub fn operation(&self) -> Operation {
        match self {
            Self::Target(target) => Operation::Forget(target.clone()),
            Self::Resource(resource) => Operation::ForgetResource(resource.clone()),
        }
    }
}

/// A stamp, and a number that tells those of one microsecond apart.
type Place = (u64, u64);

/// The latest stamp of each thing that was taken back.
#[derive(Debug, Default)]
pub struct TakenBack {
    places: HashMap<Arc<Taken>, Place>,
    in_order: BTreeMap<Place, Arc<Taken>>,
    noted: u64,
}

impl TakenBack {
    /// Keeps the later stamp; beyond [`MAX_TAKEN_BACK`] the oldest give way.
    pub fn note(&mut self, taken: Taken, stamp_us: u64) {
        let taken = match self.places.get_key_value(&taken) {
            Some((_, place)) if place.0 >= stamp_us => return,
            Some((known, place)) => {
                self.in_order.remove(place);
                known.clone()
            }
            None => Arc::new(taken),
        };
        self.noted = self.noted.saturating_add(1);
        let place = (stamp_us, self.noted);
        self.places.insert(taken.clone(), place);
        self.in_order.insert(place, taken);
        if self.places.len() > MAX_TAKEN_BACK
            && let Some((_, oldest)) = self.in_order.pop_first()
        {
            self.places.remove(&oldest);
        }
    }

    /// Whether a rule with this target that was learned at `stamp_us` was taken back then or later.
    pub fn covers(&self, target: &Target, stamp_us: u64) -> bool {
        let of = |taken: &Taken| self.places.get(taken).is_some_and(|place| place.0 >= stamp_us);
        // Most journals hold no such record at all: nothing is copied for the question then.
        !self.places.is_empty()
            && (of(&Taken::Target(target.clone()))
                || matches!(target, Target::Resource(resource, _) if of(&Taken::Resource(resource.clone()))))
    }

    /// When this was taken back.
    pub fn when(&self, taken: &Taken) -> Option<u64> {
        self.places.get(taken).map(|place| place.0)
    }

    /// Lets go of what was taken back before `oldest_us`.
    pub fn trim(&mut self, oldest_us: u64) {
        while let Some(first) = self.in_order.first_entry()
            && first.key().0 < oldest_us
        {
            self.places.remove(&first.remove());
        }
    }

    /// Everything with its stamp, the oldest first.
    pub fn all(&self) -> Vec<(u64, Arc<Taken>)> {
        self.in_order.iter().map(|(place, taken)| (place.0, taken.clone())).collect()
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use edge_filter::{CanonicalPath, Conditions, List, ParameterSegments};

    use super::*;

    fn client(net: &str) -> Target {
        Target::Client(List::Block, net.parse().unwrap())
    }

    fn resource(path: &str) -> Resource {
        Resource::exact(None, CanonicalPath::parse(path.as_bytes(), ParameterSegments::Keep, 64).unwrap())
    }

    #[test]
    fn what_was_learned_before_is_covered_and_what_came_after_is_not() {
        let mut taken_back = TakenBack::default();
        taken_back.note(Taken::Target(client("192.0.2.1")), 50);
        taken_back.note(Taken::Target(client("192.0.2.1")), 40);
        for (stamp_us, covered) in [(49, true), (50, true), (51, false)] {
            assert_eq!(taken_back.covers(&client("192.0.2.1"), stamp_us), covered);
        }
        assert!(!taken_back.covers(&client("192.0.2.2"), 1));
        taken_back.note(Taken::Target(client("192.0.2.1")), 60);
        assert!(taken_back.covers(&client("192.0.2.1"), 55));
        assert_eq!(taken_back.len(), 1);
    }

    #[test]
    fn a_resource_covers_all_conditions_on_it() {
        let mut taken_back = TakenBack::default();
        taken_back.note(Taken::Resource(resource("/yeet")), 50);
        let bound = |path| {
            let conditions = Conditions { anonymous: true, ..Conditions::default() };
            Target::Resource(resource(path), conditions)
        };
        assert!(taken_back.covers(&bound("/yeet"), 50));
        assert!(!taken_back.covers(&bound("/yolo"), 50));
    }

    #[test]
    fn the_oldest_give_way() {
        let mut taken_back = TakenBack::default();
        let newest = 3 * MAX_TAKEN_BACK as u64;
        for n in 0..newest {
            // Neither from the oldest on nor the other way round.
            let stamp_us = if n % 2 == 0 { n } else { newest - n };
            taken_back
                .note(Taken::Target(client(&std::net::Ipv4Addr::from_bits(n as u32).to_string())), stamp_us);
            assert!(taken_back.len() <= MAX_TAKEN_BACK);
        }
        let stamps: Vec<u64> = taken_back.all().iter().map(|(stamp_us, _)| *stamp_us).collect();
        assert_eq!(stamps.len(), MAX_TAKEN_BACK);
        assert!(
            stamps.is_sorted() && stamps[0] >= newest - 10_000 && stamps[MAX_TAKEN_BACK - 1] == newest - 1
        );
        taken_back.trim(newest - 2);
        let stamps: Vec<u64> = taken_back.all().iter().map(|(stamp_us, _)| *stamp_us).collect();
        assert_eq!((taken_back.len(), stamps), (2, vec![newest - 2, newest - 1]));
    }
}
