//! Replacing all rules of lists in slices.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::vec;

use super::intake::{Intake, OnTerms, Taken, Terms};
use super::{Context, Rules};
use crate::address::{AddressRenewal, Arrivals, Pass, Tenure};
use crate::snapshot::{Holder, LEARNED, Place, Snapshot};
use crate::{AddressEntry, AddressRule, List, Settings, Target};

/// Lists by their names. Learned rules are in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lists {
    /// The list of this name.
    One(Arc<str>),
    /// Every list but these.
    AllBut(Vec<Arc<str>>),
}

impl Lists {
    fn holds(&self, name: &Arc<str>) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::AllBut(others) => !others.contains(name),
        }
    }
}

/// Replaces all rules of some lists by others in slices of work, as part of the draft. First it is told all that is to come:
/// addresses with [`Replacement::gather`], other rules with [`Replacement::keep`]; nothing is changed by that. Then
/// [`Replacement::replace`], until that is done, takes the gathered addresses in and removes whatever does not come. Last,
/// the other rules are put, and the draft is published. A rule that stays keeps its hits.
///
/// Single addresses are replaced in one pass over the table, a part at a time, in the order of their hashes. For each there
/// are some 16 bytes (IPv4) or 32 (IPv6) until it is taken in; for each network some 60.
///
/// What is given up half way can be begun again. A rule that somebody else puts into one of the lists meanwhile may go or
/// stay.
pub struct Replacement {
    marks: Marks,
    /// The terms of what is gathered, by their number.
    terms: Vec<Terms>,
    hosts: Option<[(List, Arrivals); 2]>,
    nets: Vec<OnTerms>,
    /// How many rules are to come, whatever they are.
    coming: usize,
    /// Whether old and new rules may be more than there is room for. Then what is gathered is only kept, so that all that
    /// goes has gone before any of it is put.
    is_tight: bool,
    stage: Stage,
}

enum Stage {
    Gathering,
    /// Passes over the single addresses of lists.
    Hosts(Vec<(List, Pass)>),
    /// The rules that are no single addresses, as they were when this began.
    Others {
        // Dropped in this order.
        places: Box<dyn Iterator<Item = (Place, Holder)> + Send>,
        /// What is walked over is among the retired snapshots already, and freed there in pieces when this lets go of
        /// it. The walk alone would free it all at once when it ends.
        _held: Arc<Snapshot>,
    },
    /// Networks are put.
    Nets(vec::IntoIter<OnTerms>),
    Done,
}

/// Which rules are replaced, and which of them stay.
struct Marks {
    lists: Lists,
    /// Lessons before this stamp are replaced as well.
    learned_before_us: u64,
    /// Whether each source is one of the lists.
    replaced: Vec<bool>,
    /// A bit for each slot: whether its rule stays.
    stays: Vec<u64>,
    /// Targets of the lessons that stay, by slot: by the removal another lesson may have the slot.
    lessons: BTreeMap<u32, Target>,
}

impl fmt::Debug for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replacement").field("lists", &self.marks.lists).finish_non_exhaustive()
    }
}

impl Replacement {
    /// Of the rules of these lists.
    pub fn new(lists: Lists) -> Self {
        Self {
            marks: Marks {
                lists,
                learned_before_us: 0,
                replaced: Vec::new(),
                stays: Vec::new(),
                lessons: BTreeMap::new(),
            },
            terms: Vec::new(),
            hosts: None,
            nets: Vec::new(),
            coming: 0,
            is_tight: false,
            stage: Stage::Gathering,
        }
    }

    /// Replace all lessons that are stamped before this, microseconds, as well: those that stay are kept, or put
    /// again.
    #[must_use]
    pub fn with_lessons_before(self, learned_before_us: u64) -> Self {
        Self { marks: Marks { learned_before_us, ..self.marks }, ..self }
    }

    /// Whether the gathered addresses were left to be put after the other rules went, because there may not be room for
    /// old and new ones together. Known once the replacement is done.
    pub fn leaves_addresses(&self) -> bool {
        self.is_tight
    }

