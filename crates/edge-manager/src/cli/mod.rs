//! The command line.

mod audit;
mod authority;
mod certificate;
mod change;
mod configuration;
mod control;
mod database;
mod events;
mod export;
mod failure;
mod import;
mod import_summary;
mod journal;
mod key;
mod places;
mod publishing;
mod read;
mod rehearsal;
mod resources;
mod serve;
mod site;
mod status;
mod taker;
mod targets;

use std::env;
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

use audit::Audit;
use certificate::Certificate;
use change::{Allow, Block, ClearExpired, Disallow, Unblock};
use configuration::{Check, Configurations, Reload, Render};
use database::Databases;
use events::Events;
use export::Export;
use import::Import;
use journal::Journal;
use key::Key;
use read::{Explain, ListRules};
use resources::Resources;
use serve::Serve;
use site::{Domain, Site};
use status::Status;

/// The companion of Edge Filter for HAProxy.
#[derive(Debug, Parser)]
#[command(name = "edge-manager", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    /// From the arguments and the environment, where a variable that is empty is one that is not set. Ends the process where
    /// that makes no command, with a text that says why.
    pub fn read() -> Self {
        let matches = without_empty_variables(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(env::var_os).is_some_and(|value| value.is_empty());
    let of_argument = |arg: Arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg };
    command.mut_args(of_argument).mut_subcommands(without_empty_variables)
}

/// How a command ends, where it changes or reads rules or the configuration.
const EXIT_CODES: &str = "\
Exit status:
  0  done; of a change: HAProxy has confirmed that it is in force
  1  refused, nothing has changed: the rule is there already, or is not there; HAProxy does not take the configuration
  2  wrong arguments, or a value that cannot be taken: nothing has changed
  3  the change is stored, but not confirmed to be in force: the line says why. HAProxy gets it as soon as it can
  4  the record or the state directory cannot be used; another process may have it. Nothing has changed";

/// How `status` ends.
const STATUS_EXIT_CODES: &str = "\
Exit status:
  0  healthy
  1  unhealthy: the lines say why
  4  `edge-manager serve` does not run, or does not answer";

/// How `events` ends.
const EVENTS_EXIT_CODES: &str = "\
Exit status:
  0  it was interrupted, or nobody reads on
  4  `edge-manager serve` does not run, or runs no longer, or has as many listeners as it takes";

#[derive(Debug, Subcommand)]
enum Command {
    /// Refuse clients, or requests for a resource
    #[command(after_help = EXIT_CODES)]
    Block(Block),
    /// Let clients pass, whatever blocks them
    #[command(after_help = EXIT_CODES)]
    Allow(Allow),
    /// Remove rules that `block` made
    #[command(after_help = EXIT_CODES)]
    Unblock(Unblock),
    /// Remove rules that `allow` made
    #[command(after_help = EXIT_CODES)]
    Disallow(Disallow),
    /// Print the rules of the record, a line each, in the order in which they were made
    #[command(after_help = EXIT_CODES)]
    List(ListRules),
    /// Say what the rules of the record do with a client or a request, and why
    ///
    /// Lessons of backends, and lists in files, are not in the record: `get edge` on a stats socket of HAProxy takes them in.
    #[command(after_help = EXIT_CODES)]
    Explain(Explain),
    /// List, take back and pin what backends have taught
    #[command(subcommand, after_help = EXIT_CODES)]
    Resources(Resources),
    /// Remove rules that have ended from the record, where nobody obeys them any more
    #[command(after_help = EXIT_CODES)]
    ClearExpired(ClearExpired),
    /// Serve and list domains
    #[command(subcommand)]
    Domain(Domain),
    /// Show and replace everything that haproxy.cfg is made of
    #[command(subcommand)]
    Site(Site),
    /// Get, renew, bring and see certificates, by `edge-manager serve`
    #[command(subcommand, after_help = EXIT_CODES)]
    Certificate(Certificate),
    /// Take over what another manager or files of HAProxy have; what is here already stays, and is counted
    #[command(subcommand)]
    Import(Import),
    /// Print the rules of the record that have not ended, for another manager or for HAProxy
    Export(Export),
    /// Serve the API, and keep HAProxy up to date, until it is told to stop
    #[command(after_help = EXIT_CODES)]
    Serve(Box<Serve>),
    /// Say whether `serve` finds all well: HAProxy answers and has all rules, and the database can be read
    #[command(after_help = STATUS_EXIT_CODES)]
    Status(Status),
    /// Print who changed what, a line each, the newest first; the newest 100,000 changes are kept
    #[command(after_help = EXIT_CODES)]
    Audit(Audit),
    /// Print what happens as it happens, a line each, while `serve` runs
    ///
    /// Rules that are made and removed, what backends teach, publications of the configuration, and HAProxy coming and going.
    /// `lagged` tells that some were lost.
    #[command(after_help = EVENTS_EXIT_CODES)]
    Events(Events),
    /// Make, list and remove the keys of the API
    #[command(subcommand, after_help = EXIT_CODES)]
    Key(Key),
    /// Print haproxy.cfg and the files beside it, or write them to a directory; nothing of HAProxy's is touched
    #[command(after_help = EXIT_CODES)]
    Render(Render),
    /// Ask HAProxy whether it would take the configuration, and print what it would change
    #[command(after_help = EXIT_CODES)]
    Check(Check),
    /// Put the configuration in its place and reload HAProxy; where that fails, the last good one is in force still or again
    #[command(after_help = EXIT_CODES)]
    Reload(Reload),
    /// List, compare and bring back the configurations that were published
    #[command(subcommand, after_help = EXIT_CODES)]
    Configurations(Configurations),
    /// Check, copy and restore the database
    #[command(subcommand, after_help = database::EXIT_CODES)]
    Database(Databases),
    /// Inspect a state directory; nothing in it is changed
    #[command(subcommand)]
    Journal(Journal),
}

impl Cli {
    /// Does what was asked for. Never panics for want of somebody to read the answer.
    pub fn run(self) -> ExitCode {
        let done = match self.command {
            Command::Journal(journal) => return journal.run(),
            Command::Serve(serve) => serve.run(),
            Command::Database(databases) => databases.run(),
            Command::Domain(domain) => domain.run(),
            Command::Site(site) => site.run(),
            Command::Certificate(certificate) => certificate.run(),
            Command::Import(import) => import.run(),
            Command::Export(export) => export.run(),
            Command::Status(status) => status.run(),
            Command::Audit(audit) => audit.run(),
            Command::Events(events) => events.run(),
            Command::Key(key) => key.run(),
            Command::Block(block) => block.run(),
            Command::Allow(allow) => allow.run(),
            Command::Unblock(unblock) => unblock.run(),
            Command::Disallow(disallow) => disallow.run(),
            Command::List(list) => list.run(),
            Command::Explain(explain) => explain.run(),
            Command::Resources(resources) => resources.run(),
            Command::ClearExpired(clear) => clear.run(),
            Command::Render(render) => render.run(),
            Command::Check(check) => check.run(),
            Command::Reload(reload) => reload.run(),
            Command::Configurations(configurations) => configurations.run(),
        };
        done.unwrap_or_else(|failure| failure.tell())
    }
}
