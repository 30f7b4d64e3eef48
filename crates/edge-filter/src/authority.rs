//! What each backend may teach.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::{ClientNet, Host, MAX_CONFIRM};

/// What one backend may teach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    /// The hosts it may make rules for; `None`: every host that it answered for.
    pub hosts: Option<Vec<HostPattern>>,
    /// Longest TTL that it may ask for, seconds; `None`: only the general limit.
    pub max_ttl_s: Option<u32>,
    /// Client networks that have to be answered alike before there is a rule; `None`: as many as the header says.
    pub confirm: Option<u8>,
    /// Whether it may make rules that match by prefix.
    pub prefix: bool,
    /// Whether it may block clients.
    pub client: bool,
}

impl Authority {
    /// Whether it may make rules for this host.
    pub fn covers(&self, host: &Host) -> bool {
        self.hosts.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.covers(host)))
    }
}

/// A host, or all hosts below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// `shop.example`
    Host(Host),
    /// `*.shop.example`: every host that ends in `.shop.example`, which `shop.example` itself does not.
    Below(Host),
}

impl HostPattern {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("*.") {
            Some(parent) => Host::parse(parent).ok().map(Self::Below),
            None => Host::parse(text).ok().map(Self::Host),
        }
    }

    fn covers(&self, host: &Host) -> bool {
        match self {
            Self::Host(this) => host == this,
            Self::Below(parent) => {
                let child = host.as_str().strip_suffix(parent.as_str());
                child.and_then(|child| child.strip_suffix('.')).is_some_and(|label| !label.is_empty())
            }
        }
    }
}

/// What every backend may teach. By default each may block exact resources of the hosts it answers for, and
/// nothing else.
#[derive(Clone, Debug, Default)]
pub struct Authorities {
    of_backend: HashMap<Arc<str>, Authority>,
    unlisted: Authority,
    never_blocked: HashSet<ClientNet>,
    /// Whether an address is one of this machine.
    is_own: Option<fn(IpAddr) -> bool>,
}

/// A line that grants no authority. The filter does not start on it: to guess would grant too much.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct InvalidAuthority {
    /// Its number, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl Authorities {
    /// Reads one backend a line: its name, then any of `hosts=shop.example,*.shop.example`, `max-ttl=3600`
    /// (seconds), `confirm=2` (client networks), `prefix` and `client`. What a line does not name is as by default: the
    /// hosts that the backend answers for, no TTL of its own, one client network, no prefix, no client. The name `*` stands for backends without a line,
    /// and `#` begins a comment.
    ///
    /// # Errors
    /// The first line with a duplicate name, an unknown or repeated word, or a bad value.
    pub fn parse(text: &str) -> Result<Self, InvalidAuthority> {
        let mut of_backend = HashMap::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (line, content) in (1..).zip(text.lines()) {
            let mut words = content.split_ascii_whitespace().take_while(|word| !word.starts_with('#'));
            let Some(name) = words.next() else { continue };
            let invalid = |reason| InvalidAuthority { line, reason };
            if name.contains('=') {
                return Err(invalid(format!("{name:?} is no name of a backend")));
            }
            let authority = read_authority(words).map_err(invalid)?;
            if of_backend.insert(Arc::from(name), authority).is_some() {
                return Err(invalid(format!("backend {name:?} has a line already")));
            }
        }
        let unlisted = of_backend.remove("*").unwrap_or_default();
        Ok(Self { of_backend, unlisted, ..Self::default() })
    }

    /// Name networks that no backend may block, such as those of proxies in front.
    pub fn never_block(&mut self, nets: impl IntoIterator<Item = ClientNet>) {
        self.never_blocked.extend(nets);
    }

    /// How to find out whether an address is one of this machine, beside those of the loopback interface. Asked each time that a
    /// response is to block its client.
    pub fn ask_for_own(&mut self, is_own: fn(IpAddr) -> bool) {
        self.is_own = Some(is_own);
    }

    /// Whether a backend may block this address. Those of the machine itself belong to no client: behind a proxy on
    /// the same machine all clients would have them.
    pub(crate) fn may_block(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        let bits = if client.is_ipv4() { 32 } else { 128 };
        let is_named = (0..=bits)
            .any(|len| ClientNet::new(client, len).is_ok_and(|net| self.never_blocked.contains(&net)));
        !(client.is_loopback()
            || client.is_unspecified()
            || is_named
            || self.is_own.is_some_and(|is_own| is_own(client)))
    }

    /// What the backend of this name may teach.
    pub fn of(&self, backend: &[u8]) -> &Authority {
        let name = str::from_utf8(backend).ok();
        name.and_then(|name| self.of_backend.get(name)).unwrap_or(&self.unlisted)
    }
}