    pub(crate) fn gather_addresses(
        &mut self,
        rules: &Rules,
        list: &Arc<str>,
        reason: &Arc<str>,
        coming: &[AddressRule],
        now_s: u32,
        settings: &Settings,
    ) {
        if self.terms.last().is_none_or(|last| last.list != *list || last.reason != *reason) {
            self.terms.push(Terms::new(list, reason, settings));
        }
        let mark = u32::try_from(self.terms.len() - 1).unwrap_or(u32::MAX);
        self.coming += coming.len();
        // Beyond the cap nothing is held: all are put in turn.
        self.is_tight |= self.coming > settings.max_rules as usize;
        if self.is_tight {
            coming.iter().for_each(|rule| self.marks.keep(rules, std::iter::once(&rule.target())));
            return;
        }
        let [(_, allow), (_, block)] = self.hosts.get_or_insert_with(|| rules.no_arrivals());
        for rule in coming {
            let arrivals = match rule.list {
                List::Allow => &mut *allow,
                List::Block => &mut *block,
            };
            if !arrivals.push_host(rule, mark) {
                self.marks.keep(rules, std::iter::once(&rule.target()));
                self.nets.push((*rule, mark));
            }
        }
        if let Some(terms) = self.terms.last_mut() {
            terms.is_put = terms.is_put || coming.iter().any(|rule| rule.expires_at_s > now_s);
        }
    }

    /// Keep the rules with these targets.
    pub(crate) fn keep_targets<'t>(
        &mut self,
        rules: &Rules,
        targets: impl ExactSizeIterator<Item = &'t Target>,
    ) {
        self.coming += targets.len();
        self.marks.keep(rules, targets);
    }

    /// Replace `max` rules or parts of tables at most; whether all is done. Targets of lessons that are replaced go to
    /// `lessons`.
    pub(crate) fn replace_some(
        &mut self,
        rules: &mut Rules,
        max: usize,
        lessons: &mut Vec<Target>,
        context: Context<'_>,
    ) -> bool {
        match &mut self.stage {
            Stage::Gathering => {
                let passes = self.begin(rules, context);
                self.stage = Stage::Hosts(passes);
            }
            Stage::Hosts(passes) => match passes.last_mut() {
                Some((list, pass)) => {
                    let going = Going { marks: &self.marks, terms: &self.terms, is_tight: self.is_tight };
                    if rules.renew(*list, pass, max, going, lessons, context) {
                        passes.pop();
                    }
                }
                None => self.stage = self.others(rules),
            },
            Stage::Others { places, .. } => {
                for _ in 0..max {
                    let Some((place, holder)) = places.next() else {
                        self.stage = Stage::Nets(std::mem::take(&mut self.nets).into_iter());
                        break;
                    };
                    if !self.marks.keeps(rules, holder) && self.marks.replaces(rules, &place, holder) {
                        rules.remove_holder(&place, holder, context);
                    }
                }
            }
            Stage::Nets(nets) => {
                for (rule, mark) in nets.by_ref().take(max) {
                    if let Some(terms) = self.terms.get(mark as usize) {
                        rules.put_in_turn(&rule, terms, lessons, context);
                    }
                }
                if nets.as_slice().is_empty() {
                    self.stage = Stage::Done;
                }
            }
            Stage::Done => {}
        }
        matches!(self.stage, Stage::Done)
    }

    /// The passes over single addresses, those of the last list first.
    fn begin(&mut self, rules: &mut Rules, context: Context<'_>) -> Vec<(List, Pass)> {
        let hosts = self.hosts.take().unwrap_or_else(|| rules.no_arrivals());
        self.is_tight |= rules.len() + self.coming > context.settings.max_rules as usize;
        // Before lists that are new get numbers: of these, nothing is there to be replaced.
        let concerns_any = self.marks.concern_any(rules);
        if self.is_tight {
            self.nets = Vec::new();
        } else {
            self.terms.iter_mut().for_each(|terms| terms.number(rules));
        }
        let concerned = hosts.into_iter().filter(|(_, arrivals)| concerns_any || arrivals.len() > 0);
        concerned.map(|(list, arrivals)| (list, Pass::of(arrivals))).collect()
    }

    fn others(&mut self, rules: &mut Rules) -> Stage {
        if !self.marks.concern_any(rules) {
            return Stage::Nets(std::mem::take(&mut self.nets).into_iter());
        }
        let held = Arc::new(rules.next.clone());
        rules.retire(held.clone());
        Stage::Others { places: Box::new(held.places_beside_hosts()), _held: held }
    }
}

