//! Maps and lists beside haproxy.cfg: data, not templates.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::site::{Domain, Mode, ServerAddress, Site};

use super::rendered::Rendered;

/// Private, loopback and link-local networks (RFC 1918, 4193, 4291, 6598 not: those are shared with strangers).
const PRIVATE: [&str; 8] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "::1",
    "fc00::/7",
    "fe80::/10",
];

/// Whether there is anybody whom no limit holds for.
pub(super) fn has_exempt(site: &Site) -> bool {
    site.global.exempt_private || !site.global.exempt.is_empty()
}

/// Puts every map and list that the templates name.
pub(super) fn put(site: &Site, files: &mut Rendered) {
    let (wildcards, hosts): (Vec<&Domain>, Vec<&Domain>) =
        site.domains.iter().partition(|domain| domain.name.is_wildcard);
    files.put(
        "maps/hosts.map",
        lines(hosts.iter().map(|domain| format!("{} {}", domain.name.host, domain.backend))),
    );
    files.put("maps/wildcards.map", wildcard_lines(wildcards));
    if has_exempt(site) {
        let private = PRIVATE.iter().filter(|_| site.global.exempt_private).map(ToString::to_string);
        files.put(
            "lists/exempt.lst",
            lines(private.chain(site.global.exempt.iter().map(ToString::to_string))),
        );
    }
    for group in &site.global.trusted_proxies {
        files.put(&*group.list, lines(group.networks.iter().map(ToString::to_string)));
    }
    if !site.global.proxy_protocol.is_empty() {
        files.put(
            "lists/proxy_protocol.lst",
            lines(site.global.proxy_protocol.iter().map(ToString::to_string)),
        );
    }
    if site.has_certificates() {
        let certificate = |domain: &Domain| Some(format!("{} {}", domain.certificate.as_ref()?, domain.name));
        files.put("lists/certificates.lst", lines(site.domains.iter().filter_map(certificate)));
    }
    if site.global.filter.is_some() {
        files.put("lists/backends.lst", authorities(site));
        files.put("lists/never_learn.lst", never_learned(site));
    }
}

/// `map_end` takes the first that matches: the longest come first.
fn wildcard_lines(mut domains: Vec<&Domain>) -> String {
    domains.sort_by_key(|domain| (std::cmp::Reverse(domain.name.host.as_str().len()), &domain.name));
    lines(domains.iter().map(|domain| format!(".{} {}", domain.name.host, domain.backend)))
}

/// What each backend may teach: exact resources of its own domains. One without domains gets no requests but by an
/// operator's template, and then may teach as the filter's default has it.
fn authorities(site: &Site) -> String {
    let mut hosts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for domain in &site.domains {
        hosts.entry(domain.backend.as_str()).or_default().push(domain.name.to_string());
    }
    let learning = site.backends.iter().filter(|backend| backend.mode == Mode::Http && backend.learn);
    lines(learning.filter_map(|backend| {
        let hosts = hosts.get(backend.name.as_str())?;
        let confirm = match backend.learn_confirm {
            0 | 1 => String::new(),
            networks => format!(" confirm={networks}"),
        };
        Some(format!("{} hosts={}{confirm}", backend.name, hosts.join(",")))
    }))
}

/// Addresses that no backend may have blocked: those of proxies in front and of servers behind.
fn never_learned(site: &Site) -> String {
    let proxies = site.global.trusted_proxies.iter().flat_map(|group| &group.networks);
    let networks = proxies.chain(&site.global.proxy_protocol).map(ToString::to_string);
    let servers = site.backends.iter().flat_map(|backend| &backend.servers);
    let servers = servers.map(|server| match &server.address {
        ServerAddress::Ip(address) => address.to_string(),
        ServerAddress::Name(name) => format!("# {name}: HAProxy resolves it"),
    });
    lines(networks.chain(servers))
}

fn lines(entries: impl Iterator<Item = String>) -> String {
    entries.fold(String::new(), |mut text, entry| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{entry}");
        text
    })
}
