//! `edge-manager import`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::failure::Failure;
use super::import_summary::{Ending, Summary};
use super::rehearsal::Rehearsal;
use super::taker::{Taker, Takes};
use crate::clock::now_us;
use crate::import::{Flask, FlaskSite, Foreign, Form, ListFile, Problem, Source, SrcAcls, Terms};
use crate::json::StoredJson;
use crate::rules::{Change, End, MAX_CHANGES};
use crate::site::{BackendInput, DomainInput};
use crate::sites::Merged;

const EXIT_CODES: &str = "\
Exit status:
  0  done: HAProxy has confirmed that it is in force; or nothing was to be done, or --dry-run found nothing wrong
  1  HAProxy would refuse what the domains and backends come to: nothing has changed
  2  something cannot be taken: nothing has changed. With --skip-invalid the rest is
  3  stored, but not confirmed to be in force: the line says why. HAProxy gets it as soon as it can
  4  a file, the record or the state directory cannot be used";

/// Sources to import from.
#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// Domains, backends, servers and blocked addresses of a Flask-based HAProxy manager: its SQLite file
    ///
    /// A copy of the file is read; it stays as it is. When and by whom an address was blocked is kept.
    #[command(after_help = EXIT_CODES)]
    Flask {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The list that the rules belong to
        #[arg(long, value_name = "NAME", default_value = "manual")]
        list: String,
        #[command(flatten)]
        how: How,
    },
    /// Rules of HAProxy map files, `key value` a line: addresses, CIDRs, paths, host and path
    ///
    /// A value from 400 to 599 is the status that is answered with; a path of the value `true` is not blocked.
    #[command(after_help = EXIT_CODES)]
    Map(Files),
    /// Rules of HAProxy ACL files, a pattern a line: addresses, CIDRs, paths, host and path
    #[command(after_help = EXIT_CODES)]
    Acl(Files),
    /// The addresses of the lines `acl is_blocked src ...` of a haproxy.cfg
    ///
    /// HAProxy reads 64 words of a line: it tells which addresses were never in force.
    #[command(after_help = EXIT_CODES)]
    Cfg {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The name of the ACL
        #[arg(long, value_name = "NAME", default_value = "is_blocked")]
        acl: String,
        #[command(flatten)]
        terms: TermsArgs,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, Args)]
pub(super) struct Files {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    terms: TermsArgs,
    #[command(flatten)]
    how: How,
}

/// What the rules get.
#[derive(Debug, Args)]
pub(super) struct TermsArgs {
    /// Let these clients pass, in place of blocking them
    #[arg(long)]
    allow: bool,
    /// What is done: deny, "deny 404" (400 to 599), tarpit, drop or observe
    #[arg(long, value_name = "ACTION", default_value = "deny")]
    action: String,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// The list that the rules belong to
    #[arg(long, value_name = "NAME", default_value = "import")]
    list: String,
    /// Who makes them
    #[arg(long, value_name = "NAME", default_value = "CLI")]
    by: String,
}

#[derive(Debug, Args)]
pub(super) struct How {
    /// Look at everything and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave out what cannot be taken, in place of taking nothing
    #[arg(long)]
    skip_invalid: bool,
    /// As one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    takes: Takes,
}

impl Import {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Flask { file, list, how } => {
                let flask = Flask::open(&file)?;
                let mut site = flask.site()?;
                let fault = leave_out_lacking(&how.takes, &mut site).err();
                let terms = Terms { list, ..Terms::default() };
                let FlaskSite { domains, backends, problems } = site;
                let domains = domains.into_iter().map(|(_, domain)| domain).collect();
                let work = Work { terms, domains, backends, fault, ..Work::new(&how) };
                work.with_problems(problems).run(&[Source::Flask(flask)])
            }
            Self::Map(files) => files.run(Form::Map),
            Self::Acl(files) => files.run(Form::Acl),
            Self::Cfg { file, acl, terms, how } => {
                let acls = SrcAcls::new(&file, &acl);
                let mut work = Work { terms: terms.into(), ..Work::new(&how) };
                acls.each_advice(|advice| work.summary.advise(advice))?;
                work.run(&[Source::Acls(acls)])
            }
        }
    }
}

/// Leaves out of a site the domains that lack something here, until the rest could be taken.
fn leave_out_lacking(takes: &Takes, site: &mut FlaskSite) -> Result<(), Failure> {
    while !site.domains.is_empty() {
        let domains = site.domains.iter().map(|(_, domain)| domain.clone()).collect();
        let lacks = takes.try_merge(domains, site.backends.clone())?;
        if lacks.is_empty() {
            break;
        }
        site.leave_out(lacks.into_iter().map(|lack| (lack.position, lack.reason)));
    }
    Ok(())
}

impl Files {
    fn run(self, form: Form) -> Result<ExitCode, Failure> {
        let sources = self.files.into_iter().map(|path| Source::List(ListFile { path, form }));
        let sources: Vec<_> = sources.collect();
        Work { terms: self.terms.into(), ..Work::new(&self.how) }.run(&sources)
    }
}

