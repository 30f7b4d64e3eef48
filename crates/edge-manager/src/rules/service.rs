//! The record and the state directory, changed together.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use edge_filter::{Operation, Rule};
use edge_journal::{Mark, Staged};
use parking_lot::Mutex;

use super::make::Maker;
use super::marks::Marks;
use super::{Change, Entry, RulesError, TargetText};
use crate::access::Caller;
use crate::clock::seconds;
use crate::publish::{Publication, batches};
use crate::store::{Changes, DONE, Deed, Kind, Selection, Store, StoreError, View};

/// Changes that are made as one: they are held in memory, some 500 bytes each.
pub const MAX_CHANGES: usize = 100_000;

/// How long a rule that has ended is kept in the record, for whoever looks why a client is not refused any more, seconds.
const KEPT_ENDED_S: u32 = 3600;

/// The rules of the manager. The record is the truth, the state directory is made from it.
///
/// A change is first made in the record, in the same transaction as the revision that the directory will have when it has
/// the change too; then it is appended there. Whatever happens in between, the two revisions differ from then on, and
/// whoever changes or opens the rules next, or calls [`Rules::catch_up`], writes all of them anew: nothing that was
/// acknowledged is lost, and the two agree again. So the directory needs no syncing to the disk.
#[derive(Debug)]
pub struct Rules {
    store: Arc<Store>,
    /// Held over both, so that changes are appended in the order in which the record has them.
    pub(super) publication: Mutex<Publication>,
    /// See [`Rules::lack`].
    lack: Mutex<Option<String>>,
    marks: Arc<Marks>,
    /// See `Rules::doubt`.
    pub(super) is_doubtful: AtomicBool,
}

/// Clients that are named when their rules are cleared.
const MAX_NAMED: u32 = 10_000;

/// Rules that had ended, and were removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Those of every kind.
    pub rules: usize,
    /// Those on clients that were blocked.
    pub blocks: u64,
    /// These clients, the first 10,000 of them.
    pub clients: Vec<String>,
}

/// What was changed.
#[derive(Debug)]
pub struct Applied {
    /// What became of each change, in their order: the rule that was made, that was removed, or that was there and stays.
    pub entries: Vec<Entry>,
    /// How many were there and stay.
    pub present: usize,
    /// Whether HAProxy can find it.
    pub effect: Effect,
}

/// Whether HAProxy can find a change that the record has.
#[derive(Debug)]
pub enum Effect {
    /// In the state directory, at this revision or before.
    Published(u64),
    /// Not yet: this went wrong with the state directory. The next change, or [`Rules::catch_up`], tries again.
    StoredOnly(RulesError),
}

/// Rules as they are read.
type AllRules<'r> = dyn Iterator<Item = Result<Rule, RulesError>> + 'r;

/// How the state directory gets a change.
pub(super) enum Way {
    /// As these, each a revision.
    Append(Staged),
    /// With all that the record has, since the two did not agree: beyond the revision that the record knew.
    All { known: u64 },
}

impl Rules {
    /// The rules of this record and this directory, made to agree.
    ///
    /// # Errors
    /// The directory has the rules of another record, or cannot be written.
    pub fn open(store: Arc<Store>, publication: Publication, now_us: u64) -> Result<Self, RulesError> {
        let marks = Arc::new(Marks::new(store.clone()));
        let (lack, is_doubtful) = (Mutex::default(), AtomicBool::default());
        let rules = Self { store, publication: Mutex::new(publication), lack, marks, is_doubtful };
        let mut publication = rules.publication.lock();
        let found = publication.revision();
        let (recorded, mark) = rules.recorded()?;
        match recorded {
            None if found > 0 || publication.is_damaged() => {
                return Err(RulesError::ForeignDirectory { revision: found });
            }
            None => rules.note(0, publication.mark())?,
            Some(known) if known != found || publication.is_damaged() || mark != publication.mark() => {
                tracing::warn!(
                    recorded = known,
                    found,
                    "the state directory has not what the record says: all rules are written anew"
                );
                let way = Way::All { known };
                rules.note(way.revision(found), None)?;
                rules.publish(&mut publication, way, now_us)?;
            }
            Some(_) => {}
        }
        rules.marks.extend(publication.mark());
        drop(publication);
        Ok(rules)
    }

    /// The record, to read.
    pub fn record(&self) -> &Store {
        &self.store
    }

