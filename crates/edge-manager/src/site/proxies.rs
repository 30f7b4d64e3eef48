//! Proxies in front of HAProxy, and headers by which a client would choose for itself what they and HAProxy say.

use std::collections::BTreeSet;

use edge_filter::ClientNet;
use serde::Serialize;

use super::fields::Place;
use super::global::{as_texts, nets};
use super::input::{ProxyInput, Text};
use super::refusal::FieldError;
use super::words::FieldName;

const MAX_GROUPS: usize = 16;
/// The header that is a list: each proxy appends the address that asked it.
const LIST_HEADER: &str = "x-forwarded-for";

/// Trusted proxies that name the client in the same header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProxyGroup {
    /// The header, in lower case.
    pub header: &'static str,
    /// The proxies.
    #[serde(serialize_with = "as_texts")]
    pub networks: Vec<ClientNet>,
    /// Whether a request without the header is the proxy's own; it is refused otherwise.
    pub own_requests: bool,
    /// The file that lists the proxies, beside haproxy.cfg.
    pub list: String,
}

/// Headers that choose the path, which behind some servers wins over the one in the request.
const PATHS: &[&str] = &[
    "x-original-url",
    "x-original-uri",
    "x-original-path",
    "x-rewrite-url",
    "x-rewrite-uri",
    "x-request-url",
    "x-request-uri",
    "request-uri",
    "x-forwarded-uri",
    "x-forwarded-url",
    "x-forwarded-path",
    "x-forwarded-prefix",
    "x-script-name",
    "script-name",
    "path-info",
    "x-envoy-original-path",
    "x-ms-original-url",
    "x-waws-unencoded-url",
    "x-http-destinationurl",
    "x-proxy-url",
    "x-matched-path",
    "x-invoke-path",
    "x-invoke-query",
    "x-middleware-rewrite",
    "x-middleware-subrequest",
    "x-accel-mapping",
    "x-sendfile-type",
    "x-http-path-override",
    "x-real-url",
    "x-forwarded-context",
    "x-proxycontextpath",
];

/// Headers that choose the method.
const METHODS: &[&str] = &[
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-method",
    "x-original-method",
    "x-forwarded-method",
];

/// Headers that choose the host, the port or the scheme; `Proxy` becomes `HTTP_PROXY` in CGI.
const HOSTS: &[&str] = &[
    "x-forwarded-host",
    "x-forwarded-server",
    "x-forwarded-port",
    "x-host",
    "x-original-host",
    "x-http-host-override",
    "x-envoy-original-host",
    "proxy",
    "x-forwarded-scheme",
    "x-forwarded-protocol",
    "x-forwarded-ssl",
    "x-scheme",
    "x-url-scheme",
    "front-end-https",
    "x-forwarded-https",
    "x-proxy-host",
    "fastly-orig-host",
    "x-forwarded-proto",
];

/// Headers that name the client.
const CLIENTS: &[&str] = &[
    "forwarded",
    "x-forwarded",
    "x-forwarded-by",
    "x-forward-for",
    "forwarded-for",
    "x-original-forwarded-for",
    "x-real-client-ip",
    "x-client-ip",
    "client-ip",
    "x-cluster-client-ip",
    "cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-pseudo-ipv4",
    "fastly-client-ip",
    "fly-client-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-appengine-user-ip",
    "do-connecting-ip",
    "x-remote-ip",
    "x-remote-addr",
    "remote-addr",
    "x-originating-ip",
    "x-envoy-external-address",
    "wl-proxy-client-ip",
    "proxy-client-ip",
    "x-proxyuser-ip",
    "ali-cdn-real-ip",
    "cdn-src-ip",
    "x-nf-client-connection-ip",
    "x-vercel-forwarded-for",
    "x-true-client-ip",
    "x-original-remote-addr",
    "x-originally-forwarded-for",
    "x-custom-ip-authorization",
    "x-sucuri-clientip",
    "incap-client-ip",
    "eo-connecting-ip",
    LIST_HEADER,
    "x-real-ip",
];

/// Headers by which a server that hands headers on as variables finds another end of the body than HAProxy did.
const LENGTHS: &[&str] = &["content_length", "transfer_encoding"];

