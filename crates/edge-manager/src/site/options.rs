//! The options of a server: words of HAProxy's `server` line, from an allow-list.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::address::port;
use super::refusal::{Refusal, name_of};
use super::time::TimeSpan;
use super::words::{BackendName, CheckPath, HostName, Name};

/// Longest text of options, bytes.
const MAX_BYTES: usize = 512;

/// Options of a server, such as `check inter 5s`: each keyword is known, each argument is of its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerOptions(Vec<String>);

/// What the argument of a keyword must be.
type Check = fn(&str) -> bool;

/// Keywords without an argument (HAProxy's configuration manual, section 5.2).
const FLAGS: [&str; 39] = [
    "agent-check",
    "allow-0rtt",
    "backup",
    "check",
    "check-send-proxy",
    "check-ssl",
    "check-via-socks4",
    "disabled",
    "enabled",
    "force-tlsv12",
    "force-tlsv13",
    "no-agent-check",
    "no-backup",
    "no-check",
    "no-check-send-proxy",
    "no-check-ssl",
    "no-send-proxy",
    "no-send-proxy-v2",
    "no-send-proxy-v2-ssl",
    "no-send-proxy-v2-ssl-cn",
    "no-ssl",
    "no-ssl-reuse",
    "no-sslv3",
    "no-tfo",
    "no-tls-tickets",
    "no-tlsv10",
    "no-tlsv11",
    "no-tlsv12",
    "no-tlsv13",
    "non-stick",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "ssl",
    "ssl-reuse",
    "stick",
    "tfo",
    "tls-tickets",
];

/// Keywords with one argument.
const KEYWORDS: [(&str, Check); 50] = [
    ("addr", is_ip),
    ("agent-addr", is_host),
    ("agent-inter", is_time),
    ("agent-port", is_port),
    ("agent-send", |text| is_name(text)),
    ("alpn", |text| all_are(text, is_alpn)),
    ("ca-file", |text| text == "@system-ca"),
    ("check-alpn", |text| all_are(text, is_alpn)),
    ("check-proto", |text| ["h1", "h2", "fcgi", "none"].contains(&text)),
    ("check-sni", is_host),
    ("cookie", is_name),
    ("downinter", is_time),
    ("error-limit", is_number),
    ("fall", is_number),
    ("fastinter", is_time),
    ("id", is_number),
    ("init-addr", |text| all_are(text, |way| ["last", "libc", "none"].contains(&way) || is_ip(way))),
    ("inter", is_time),
    ("log-proto", |text| ["legacy", "octet-count"].contains(&text)),
    ("max-reuse", is_number),
    ("maxconn", is_number),
    ("maxqueue", is_number),
    ("minconn", is_number),
    ("observe", |text| ["layer4", "layer7"].contains(&text)),
    ("on-error", |text| ["fastinter", "fail-check", "sudden-death", "mark-down"].contains(&text)),
    ("on-marked-down", |text| text == "shutdown-sessions"),
    ("on-marked-up", |text| text == "shutdown-backup-sessions"),
    ("pool-low-conn", is_number),
    ("pool-max-conn", |text| text == "-1" || is_number(text)),
    ("pool-purge-delay", is_time),
    ("port", is_port),
    ("proto", |text| ["h1", "h2", "fcgi", "none"].contains(&text)),
    ("proxy-v2-options", |text| all_are(text, is_proxy_option)),
    ("redir", is_redirect_prefix),
    ("resolve-net", |text| all_are(text, is_net)),
    ("resolve-opts", |text| {
        all_are(text, |word| ["allow-dup-ip", "ignore-weight", "prevent-dup-ip"].contains(&word))
    }),
    ("resolve-prefer", |text| ["ipv4", "ipv6"].contains(&text)),
    ("rise", is_number),
    ("slowstart", is_time),
    ("sni", is_sni),
    ("socks4", |text| text.parse::<super::Endpoint>().is_ok()),
    ("source", is_ip),
    ("ssl-max-ver", is_tls_version),
    ("ssl-min-ver", is_tls_version),
    ("tcp-ut", is_time),
    ("track", is_tracked),
    ("verify", |text| ["none", "required"].contains(&text)),
    ("verifyhost", is_host),
    ("weight", |text| text.parse().is_ok_and(|weight: u16| weight <= 256) && is_number(text)),
    ("ws", |text| ["auto", "h1", "h2"].contains(&text)),
];

