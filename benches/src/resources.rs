//! Rules of resources, and requests for them as HAProxy's `base` gives them.

use edge_filter::{CanonicalPath, Host, ParameterSegments, Resource, Rule, Settings, Target};
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::lists::{real_text, rng};
use crate::rules::{LIST, block};

/// Hosts that the resources are spread over.
const HOSTS: usize = 100;

/// Requests asked for in one pass.
pub const REQUESTS: usize = 1 << 14;

/// Prefix rules on each host that has any.
const PREFIXES: usize = 16;

/// Paths that scanners ask for: of `EDGE_BENCH_DATA`, else seeded.
pub fn scanner_paths() -> Vec<String> {
    if let Some(text) = real_text("paths_scanner_5k.txt") {
        return text.lines().map(str::to_owned).collect();
    }
    let mut rng = rng();
    let words = ["wp-admin", ".git", "config", "vendor", "phpunit", "backup", "api", "cgi-bin", "index"];
    let ends = ["", "/", ".php", ".bak", "/%2e%2e/x", ".tar.gz", "//x"];
    (0..5_000)
        .map(|n| {
            let mut path = String::new();
            for _ in 0..rng.random_range(1..4) {
                path = format!("{path}/{}", words.choose(&mut rng).expect("not empty"));
            }
            format!("{path}{n}{}", ends.choose(&mut rng).expect("not empty"))
        })
        .collect()
}

/// Rules of exact resources, and of prefixes on every other host; and what can be asked for.
pub struct Resources {
    /// All rules.
    pub rules: Vec<Rule>,
    /// `host/path` of each exact rule on a host without prefix rules.
    pub plain: Vec<String>,
    /// `host/path` of each exact rule on a host with prefix rules.
    pub beside_prefixes: Vec<String>,
}

fn host(n: usize) -> String {
    format!("shop-{n}.example")
}

/// The canonical form of a rule's path; `None` for what is no path of a rule.
fn path(text: &str) -> Option<CanonicalPath> {
    CanonicalPath::parse(text, ParameterSegments::Keep, Settings::default().max_path_bytes).ok()
}

impl Resources {
    /// About `count` exact rules, spread evenly, and [`PREFIXES`] prefix rules on every other host.
    pub fn new(count: usize) -> Self {
        let scanned: Vec<CanonicalPath> = scanner_paths().iter().filter_map(|text| path(text)).collect();
        let list = LIST.into();
        let mut made =
            Self { rules: Vec::with_capacity(count), plain: Vec::new(), beside_prefixes: Vec::new() };
        for n in 0..count {
            let name = host(n % HOSTS);
            let end = scanned[n / HOSTS % scanned.len()].as_str().trim_end_matches('/');
            let Some(path) = path(&format!("{end}/{n}")) else { continue };
            let base = format!("{name}{}", path.as_str());
            if n % 2 == 0 {
                made.plain.push(base)
            } else {
                made.beside_prefixes.push(base)
            }
            let resource = Resource::exact(Host::parse(&name).ok(), path);
            made.rules.push(block(Target::Resource(resource, Default::default()), &list));
        }
        for n in (1..HOSTS).step_by(2) {
            for prefix in 0..PREFIXES {
                let path = path(&format!("/area-{prefix}/private")).expect("a path");
                let resource = Resource::prefix(Host::parse(&host(n)).ok(), path);
                made.rules.push(block(Target::Resource(resource, Default::default()), &list));
            }
        }
        made
    }
}

/// [`REQUESTS`] of these, in random order.
pub fn sample(bases: &[String]) -> Vec<String> {
    let mut rng = rng();
    let mut chosen: Vec<String> = bases.sample(&mut rng, REQUESTS.min(bases.len())).cloned().collect();
    chosen.shuffle(&mut rng);
    chosen
}

/// Requests of which no rule has the path; hosts and length are those of a hit.
pub fn unlisted(bases: &[String]) -> Vec<String> {
    sample(bases).into_iter().map(|base| format!("{base}x")).collect()
}

/// The same requests written in another way: a port, a doubled slash, an escape, a dot segment.
pub fn not_canonical(bases: &[String]) -> Vec<String> {
    let rewrite = |base: String| {
        let (host, path) = base.split_once('/').expect("a path");
        format!("{host}:8080//./{path}").replace('e', "%65").replacen("%65xampl%65", "example", 1)
    };
    sample(bases).into_iter().map(rewrite).collect()
}

/// Requests below the prefix rules of a host.
pub fn below_prefixes() -> Vec<String> {
    let below =
        |n: usize| format!("{}/area-{}/private/{n}", host(n % (HOSTS / 2) * 2 + 1), n / 50 % PREFIXES);
    (0..REQUESTS).map(below).collect()
}
