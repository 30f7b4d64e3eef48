//! What is compared, and how each is written in haproxy.cfg.

use std::net::SocketAddr;
use std::path::Path;

use clap::ValueEnum;
use edge_e2e::module_dir;
use serde::{Deserialize, Serialize};

use crate::field::Field;

/// Who is not refused. Both answers have a body of the same length: no filter passes all, and a hit that cost less or
/// more to answer than a miss would be held against the filter.
pub(crate) const PASS: &str = "  http-request return status 200 content-type text/plain string allowed\n";

/// Refuses requests of which this holds.
pub(crate) fn refuse(condition: &str) -> String {
    format!("  http-request return status 403 content-type text/plain string refused if {{ {condition} }}\n")
}

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The address of the client.
    Addresses,
    /// The same of IPv6.
    AddressesV6,
    /// Host and path.
    Resources,
}

/// A way to refuse what is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contender {
    /// No filter at all.
    None,
    /// Another process without a filter: what it seems to cost is the error of all other figures.
    Twin,
    /// A list of HAProxy's own: `src -f`, `path -f`.
    OwnList,
    /// A map of HAProxy's own: `src,map_ip`, `base,map_str`.
    OwnMap,
    /// A table in Lua, asked by a converter.
    LuaTable,
    /// A map of HAProxy's own, asked from Lua.
    LuaMap,
    /// An SPOE agent on loopback.
    Spoe,
    /// This filter, called through Lua.
    EdgeLua,
    /// This filter, called natively.
    Edge,
}

/// What a contender adds to haproxy.cfg.
#[derive(Default)]
pub(crate) struct Lines {
    /// In `global`.
    pub(crate) global: String,
    /// In the frontend, before its rules.
    pub(crate) frontend: String,
    /// The rules that refuse.
    pub(crate) rules: String,
    /// Where requests go that are not refused; empty: HAProxy itself answers them with 200.
    pub(crate) passed: String,
    /// After the frontend.
    pub(crate) sections: String,
}

impl Contender {
    /// All, in the order of the tables.
    pub(crate) const ALL: [Self; 9] = [
        Self::None,
        Self::Twin,
        Self::OwnList,
        Self::OwnMap,
        Self::LuaTable,
        Self::LuaMap,
        Self::Spoe,
        Self::EdgeLua,
        Self::Edge,
    ];