/// Keywords that exist, and why they are not allowed.
const REFUSED: [(&str, &str); 9] = [
    ("ciphers", "is for ssl-default-server-ciphers"),
    ("ciphersuites", "is for ssl-default-server-ciphersuites"),
    ("crl-file", "names a file"),
    ("crt", "names a file"),
    ("external-check", "runs a program"),
    ("namespace", "leaves the network of the machine"),
    ("npn", "is obsolete"),
    ("resolvers", "is set by the backend's `resolve`"),
    ("usesrc", "needs the rights of root"),
];

impl FromStr for ServerOptions {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.len() > MAX_BYTES {
            return Err(format!("is longer than {MAX_BYTES} bytes").into());
        }
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || " -_.,:/@()[]*".contains(c);
        if let Some((at, c)) = text.char_indices().find(|&(_, c)| !is_allowed(c)) {
            return Err(format!("has {} at byte {at}", name_of(c)).into());
        }
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let mut options = Vec::new();
        while let Some(keyword) = words.next() {
            options.push(keyword.to_owned());
            if FLAGS.contains(&keyword) {
                continue;
            }
            let Some((_, is_valid)) = KEYWORDS.iter().find(|(known, _)| *known == keyword) else {
                return Err(match REFUSED.iter().find(|(known, _)| *known == keyword) {
                    Some((_, reason)) => format!("has the option {keyword}, which {reason}").into(),
                    None => format!("has the unknown option {keyword}").into(),
                });
            };
            let Some(argument) = words.next() else {
                return Err(format!("has {keyword} without its argument").into());
            };
            if !is_valid(argument) {
                let reason = if keyword == "ca-file" { ": only @system-ca, no other file" } else { "" };
                return Err(format!("has {keyword} with a bad argument, {argument}{reason}").into());
            }
            options.push(argument.to_owned());
        }
        Ok(Self(options))
    }
}

impl fmt::Display for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl Serialize for ServerOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn all_are(text: &str, is_valid: Check) -> bool {
    text.split(',').all(is_valid)
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
        && text.parse::<u32>().is_ok_and(|number| number <= i32::MAX as u32)
}

/// A bare number is milliseconds.
fn is_time(text: &str) -> bool {
    text.parse::<TimeSpan>().is_ok() || is_number(text) && format!("{text}ms").parse::<TimeSpan>().is_ok()
}

fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn is_net(text: &str) -> bool {
    text.parse::<edge_filter::ClientNet>().is_ok()
}

fn is_host(text: &str) -> bool {
    is_ip(text) || text.parse::<HostName>().is_ok()
}

fn is_port(text: &str) -> bool {
    port(text).is_ok()
}

fn is_name(text: &str) -> bool {
    text.parse::<Name>().is_ok()
}

fn is_alpn(text: &str) -> bool {
    ["h2", "http/1.1", "http/1.0"].contains(&text)
}

fn is_tls_version(text: &str) -> bool {
    ["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"].contains(&text)
}

fn is_proxy_option(text: &str) -> bool {
    ["authority", "cert-cn", "cert-key", "cert-sig", "crc32c", "ssl", "ssl-cipher", "unique-id"]
        .contains(&text)
}

fn is_redirect_prefix(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        host.parse::<HostName>().is_ok() && (path.is_empty() || path.parse::<CheckPath>().is_ok())
    })
}

fn is_tracked(text: &str) -> bool {
    let (backend, server) = text.split_once('/').unwrap_or(("here", text));
    backend.parse::<BackendName>().is_ok() && is_name(server)
}

/// The expressions that clients use; others could name anything of the process.
fn is_sni(text: &str) -> bool {
    ["req.hdr(host)", "req.hdr(Host)", "hdr(host)", "hdr(Host)", "ssl_fc_sni"].contains(&text)
        || text.strip_prefix("str(").and_then(|rest| rest.strip_suffix(')')).is_some_and(is_host)
}