    /// Makes all these changes, or none, and notes who made them. O(changes · log rules), and a wait for the disk.
    ///
    /// With no changes at all, the directory gets what it lacks.
    ///
    /// # Errors
    /// One of them cannot be made, there are too many, or the record cannot be written: nothing has changed.
    pub fn apply(
        &self,
        caller: &Caller,
        changes: impl IntoIterator<Item = Change>,
        now_us: u64,
    ) -> Result<Applied, RulesError> {
        let began = Instant::now();
        let changes: Vec<Change> = changes.into_iter().take(MAX_CHANGES + 1).collect();
        if changes.len() > MAX_CHANGES {
            return Err(RulesError::TooMany);
        }
        let now_s = seconds(now_us);
        let summary = Summary::of(&changes);
        let ((entries, present), effect) = self.change(now_us, |record| {
            let (mut entries, mut operations) = (Vec::new(), Vec::new());
            let mut maker = Maker::new(record, now_s)?;
            for (at, change) in changes.into_iter().enumerate() {
                let (entry, operation) = maker.make(change, at)?;
                entries.push(entry);
                operations.extend(operation);
            }
            let present = entries.len() - operations.len();
            if let Some(Summary { operation, target }) = &summary {
                let took = began.elapsed();
                record.note(&Deed { caller, operation, target, result: DONE, at_us: now_us, took })?;
            }
            Ok(((entries, present), operations))
        })?;
        if let Some(Summary { operation, target }) = summary {
            log(caller, operation, &target, &effect, began.elapsed());
        }
        Ok(Applied { entries, present, effect })
    }

    /// Changes the record and lets the directory have these operations, which say the same: all of it, or nothing. Waits for
    /// the disk.
    ///
    /// # Errors
    /// That of `make`, or the record cannot be written: nothing has changed.
    pub(crate) fn change<T>(
        &self,
        now_us: u64,
        make: impl FnOnce(&mut Changes<'_>) -> Result<(T, Vec<Operation>), RulesError>,
    ) -> Result<(T, Effect), RulesError> {
        let mut publication = self.publication.lock();
        if let Some(damage) = publication.check(false, now_us) {
            tracing::error!(
                damage,
                "the state directory is not what was written: all rules are written anew"
            );
        }
        self.change_with(&mut publication, now_us, make)
    }

    fn change_with<T>(
        &self,
        publication: &mut Publication,
        now_us: u64,
        make: impl FnOnce(&mut Changes<'_>) -> Result<(T, Vec<Operation>), RulesError>,
    ) -> Result<(T, Effect), RulesError> {
        let found = publication.revision();
        let is_damaged = publication.is_damaged();
        let (made, way) = self.store.write(|record| {
            let known = record.revision()?.unwrap_or_default();
            let agrees = known == found && record.mark()? == publication.mark() && !is_damaged;
            let (made, operations) = make(record)?;
            let way = if agrees {
                Way::Append(publication.stage(&batches(operations), now_us)?)
            } else {
                Way::All { known }
            };
            record.set_revision(way.revision(found), way.mark(publication.mark()))?;
            Ok::<_, RulesError>((made, way))
        })?;
        Ok((made, self.have_published(publication, way, now_us)))
    }

    /// Why the state directory lacks changes that the record has; `None` where it has all of them.
    pub fn lack(&self) -> Option<String> {
        self.lack.lock().clone()
    }

    /// Lets the directory have what it lacks since something went wrong with it: to be called now and then. What became of
    /// that; `None` where it lacks nothing.
    ///
    /// # Errors
    /// The record cannot be read or written.
    pub fn catch_up(&self, now_us: u64) -> Result<Option<Effect>, RulesError> {
        {
            let publication = self.publication.lock();
            let (known, mark) = self.recorded()?;
            let agrees = known.unwrap_or_default() == publication.revision() && mark == publication.mark();
            if agrees && !publication.is_damaged() {
                return Ok(None);
            }
        }
        let ((), effect) = self.change(now_us, |_| Ok(((), Vec::new())))?;
        Ok(Some(effect))
    }

    /// [`Rules::publish`]es, and remembers what is lacking.
    pub(super) fn have_published(&self, publication: &mut Publication, way: Way, now_us: u64) -> Effect {
        let effect = match self.publish(publication, way, now_us) {
            Ok(()) => Effect::Published(publication.revision()),
            Err(error) => Effect::StoredOnly(error),
        };
        *self.lack.lock() = match &effect {
            Effect::Published(_) => None,
            Effect::StoredOnly(error) => Some(error.to_string()),
        };
        effect
    }

    /// What workers tell that have all rules of a revision.
    pub fn marks(&self) -> Arc<Marks> {
        self.marks.clone()
    }

    /// The revision and the mark of the record.
    pub(super) fn recorded(&self) -> Result<(Option<u64>, Option<Mark>), RulesError> {
        self.store.read(|view| Ok((view.revision()?, view.mark()?)))
    }

    pub(super) fn note(&self, revision: u64, mark: Option<Mark>) -> Result<(), RulesError> {
        self.store.write(|record| Ok(record.set_revision(revision, mark)?))
    }

    /// Removes the rules that have ended from the record, and says which there were: HAProxy does not need to be told.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn clear_expired(&self, caller: &Caller, now_us: u64) -> Result<Cleared, RulesError> {
        let (began, now_s) = (Instant::now(), seconds(now_us));
        self.store.write(|changes| {
            let ended =
                Selection { kind: Some(Kind::Block), ended_at_s: Some(now_s), ..Selection::default() };
            let blocks = changes.count(&ended)?;
            let named = Selection { limit: Some(MAX_NAMED), ..ended };
            let clients = changes.with_entries(&named, |entries| {
                entries
                    .map(|entry| Ok(TargetText::of(&entry?.rule.target).target))
                    .collect::<Result<_, StoreError>>()
            })??;
            let removed = changes.remove_ended(now_s, u32::MAX)?;
            if removed > 0 {
                let (operation, target) = ("rules.clear_expired", &*rules(removed));
                let took = began.elapsed();
                changes.note(&Deed { caller, operation, target, result: DONE, at_us: now_us, took })?;
            }
            Ok(Cleared { rules: removed, blocks, clients })
        })
    }

    /// Removes rules that have ended more than an hour ago from the record, so many of them at most, and says how many
    /// it were. Nobody wished it, so it is no change of the audit.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn forget_ended(&self, now_us: u64, most: u32) -> Result<usize, RulesError> {
        let before_s = seconds(now_us).saturating_sub(KEPT_ENDED_S);
        self.store.write(|changes| Ok(changes.remove_ended(before_s, most)?))
    }

