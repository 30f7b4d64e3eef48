//! Where rules come from.

use super::{Flask, Foreign, ImportError, ListFile, Problem, SrcAcls, Terms};

/// Where rules come from.
#[derive(Debug)]
pub enum Source {
    /// A map or a file of patterns.
    List(ListFile),
    /// Lines of a haproxy.cfg.
    Acls(SrcAcls),
    /// The Flask manager.
    Flask(Flask),
}

impl Source {
    /// Gives every rule, or what is wrong with it, to `take`, in their order.
    ///
    /// # Errors
    /// That of `take`, or the source cannot be read.
    pub fn each_rule<E: From<ImportError>>(
        &self,
        terms: &Terms,
        now_us: u64,
        mut take: impl FnMut(Result<Foreign, Problem>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::List(file) => file.each_rule(terms, now_us, &mut take),
            Self::Acls(acls) => acls.each_rule(terms, now_us, &mut take),
            Self::Flask(flask) => flask.each_rule(terms, now_us, &mut take),
        }
    }
}
