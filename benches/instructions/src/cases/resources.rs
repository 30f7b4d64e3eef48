//! The verdict on a resource, given as HAProxy's `base`.

use std::hint::black_box;

use edge_filter::{CanonicalPath, Filter, Host, Operation, ParameterSegments, Resource, Settings, Target};
use fastrand::Rng;

use super::{INPUTS, NOW_S, deny, filter, random};
use crate::counter::Counter;

/// Hosts that the resources are spread over.
const HOSTS: usize = 100;

/// Prefix rules on each host of the second half.
const PREFIXES: usize = 16;

const WORDS: [&str; 8] = ["wp-admin", ".git", "config", "vendor", "api", "cgi-bin", "backup", "static"];

/// `host/path` of the rule with this number: some 40 bytes. On the hosts below 50 there are no prefix rules.
fn base(n: usize) -> String {
    let word = |at: usize| WORDS[n / HOSTS / WORDS.len().pow(at as u32) % WORDS.len()];
    format!("shop-{}.example/{}/{}/item-{n}.php", n % HOSTS, word(0), word(1))
}

pub(super) fn path(text: &str) -> CanonicalPath {
    CanonicalPath::parse(text, ParameterSegments::Keep, Settings::default().max_path_bytes).expect("a path")
}

fn resource(base: &str, of: fn(Option<Host>, CanonicalPath) -> Resource) -> Operation {
    let (host, rest) = base.split_at(base.find('/').expect("a path"));
    let resource = of(Host::parse(host).ok(), path(rest));
    Operation::Put(deny(Target::Resource(resource, Default::default())))
}

/// So many exact rules, and prefix rules beside.
pub(super) fn block(filter: &Filter, rules: usize) {
    let prefixes = (HOSTS / 2..HOSTS)
        .flat_map(|host| (0..PREFIXES).map(move |n| format!("shop-{host}.example/area-{n}/private")))
        .map(|base| resource(&base, Resource::prefix));
    let exact = (0..rules).map(|n| resource(&base(n), Resource::exact));
    let mut edit = filter.edit(NOW_S).expect("nobody else writes");
    prefixes.chain(exact).for_each(|put| edit.draft(put));
    edit.publish_draft();
}

/// Resources of rules, on hosts with prefix rules or on those without.
pub(super) fn listed(random: &mut Rng, rules: usize, beside_prefixes: bool) -> Vec<String> {
    let half = HOSTS / 2 * usize::from(beside_prefixes);
    let number = |random: &mut Rng| random.usize(..rules / HOSTS) * HOSTS + half + random.usize(..HOSTS / 2);
    (0..INPUTS).map(|_| base(number(random))).collect()
}

/// What no rule has; as long as what they have.
pub(super) fn unlisted(listed: &[String]) -> Vec<String> {
    listed.iter().map(|base| base.replace(".php", ".txt")).collect()
}

/// The same written in another way: a port, an escape, a doubled slash.
fn not_canonical(listed: &[String]) -> Vec<String> {
    listed.iter().map(|base| base.replacen('/', ":8080//", 1).replace("item", "%69tem")).collect()
}

/// The same with an escaped slash: the rule is found by the second reading.
fn read_in_two_ways(listed: &[String]) -> Vec<String> {
    listed.iter().map(|base| base.replace("/item", "%2Fitem")).collect()
}

pub(super) fn count(counter: &Counter, rules: usize) {
    let kinds = [
        "hit",
        "miss",
        "hit not canonical",
        "hit beside prefixes",
        "miss beside prefixes",
        "prefix hit",
        "hit by the second reading",
        "miss by both readings",
    ];
    let names = kinds.map(|what| format!("resource {what} of {rules}"));
    if !counter.wants(&names.each_ref().map(String::as_str)) {
        return;
    }
    let filter = filter();
    block(filter, rules);
    let mut random = random();
    let hits = listed(&mut random, rules, false);
    let beside_prefixes = listed(&mut random, rules, true);
    let below = |base: &String| base.replacen('/', "/area-7/private/", 1);
    let inputs = [
        hits.clone(),
        unlisted(&hits),
        not_canonical(&hits),
        beside_prefixes.clone(),
        unlisted(&beside_prefixes),
        beside_prefixes.iter().map(below).collect(),
        read_in_two_ways(&hits),
        read_in_two_ways(&unlisted(&hits)),
    ];
    let mut reader = filter.reader();
    for (name, inputs) in names.iter().zip(inputs) {
        counter.count(name, &inputs, |base| _ = black_box(reader.resource(base.as_bytes(), NOW_S)));
    }
}
