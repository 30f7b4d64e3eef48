//! The state directory, held to what was written.

use std::sync::atomic::Ordering::Relaxed;

use edge_journal::Mark;

use super::service::Way;
use super::{Effect, Rules, RulesError};

impl Rules {
    /// Looks whether the state directory is what was written, and says what is wrong. The files are read where they look changed,
    /// if somebody has [doubts](Rules::doubt), or if it is to be `thorough`.
    pub fn inspect(&self, thorough: bool, now_us: u64) -> Option<String> {
        let thorough = self.is_doubtful.swap(false, Relaxed) || thorough;
        self.publication.lock().check(thorough, now_us)
    }

    /// Writes all rules of the record anew, as a snapshot that all workers take. What became of that.
    ///
    /// # Errors
    /// The record cannot be read or written.
    pub fn rewrite(&self, now_us: u64) -> Result<Effect, RulesError> {
        let mut publication = self.publication.lock();
        let way = Way::All { known: self.recorded()?.0.unwrap_or_default() };
        self.note(way.revision(publication.revision()), None)?;
        Ok(self.have_published(&mut publication, way, now_us))
    }

    /// Where the rules are now in the state directory; `None` where that is damaged. Waits until whoever changes them is done.
    pub fn mark(&self) -> Option<Mark> {
        let publication = self.publication.lock();
        publication.mark().filter(|_| !publication.is_damaged())
    }

    /// Has the next [`Rules::inspect`] read all files: workers have just read them, or do not have what they should.
    pub fn doubt(&self) {
        self.is_doubtful.store(true, Relaxed);
    }
}
