//! How the configuration of HAProxy is published.

use std::env;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::BoolishValueParser;

use super::configuration;
use super::failure::Failure;
use super::places::Places;
use crate::configuration::{Configuration, Settings};
use crate::haproxy::{Control, Launch};
use crate::site::{FilterInput, PageInput, Text};
use crate::sites::{Defaults, NamedPaths};

#[derive(Debug, Args)]
pub(super) struct Publishing {
    #[command(flatten)]
    configuration: configuration::Places,
    /// Start HAProxy, watch it, and start it again where it ends; it is stopped with the manager
    #[arg(long, env = "EDGE_SUPERVISE", value_parser = BoolishValueParser::new())]
    supervise: bool,
    /// The directory of edge_filter.so and edge_filter.lua, where the record does not name one
    #[arg(long, env = "EDGE_MODULE_DIR", value_name = "DIR")]
    module_dir: Option<PathBuf>,
    /// A directory whose files the site may name: certificates, lists of rules, the module of the filter, sockets, the file of
    /// server states. No other user may be able to write there. More than one apart by commas
    #[arg(
        long = "allow-dir",
        env = "EDGE_ALLOW_DIRS",
        value_name = "DIR",
        value_delimiter = ',',
        default_value = "/etc/haproxy"
    )]
    allow_dirs: Vec<PathBuf>,
}

impl Publishing {
    pub(super) fn open(&self) -> Result<Configuration, Failure> {
        self.configuration.open()
    }

    /// To look at what could be published; nothing is, and nothing stays in this directory.
    pub(super) fn open_in(&self, dir: &Path) -> Result<Configuration, Failure> {
        let settings = self.configuration.settings(Control::Nobody);
        Ok(Configuration::open(Settings { dir: dir.to_owned(), ..settings })?)
    }

    /// For `serve`, which has a say in the HAProxy that was named and in no other.
    pub(super) fn settings(&self) -> Settings {
        self.configuration.settings(self.configuration.attached().unwrap_or(Control::Nobody))
    }

    /// How HAProxy is started, if it is to be supervised.
    pub(super) fn launch(&self) -> Option<Launch> {
        self.supervise.then(|| self.configuration.launch())
    }

    /// What the configuration says where the record does not.
    pub(super) fn defaults(&self, places: &Places) -> Defaults {
        let text = |path: &PathBuf| Text::from(path.display().to_string());
        let filter = self.module_dir.as_ref().map(|dir| FilterInput {
            module_dir: text(dir),
            state_dir: Some(text(&places.state_dir)),
            settings: Vec::new(),
        });
        let mut paths = NamedPaths::default();
        paths.allow(self.allow_dirs.iter().chain(&self.module_dir).cloned());
        paths.allow(places.record.database.parent().map(Path::to_owned));
        if let Some(dir) = &self.module_dir {
            paths.allow_setting("filter.module_dir", dir);
        }
        paths.allow_setting("filter.state_dir", &places.state_dir);
        for socket in &places.sockets {
            paths.allow_setting("stats_socket", socket);
        }
        Defaults {
            paths,
            // What is no UTF-8 is refused for the characters that stand for it.
            page: PageInput::from_environment(|name| {
                let text = env::var_os(name).filter(|text| !text.is_empty())?;
                Some(text.into_string().unwrap_or_else(|text| format!("{}\0", text.to_string_lossy())))
            }),
            filter,
            stats_socket: places.sockets.first().map(text),
        }
    }
}
