//! What the manager itself has to know of a rendered configuration, whoever wrote its templates.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::render::Rendered;

/// Directives that reach beyond HAProxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directives {
    /// TCP addresses that are listened on. Those on more than one port, of Unix sockets and of QUIC are not among them.
    pub(super) binds: BTreeSet<SocketAddr>,
    /// Directories that HAProxy locks itself in.
    pub(super) chroots: Vec<PathBuf>,
    /// Where the state of servers is kept.
    pub(super) server_state_file: Option<PathBuf>,
    /// Whether the filter is loaded.
    pub(super) has_filter: bool,
}

impl Directives {
    pub(super) fn of(files: &Rendered) -> Self {
        let mut found = Self::default();
        for line in files.get(Rendered::MAIN).unwrap_or_default().lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("bind"), Some(addresses)) => found.binds.extend(addresses.split(',').filter_map(bind)),
                (Some("chroot"), Some(path)) => found.chroots.push(path.into()),
                (Some("server-state-file"), Some(path)) if path.starts_with('/') => {
                    found.server_state_file = Some(path.into());
                }
                (Some("lua-load" | "lua-load-per-thread"), Some(path)) => {
                    found.has_filter |= path.ends_with("/edge_filter.lua");
                }
                _ => {}
            }
        }
        found
    }
}

/// `:80` and `*:80` are of IPv4 alone for HAProxy.
fn bind(text: &str) -> Option<SocketAddr> {
    let text = text.strip_prefix("ipv4@").or_else(|| text.strip_prefix("ipv6@")).unwrap_or(text);
    text.parse().ok().or_else(|| {
        let port = text.strip_prefix('*').unwrap_or(text).strip_prefix(':')?;
        Some((Ipv4Addr::UNSPECIFIED, port.parse().ok()?).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_found_whatever_stands_around_them() {
        let main = "\
global
\tchroot  /var/empty
  server-state-file /s/state
  # lua-load-per-thread /x/edge_filter.lua
frontend a
  bind :80,[::1]:81 ssl crt x
  bind *:443
  bind ipv4@127.0.0.1:1 accept-proxy
  bind 127.0.0.1:5000-5010
  bind /run/x.sock
";
        let of =
            |main: &str| Directives::of(&[("haproxy.cfg".to_owned(), main.to_owned())].into_iter().collect());
        let found = of(main);
        let binds: Vec<String> = found.binds.iter().map(ToString::to_string).collect();
        assert_eq!(binds, ["0.0.0.0:80", "0.0.0.0:443", "127.0.0.1:1", "[::1]:81"]);
        assert_eq!(found.chroots, [PathBuf::from("/var/empty")]);
        assert_eq!(found.server_state_file, Some("/s/state".into()));
        assert!(!found.has_filter && of("global\n lua-load-per-thread /x/edge_filter.lua\n").has_filter);
    }
}