    /// What the figures are printed under.
    pub(crate) const fn name(self, subject: Subject) -> &'static str {
        match (self, subject) {
            (Self::None, _) => "no filter",
            (Self::Twin, _) => "no filter, once more",
            (Self::OwnList, Subject::Resources) => "HAProxy, `path -f`",
            (Self::OwnList, _) => "HAProxy, `src -f`",
            (Self::OwnMap, Subject::Resources) => "HAProxy, `base,map_str`",
            (Self::OwnMap, _) => "HAProxy, `src,map_ip`",
            (Self::LuaTable, _) => "Lua, table",
            (Self::LuaMap, _) => "Lua, `Map:lookup`",
            (Self::Spoe, _) => "SPOE agent",
            (Self::EdgeLua, _) => "Edge Filter through Lua",
            (Self::Edge, _) => "Edge Filter, native",
        }
    }

    /// The colour of its line in the plots.
    pub(crate) const fn colour(self) -> (u8, u8, u8) {
        match self {
            Self::None | Self::Twin => (0x77, 0x77, 0x77),
            Self::OwnList => (0x1F, 0x77, 0xB4),
            Self::OwnMap => (0x17, 0xBE, 0xCF),
            Self::LuaTable => (0xBC, 0xBD, 0x22),
            Self::LuaMap => (0x8C, 0x56, 0x4B),
            Self::Spoe => (0x94, 0x67, 0xBD),
            Self::EdgeLua => (0xFF, 0x7F, 0x0E),
            Self::Edge => (0xD6, 0x27, 0x28),
        }
    }

    /// Whether it refuses anything.
    pub(crate) const fn is_filter(self) -> bool {
        !matches!(self, Self::None | Self::Twin)
    }

    /// Whether it is this project's.
    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::EdgeLua | Self::Edge)
    }

    /// What it adds to haproxy.cfg to refuse what the files of `field` list. `dir` is for files of its own, `agent`
    /// where the agent listens.
    pub(crate) fn lines(
        self,
        subject: Subject,
        field: &Field,
        dir: &Path,
        agent: Option<SocketAddr>,
    ) -> Lines {
        let (keys, map) = (field.keys().display().to_string(), field.map().display().to_string());
        let key = subject.key();
        match self {
            Self::None | Self::Twin => Lines::default(),
            Self::OwnList => {
                let file = field.acl().display().to_string();
                let fetch = if subject == Subject::Resources { "path" } else { "src" };
                Lines { rules: refuse(&format!("{fetch} -f {file}")), ..Lines::default() }
            }
            Self::OwnMap => {
                let kind = subject.map_kind();
                Lines { rules: refuse(&format!("{key},map_{kind}({map}) -m found")), ..Lines::default() }
            }
            Self::LuaTable => Lines {
                global: script("table_filter.lua", &[("BENCH_KEYS", &keys)]),
                rules: refuse(&format!("{key},lua.table_filter -m bool")),
                ..Lines::default()
            },
            Self::LuaMap => Lines {
                global: script("map_filter.lua", &[("BENCH_MAP", &map), ("BENCH_MATCH", subject.map_kind())]),
                rules: refuse(&format!("{key},lua.map_filter -m bool")),
                ..Lines::default()
            },
            Self::Spoe => Lines {
                frontend: format!("  filter spoe engine edge config {}\n", dir.join("spoe.cfg").display()),
                rules: format!(
                    "  http-request send-spoe-group edge ask\n{}",
                    refuse("var(txn.edge.blocked) -m bool")
                ),
                sections: spoe_backend(agent.expect("an agent was started")),
                ..Lines::default()
            },
            Self::EdgeLua | Self::Edge => {
                let (setting, converter) = match subject {
                    Subject::Resources => ("EDGE_RESOURCE_FILES", "edge_resource"),
                    _ => ("EDGE_BLOCK_FILES", "edge_ip"),
                };
                let native = if self == Self::Edge { "on" } else { "off" };
                Lines {
                    global: module(&[(setting, &keys), ("EDGE_NATIVE", native)]),
                    rules: refuse(&format!("{key},lua.{converter} -m int gt 1")),
                    ..Lines::default()
                }
            }
        }
    }
}

impl Subject {
    /// What is looked up, as haproxy.cfg names it.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Resources => "base",
            _ => "src",
        }
    }

    const fn map_kind(self) -> &'static str {
        match self {
            Self::Resources => "str",
            _ => "ip",
        }
    }
}

/// The configuration of the SPOE engine, a file of its own.
pub(crate) fn spoe_engine(subject: Subject) -> String {
    format!(
        "[edge]\nspoe-agent edge\n  groups ask\n  option var-prefix edge\n  timeout hello 5s\n  timeout idle 10m\n  \
         timeout processing 5s\n  use-backend spoe_agents\n\
         spoe-message key\n  args key={}\n\
         spoe-group ask\n  messages key\n",
        subject.key()
    )
}

/// HAProxy 3.1 moved SPOE to a mode of its own.
fn spoe_backend(agent: SocketAddr) -> String {
    format!(
        "backend spoe_agents\n.if version_atleast(3.1)\n  mode spop\n.else\n  mode tcp\n.endif\n  \
         timeout server 10m\n  server agent {agent}\n"
    )
}

fn settings(settings: &[(&str, &str)]) -> String {
    settings.iter().map(|(name, value)| format!("  setenv {name} \"{value}\"\n")).collect()
}

/// The module, with these settings.
pub(crate) fn module(with: &[(&str, &str)]) -> String {
    let dir = module_dir();
    let dir = dir.display();
    format!(
        "{}  lua-prepend-path \"{dir}/?.so\" cpath\n  lua-load-per-thread \"{dir}/edge_filter.lua\"\n",
        settings(with)
    )
}

/// A script of `benches/lua`, with these settings.
pub(crate) fn script(name: &str, with: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua").join(name);
    format!("{}  lua-load-per-thread \"{}\"\n", settings(with), path.display())
}