/// Headers that the templates write anew after those of the client are gone.
const WRITTEN: [&str; 3] = [LIST_HEADER, "x-real-ip", "x-forwarded-proto"];

const FAMILIES: [&[&str]; 5] = [PATHS, METHODS, HOSTS, CLIENTS, LENGTHS];

/// Expressions for the names of the headers that are deleted.
#[derive(Debug, Serialize)]
pub(crate) struct DeletedHeaders {
    /// What a list of names holds, apart by commas, where one of them may be deleted: most requests pay for this one alone.
    some: String,
    /// What such a name is like.
    all: Vec<String>,
}

/// The expressions, without the headers that are kept.
///
/// A server that hands headers on as variables makes one character of `-` and others (CGI, RFC 3875 section 4.1.18), so any
/// character may stand in place of `-`.
pub(crate) fn deleted_headers(keep: &[FieldName]) -> DeletedHeaders {
    let is_deleted = |name: &&str| !keep.iter().any(|kept| kept.as_str().eq_ignore_ascii_case(name));
    let expression = |family: &&[&str]| {
        let deleted = || family.iter().copied().filter(is_deleted);
        let of_x: Vec<String> =
            deleted().filter_map(|name| name.strip_prefix("x-")).map(|name| name.replace('-', ".")).collect();
        let others = deleted().filter(|name| !name.starts_with("x-")).map(|name| name.replace('-', "."));
        let of_x = (!of_x.is_empty()).then(|| format!("x.({})", of_x.join("|")));
        let all: Vec<String> = of_x.into_iter().chain(others).collect();
        (!all.is_empty()).then(|| format!("^({})$", all.join("|")))
    };
    let first = |name: &str| match name.split_once('-') {
        Some((first, _)) => format!("{first}."),
        None => name.to_owned(),
    };
    let firsts: BTreeSet<String> = FAMILIES.concat().into_iter().filter(is_deleted).map(first).collect();
    DeletedHeaders {
        some: format!("(^|,)({})", firsts.into_iter().collect::<Vec<_>>().join("|")),
        all: FAMILIES.iter().filter_map(expression).collect(),
    }
}

/// The headers that the operator wants kept.
pub(super) fn keep_headers(inputs: &[Text], place: &Place) -> Result<Vec<FieldName>, FieldError> {
    let kept: Vec<FieldName> = place.list("keep_headers", inputs, FAMILIES.concat().len())?;
    for (i, name) in kept.iter().enumerate() {
        let is = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name.as_str()));
        let refuse =
            |reason: &'static str| Err(place.refuse(&format!("keep_headers[{i}]"), name.as_str(), reason));
        if is(&WRITTEN) {
            return refuse("is written by HAProxy, with what it has found out: it cannot be kept");
        }
        if !FAMILIES.iter().any(|family| is(family)) {
            return refuse("is none of the headers that are deleted: leave it out");
        }
    }
    Ok(kept)
}

/// Groups in the order of the input; networks that stand alone are one group, the first.
pub(super) fn groups(inputs: &[ProxyInput], place: &Place) -> Result<Vec<ProxyGroup>, FieldError> {
    let mut alone = Vec::new();
    let mut groups = Vec::new();
    for (i, input) in inputs.iter().enumerate() {
        let name = format!("trusted_proxies[{i}]");
        match input {
            ProxyInput::Network(text) => {
                place.check_len("trusted_proxies", i + 1, super::global::MAX_NETS)?;
                alone.push(place.with(&name, text, super::global::net)?);
            }
            ProxyInput::Group(group) => {
                let place = place.part(&name);
                let header = place.with("header", &group.header, header)?;
                let networks = nets("networks", &group.networks, &place)?;
                if networks.is_empty() {
                    return Err(place.refuse(
                        "networks",
                        "",
                        "has no network: name one, or leave the group out",
                    ));
                }
                groups.push((header, networks, group.own_requests));
            }
        }
    }
    if !alone.is_empty() {
        groups.insert(0, (LIST_HEADER, alone, false));
    }
    place.check_len("trusted_proxies", groups.len(), MAX_GROUPS)?;
    let all = groups.iter().flat_map(|(header, networks, _)| networks.iter().map(move |net| (*net, *header)));
    if let Some(net) = in_two(all.collect()) {
        let reason = "is named with two headers: a proxy names the client in one";
        return Err(place.refuse("trusted_proxies", &net.to_string(), reason));
    }
    let list = |i| match i {
        0 => "lists/trusted_proxies.lst".to_owned(),
        i => format!("lists/trusted_proxies_{}.lst", i + 1),
    };
    let group =
        |(i, (header, networks, own_requests))| ProxyGroup { header, networks, own_requests, list: list(i) };
    Ok(groups.into_iter().enumerate().map(group).collect())
}