impl Marks {
    /// Whether any rules that are replaced may exist.
    fn concern_any(&mut self, rules: &Rules) -> bool {
        let names = rules.next.sources.iter().enumerate().skip(self.replaced.len());
        let replaced = names.map(|(at, name)| at != usize::from(LEARNED) && self.lists.holds(name));
        self.replaced.extend(replaced);
        self.learned_before_us > 0 || self.replaced.contains(&true)
    }

    fn keep<'t>(&mut self, rules: &Rules, targets: impl Iterator<Item = &'t Target>) {
        if !self.concern_any(rules) {
            return;
        }
        self.stays.resize(self.stays.len().max(rules.slots.count().div_ceil(64) as usize), 0);
        for target in targets {
            let holders = [Some(&rules.next), rules.live.as_ref()].map(|of| of?.holder(target));
            for holder in holders.into_iter().flatten() {
                if let Some(word) = self.stays.get_mut(holder.slot as usize / 64) {
                    *word |= 1 << (holder.slot % 64);
                }
                if holder.source == LEARNED && self.learned_before_us > 0 {
                    self.lessons.insert(holder.slot, target.clone());
                }
            }
        }
    }

    fn has(&self, slot: u32) -> bool {
        self.stays.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 != 0)
    }

    fn replace_source(&self, source: u8) -> bool {
        self.replaced.get(usize::from(source)) == Some(&true)
    }

    /// Whether the rule in this place goes unless it is kept.
    fn replaces(&self, rules: &Rules, place: &Place, holder: Holder) -> bool {
        if holder.source == LEARNED {
            // As it is now: learned anew meanwhile, it is another lesson.
            return rules.next.learned_at_us(place).is_some_and(|stamp_us| stamp_us < self.learned_before_us);
        }
        self.replace_source(holder.source)
    }

    /// Whether the rule of this holder was kept.
    fn keeps(&self, rules: &Rules, Holder { slot, source, .. }: Holder) -> bool {
        let has_slot_still = |target| rules.next.holder(target).is_some_and(|holder| holder.slot == slot);
        self.has(slot) && (source != LEARNED || self.lessons.get(&slot).is_some_and(has_slot_still))
    }
}

/// What a pass over single addresses goes by.
#[derive(Clone, Copy)]
struct Going<'a> {
    marks: &'a Marks,
    terms: &'a [Terms],
    is_tight: bool,
}

/// A slice of such a pass.
struct Slice<'a> {
    going: Going<'a>,
    list: List,
    intake: Intake<'a>,
}

impl AddressRenewal for Slice<'_> {
    fn stays(&self, entry: &AddressEntry) -> bool {
        let marks = self.going.marks;
        if entry.source != LEARNED {
            return !marks.replace_source(entry.source) || marks.has(entry.slot);
        }
        let target = || Target::Client(self.list, entry.net);
        let is_kept = || marks.lessons.get(&entry.slot).is_some_and(|kept| *kept == target());
        marks.learned_before_us == 0
            || self
                .intake
                .learned_at_us(entry.slot)
                .is_none_or(|stamp_us| stamp_us >= marks.learned_before_us)
            || is_kept()
    }

    fn takes(&mut self, coming: &AddressEntry, other: Option<&AddressEntry>) -> Option<Tenure> {
        if self.going.is_tight { None } else { self.intake.take(coming, other) }
    }

    fn goes(&mut self, entry: &AddressEntry) {
        self.intake.let_go(entry);
    }
}

impl Rules {
    /// Go on with a pass over the single addresses of a list; whether it is over.
    fn renew(
        &mut self,
        list: List,
        pass: &mut Pass,
        max: usize,
        going: Going<'_>,
        lessons: &mut Vec<Target>,
        context: Context<'_>,
    ) -> bool {
        let room = (context.settings.max_rules as usize).saturating_sub(self.len());
        let (table, intake) = self.intake(list, going.terms, room, Taken::default(), context);
        let mut slice = Slice { going, list, intake };
        let is_over = table.renew(pass, max, &mut slice);
        let taken = slice.intake.end();
        self.take_over(taken, going.terms, lessons, context);
        is_over
    }
}