impl From<TermsArgs> for Terms {
    fn from(TermsArgs { allow, action, reason, list, by }: TermsArgs) -> Self {
        Self { allows: allow, action, reason, list, by, end: End::Never }
    }
}

/// An import under way.
struct Work<'a> {
    how: &'a How,
    terms: Terms,
    domains: Vec<DomainInput>,
    backends: Vec<BackendInput>,
    /// Why domains and backends cannot be taken as a whole.
    fault: Option<Failure>,
    now_us: u64,
    summary: Summary,
}

impl<'a> Work<'a> {
    fn new(how: &'a How) -> Self {
        let (terms, summary) = (Terms::default(), Summary::default());
        let (domains, backends) = (Vec::new(), Vec::new());
        Self { how, terms, domains, backends, fault: None, now_us: now_us(), summary }
    }

    fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        problems.into_iter().for_each(|problem| self.summary.add(problem));
        self
    }

    /// Reads everything once to find what is wrong, and once more to take it.
    fn run(mut self, sources: &[Source]) -> Result<ExitCode, Failure> {
        let bar = self.bar("reading", None);
        let mut valid = 0;
        self.each_rule(sources, |work, foreign| {
            match foreign {
                Ok(_) => valid += 1,
                Err(problem) => work.summary.add(problem),
            }
            bar.inc(1);
            Ok(())
        })?;
        bar.finish_and_clear();
        if self.summary.invalid > 0 && !self.how.skip_invalid {
            return Ok(self.summary.tell(Ending::Refused, self.how.json));
        }
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if self.how.dry_run {
            self.summary.rules = self.rehearse(sources, valid)?;
            self.summary.site.domains.added = self.domains.len() as u64;
            self.summary.site.backends.added = self.backends.len() as u64;
            return Ok(self.summary.tell(Ending::DryRun, self.how.json));
        }
        let stored = self.take(sources, valid)?;
        Ok(self.summary.tell(Ending::Done(stored), self.how.json))
    }
}

impl Work<'_> {
    fn each_rule(
        &mut self,
        sources: &[Source],
        mut take: impl FnMut(&mut Self, Result<Foreign, Problem>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (terms, now_us) = (self.terms.clone(), self.now_us);
        sources.iter().try_for_each(|source| source.each_rule(&terms, now_us, |foreign| take(self, foreign)))
    }

    /// Takes the rules in a copy of the record, as many as one change as [`Work::take`] does: what the filter has no room for, or
    /// the record no list, is refused there as it would be.
    fn rehearse(&mut self, sources: &[Source], valid: u64) -> Result<Merged, Failure> {
        let rehearsal = Rehearsal::of(&self.how.takes.places.record)?;
        let (mut batch, mut present) = (Vec::new(), 0);
        self.each_rule(sources, |_, foreign| {
            batch.extend(foreign.ok().map(Change::from));
            if batch.len() == MAX_CHANGES {
                present += rehearsal.make(std::mem::take(&mut batch))?;
            }
            Ok(())
        })?;
        present += rehearsal.make(batch)?;
        Ok(Merged { added: valid.saturating_sub(present), present })
    }

    /// Takes domains and backends as one change, and then the rules, [`MAX_CHANGES`] as one.
    fn take(&mut self, sources: &[Source], valid: u64) -> Result<StoredJson, Failure> {
        let mut taker = Taker::open(&self.how.takes)?;
        let (domains, backends) = (std::mem::take(&mut self.domains), std::mem::take(&mut self.backends));
        if !domains.is_empty() || !backends.is_empty() {
            self.summary.site = taker.merge(domains, backends)?;
        }
        let bar = self.bar("importing", Some(valid));
        let mut batch = Vec::new();
        self.each_rule(sources, |work, foreign| {
            match foreign {
                Ok(foreign) => batch.push(foreign),
                // Those that are no news were told after the first time.
                Err(_) if work.how.skip_invalid => {}
                Err(problem) => return Err(Failure::Changed(problem)),
            }
            if batch.len() == MAX_CHANGES {
                bar.inc(MAX_CHANGES as u64);
                work.summary.rules += taker.adopt(std::mem::take(&mut batch))?;
            }
            Ok(())
        })?;
        if !batch.is_empty() {
            bar.inc(batch.len() as u64);
            self.summary.rules += taker.adopt(batch)?;
        }
        bar.finish_and_clear();
        Ok(taker.finish())
    }

    /// Seen on a terminal only.
    fn bar(&self, what: &'static str, len: Option<u64>) -> ProgressBar {
        let bar = match len {
            _ if self.how.json => ProgressBar::hidden(),
            Some(len) => ProgressBar::new(len),
            None => ProgressBar::new_spinner(),
        };
        let form = if len.is_some() {
            "{msg} {wide_bar} {human_pos}/{human_len} {eta}"
        } else {
            "{msg} {human_pos} rules"
        };
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        bar.with_message(what)
    }
}