    /// Lets the directory have what the record has.
    fn publish(&self, publication: &mut Publication, way: Way, now_us: u64) -> Result<(), RulesError> {
        match way {
            Way::Append(staged) => {
                publication.append(&staged)?;
                self.marks.extend(staged.marks());
            }
            Way::All { known } => {
                self.read_all(now_us, |rules, lists| publication.replace_all(rules, lists, known, now_us))?;
                self.marks.extend(publication.mark());
                return self.note(publication.revision(), publication.mark());
            }
        }
        if publication.is_long() {
            // The change is there already. Where there is no room for a snapshot, the next change tries again.
            let _ = self.read_all(now_us, |rules, lists| publication.rotate(rules, lists, now_us));
        }
        Ok(())
    }

    /// Gives all rules in force, and the lessons that this directory has to speak of, to `take`, one at a time, and the names of the lists.
    fn read_all(
        &self,
        now_us: u64,
        take: impl FnOnce(&mut AllRules<'_>, &[Arc<str>]) -> Result<(), RulesError>,
    ) -> Result<(), RulesError> {
        let selection = Selection { in_force_at_s: Some(seconds(now_us)), ..Selection::default() };
        self.store.read(|view: &View<'_>| {
            let lists = view.lists()?;
            let lessons =
                view.published_lessons(seconds(now_us))?.into_iter().map(|lesson| Ok(lesson.published()));
            view.with_entries(&selection, |entries| {
                take(&mut entries.map(|entry| Ok(entry?.rule)).chain(lessons), &lists)
            })?
        })
    }
}

impl Way {
    /// The revision that the directory has then, of the one that it has now.
    pub(super) fn revision(&self, found: u64) -> u64 {
        match self {
            Self::Append(staged) => staged.revision(),
            Self::All { known } => found.max(*known).saturating_add(1),
        }
    }

    /// The mark that it has then, of the one that it has now; known of a snapshot once that is written.
    fn mark(&self, found: Option<Mark>) -> Option<Mark> {
        match self {
            Self::Append(staged) => staged.marks().next_back().or(found),
            Self::All { .. } => None,
        }
    }
}

/// Changes in a few words, as the audit has them.
struct Summary {
    operation: &'static str,
    target: String,
}

impl Summary {
    /// None for no changes.
    fn of(changes: &[Change]) -> Option<Self> {
        let is_put = |change: &Change| !matches!(change, Change::Remove(_) | Change::RemoveNumber(_));
        let operation = match changes.iter().filter(|change| is_put(change)).count() {
            0 => "rules.remove",
            puts if puts == changes.len() => "rules.put",
            _ => "rules.change",
        };
        let target = match changes {
            [] => return None,
            [one] => one.subject(),
            [first, ..] => format!("{}, the first: {}", rules(changes.len()), first.subject()),
        };
        Some(Self { operation, target })
    }
}

fn rules(count: usize) -> String {
    if count == 1 { "1 rule".to_owned() } else { format!("{count} rules") }
}

/// Says of a change that HAProxy cannot find it; that it was made, the record has logged.
pub(crate) fn log(caller: &Caller, operation: &str, target: &str, effect: &Effect, took: Duration) {
    if let Effect::StoredOnly(error) = effect {
        let (caller, duration_us) = (&*caller.name, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        tracing::error!(%caller, %operation, what = target, %error, duration_us, "change stored, not published");
    }
}
