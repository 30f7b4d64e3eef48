//! How the configuration of HAProxy is published.

use std::env;
use std::path::PathBuf;

use clap::Args;

use super::places::Places;
use crate::configuration::{Patience, Settings};
use crate::haproxy::{Control, Master, Program};
use crate::site::{FilterInput, PageInput, Text};
use crate::sites::Defaults;

#[derive(Debug, Args)]
pub(super) struct Publishing {
    /// The directory of the configurations; HAProxy is started with -f DIR/current/haproxy.cfg
    #[arg(
        long,
        env = "EDGE_CONFIG_DIR",
        value_name = "DIR",
        default_value = "/var/lib/edge-manager/haproxy"
    )]
    config_dir: PathBuf,
    /// Your own templates, in the place of those built in or beside them
    #[arg(long, env = "EDGE_TEMPLATE_DIR", value_name = "DIR")]
    templates: Option<PathBuf>,
    /// The program
    #[arg(long, env = "EDGE_HAPROXY", value_name = "PATH", default_value = "haproxy")]
    haproxy: PathBuf,
    /// Where the master process of a HAProxy listens that somebody else runs
    #[arg(long, env = "EDGE_MASTER_SOCKET", value_name = "PATH")]
    master_socket: Option<PathBuf>,
    /// The directory of edge_filter.so and edge_filter.lua, where the record does not name one
    #[arg(long, env = "EDGE_MODULE_DIR", value_name = "DIR")]
    module_dir: Option<PathBuf>,
}

impl Publishing {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            dir: self.config_dir.clone(),
            templates: self.templates.clone(),
            program: Program::new(&self.haproxy),
            control: self.master_socket.as_ref().map_or(Control::Nobody, |path| Control::Attached(Master::at(path))),
            patience: Patience::default(),
        }
    }

    /// What the configuration says where the record does not.
    pub(super) fn defaults(&self, places: &Places) -> Defaults {
        let text = |path: &PathBuf| Text::from(path.display().to_string());
        let filter = self.module_dir.as_ref().map(|dir| FilterInput {
            module_dir: text(dir),
            state_dir: Some(text(&places.state_dir)),
            settings: Vec::new(),
        });
        Defaults {
            page: PageInput::from_environment(|name| env::var(name).ok().filter(|text| !text.is_empty())),
            filter,
            stats_socket: places.sockets.first().map(text),
        }
    }
}