fn header(text: &str) -> Result<&'static str, super::Refusal> {
    let known = CLIENTS.iter().find(|known| known.eq_ignore_ascii_case(text) && **known != "forwarded");
    known.copied().ok_or_else(|| {
        "is no header that names a client, such as X-Forwarded-For, X-Real-IP, CF-Connecting-IP or True-Client-IP"
            .into()
    })
}

/// A network that lies in one of another header, or is the same.
fn in_two(mut all: Vec<(ClientNet, &str)>) -> Option<ClientNet> {
    // A network stands before those within it.
    all.sort_unstable();
    let mut around: Vec<(ClientNet, &str)> = Vec::new();
    for (net, header) in all {
        while around.last().is_some_and(|(outer, _)| !contains(*outer, net)) {
            around.pop();
        }
        if around.last().is_some_and(|(_, other)| *other != header) {
            return Some(net);
        }
        around.push((net, header));
    }
    None
}

fn contains(outer: ClientNet, inner: ClientNet) -> bool {
    let cut = match (outer, inner) {
        (ClientNet::V4(_, len), ClientNet::V4(bits, inner_len)) if len <= inner_len => {
            ClientNet::new(std::net::Ipv4Addr::from_bits(bits).into(), len)
        }
        (ClientNet::V6(_, len), ClientNet::V6(bits, inner_len)) if len <= inner_len => {
            ClientNet::new(std::net::Ipv6Addr::from_bits(bits).into(), len)
        }
        _ => return false,
    };
    cut == Ok(outer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> ClientNet {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_within_one_of_another_header_is_found() {
        let in_two = |nets: &[(&str, &'static str)]| {
            in_two(nets.iter().map(|(text, header)| (net(text), *header)).collect())
        };
        assert_eq!(
            in_two(&[("10.0.0.0/8", "a"), ("10.1.0.0/16", "a"), ("11.0.0.1", "b"), ("::/0", "b")]),
            None
        );
        assert_eq!(in_two(&[("10.1.0.0/16", "b"), ("10.0.0.0/8", "a")]), Some(net("10.1.0.0/16")));
        assert_eq!(
            in_two(&[("10.0.0.0/8", "a"), ("10.1.0.0/16", "a"), ("10.1.2.3", "b")]),
            Some(net("10.1.2.3"))
        );
        assert_eq!(
            in_two(&[("10.0.0.0/8", "a"), ("10.1.0.0/16", "a"), ("10.2.0.0/16", "b")]),
            Some(net("10.2.0.0/16"))
        );
        assert_eq!(in_two(&[("2001:db8::", "a"), ("2001:db8::", "b")]), Some(net("2001:db8::")));
    }

    #[test]
    fn a_kept_header_is_in_no_expression() {
        let expressions = |keep: &[&str]| {
            let DeletedHeaders { some, all } =
                deleted_headers(&keep.iter().map(|name| name.parse().unwrap()).collect::<Vec<FieldName>>());
            (some, all)
        };
        let (some, all) = expressions(&[]);
        assert!(all.iter().any(|expression| expression.starts_with("^(x.(forwarded.host|")), "{all:?}");
        assert!(some.contains("|front.|"), "{some}");
        let (some, all) = expressions(&["X-Forwarded-Host", "front-end-https"]);
        let all = all.join(" ");
        assert!(!all.contains("forwarded.host") && all.contains("forwarded.port"), "{all}");
        assert!(!some.contains("front") && !all.contains("front"), "{some} {all}");
        assert_eq!(expressions(METHODS).1.len(), FAMILIES.len() - 1);
    }
}