fn read_authority<'a>(words: impl Iterator<Item = &'a str>) -> Result<Authority, String> {
    let mut authority = Authority::default();
    for word in words {
        let is_repeated = match word.split_once('=') {
            Some(("hosts", hosts)) => {
                let pattern = |text| HostPattern::parse(text).ok_or(format!("hosts: {text:?} is no host"));
                let patterns = hosts.split(',').map(pattern).collect::<Result<_, _>>()?;
                authority.hosts.replace(patterns).is_some()
            }
            Some(("max-ttl", seconds)) => {
                let is_number = seconds.bytes().all(|b| b.is_ascii_digit());
                let ttl_s = seconds.parse().ok().filter(|&ttl_s| is_number && ttl_s > 0);
                let ttl_s = ttl_s.ok_or(format!("max-ttl: {seconds:?} is no number of seconds above 0"))?;
                authority.max_ttl_s.replace(ttl_s).is_some()
            }
            Some(("confirm", networks)) => {
                let is_number = networks.bytes().all(|b| b.is_ascii_digit());
                let range = 1..=MAX_CONFIRM;
                let confirm = networks.parse().ok().filter(|networks| is_number && range.contains(networks));
                let refused =
                    format!("confirm: {networks:?} is no number of networks from 1 to {MAX_CONFIRM}");
                authority.confirm.replace(confirm.ok_or(refused)?).is_some()
            }
            None if word == "prefix" => std::mem::replace(&mut authority.prefix, true),
            None if word == "client" => std::mem::replace(&mut authority.client, true),
            _ => return Err(format!("{word:?} is none of hosts=, max-ttl=, confirm=, prefix, client")),
        };
        if is_repeated {
            return Err(format!("{word:?} repeats a word"));
        }
    }
    Ok(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(patterns: &str, host: &str) -> bool {
        let authorities = Authorities::parse(&format!("b hosts={patterns}")).unwrap();
        authorities.of(b"b").covers(&Host::parse(host).unwrap())
    }

    #[test]
    fn a_backend_without_a_line_may_block_exact_resources_of_its_hosts() {
        let authority = Authorities::default().of(b"any").clone();
        assert_eq!(
            authority,
            Authority { hosts: None, max_ttl_s: None, confirm: None, prefix: false, client: false }
        );
        assert!(authority.covers(&Host::parse("any.example").unwrap()));
    }

    #[test]
    fn each_line_grants_what_it_names() {
        let text = "\u{feff}# who may what\r\n\nshop hosts=shop.example,*.shop.example max-ttl=3600 prefix # x\n\
            \twaf confirm=16 client\n* max-ttl=60";
        let authorities = Authorities::parse(text).unwrap();
        let shop = authorities.of(b"shop");
        assert_eq!((shop.max_ttl_s, shop.prefix, shop.client), (Some(3600), true, false));
        assert_eq!(
            *authorities.of(b"waf"),
            Authority { client: true, confirm: Some(16), ..Authority::default() }
        );
        for unlisted in [&b"other"[..], b"*", b"\xff"] {
            assert_eq!(authorities.of(unlisted).max_ttl_s, Some(60));
        }
    }

    #[test]
    fn a_star_covers_whole_labels_below_a_host() {
        assert!(covers("*.shop.example", "a.shop.example"));
        assert!(covers("*.shop.example", "a.b.shop.example"));
        assert!(!covers("*.shop.example", "shop.example"));
        assert!(!covers("*.shop.example", "eshop.example"));
        assert!(!covers("*.shop.example", ".shop.example"));
        assert!(covers("Shop.Example:80", "shop.example"));
        assert!(!covers("shop.example", "a.shop.example"));
        assert!(covers("other.example,shop.example", "shop.example"));
    }

    #[test]
    fn addresses_of_the_machine_and_named_ones_are_never_blocked() {
        let mut authorities = Authorities::default();
        authorities
            .never_block(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"].map(|net| net.parse().unwrap()));
        let may_block = |client: &str| authorities.may_block(client.parse().unwrap());
        for client in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "::",
            "192.0.2.9",
            "::ffff:192.0.2.9",
            "2001:db8:1::1",
            "198.51.100.7",
        ] {
            assert!(!may_block(client), "{client}");
        }
        for client in ["192.0.3.1", "198.51.100.8", "2001:db9::1", "10.0.0.1"] {
            assert!(may_block(client), "{client}");
        }
    }

    #[test]
    fn the_first_bad_line_is_named() {
        for (text, line, reason) in [
            ("a\nb prefixes", 2, "\"prefixes\" is none of hosts=, max-ttl=, confirm=, prefix, client"),
            ("a prefix=yes", 1, "\"prefix=yes\" is none of hosts=, max-ttl=, confirm=, prefix, client"),
            ("#\na\n\na", 4, "backend \"a\" has a line already"),
            ("hosts=a", 1, "\"hosts=a\" is no name of a backend"),
            ("a hosts=", 1, "hosts: \"\" is no host"),
            ("a hosts=a,b/c", 1, "hosts: \"b/c\" is no host"),
            ("a hosts=*", 1, "hosts: \"*\" is no host"),
            ("a max-ttl=0", 1, "max-ttl: \"0\" is no number of seconds above 0"),
            ("a max-ttl=+5", 1, "max-ttl: \"+5\" is no number of seconds above 0"),
            ("a max-ttl=4294967296", 1, "max-ttl: \"4294967296\" is no number of seconds above 0"),
            ("a confirm=0", 1, "confirm: \"0\" is no number of networks from 1 to 16"),
            ("a confirm=17", 1, "confirm: \"17\" is no number of networks from 1 to 16"),
            ("a confirm=+2", 1, "confirm: \"+2\" is no number of networks from 1 to 16"),
            ("a confirm", 1, "\"confirm\" is none of hosts=, max-ttl=, confirm=, prefix, client"),
            ("a confirm=2 confirm=2", 1, "\"confirm=2\" repeats a word"),
            ("a client client", 1, "\"client\" repeats a word"),
            ("a max-ttl=1 max-ttl=2", 1, "\"max-ttl=2\" repeats a word"),
        ] {
            let expected = InvalidAuthority { line, reason: reason.to_owned() };
            assert_eq!(Authorities::parse(text).unwrap_err(), expected, "{text}");
        }
    }
}
