//! The record takes no rule that the filter has no room for.

use edge_filter::{Filter, Kind, MAX_RULES_PER_RESOURCE, Operation, Settings};

use super::agreement::Home;
use super::me;
use crate::rules::{Change, End, IfPresent, Input, Refusal, Rules, RulesError, target};
use crate::site::{FilterInput, SettingInput};
use crate::sites::SiteRecord;
use crate::store::StoreError;

const NOW_US: u64 = 1_000_000_000;

/// A rule on this resource, or client, that differs from the others by its number.
fn rule(target: &str, n: usize, end: End) -> Change {
    let conditions = if target.contains('/') { format!("param:n={n}") } else { String::new() };
    let input = Input { target, conditions: &conditions, end, ..Input::default() };
    Change::Put(input.parse(NOW_US).unwrap(), IfPresent::Refuse)
}

fn many(target: &str, count: usize) -> Vec<Change> {
    (0..count).map(|n| rule(target, n, End::Never)).collect()
}

fn clients(count: usize) -> Vec<Change> {
    (0..count).map(|n| rule(&format!("192.0.2.{n}"), n, End::Never)).collect()
}

fn set(rules: &Rules, settings: &[(&str, &str)]) {
    let setting =
        |(name, value): &(&str, &str)| SettingInput { name: (*name).into(), value: (*value).into() };
    let mut site = SiteRecord::default();
    let settings = settings.iter().map(setting).collect();
    site.input.global.filter = Some(FilterInput { settings, ..FilterInput::default() });
    rules.record().write::<_, StoreError>(|record| record.set_site(&site)).unwrap();
}

fn apply(rules: &Rules, changes: Vec<Change>, now_us: u64) -> Result<usize, RulesError> {
    Ok(rules.apply(&me(), changes, now_us)?.entries.len())
}

/// Which change was refused, and why.
#[track_caller]
fn refused(rules: &Rules, changes: Vec<Change>) -> (usize, Refusal) {
    match apply(rules, changes, NOW_US) {
        Err(RulesError::Refused { at, why }) => (at, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_resource_has_no_more_rules_than_in_the_filter() {
    let (home, most) = (Home::new(), MAX_RULES_PER_RESOURCE);
    let rules = home.open();
    let (at, why) = refused(&rules, many("shop.example/a", most + 1));
    let said =
        "shop.example/a: there are 64 rules on it already, which is as many as the filter has room for";
    assert_eq!((at, why.to_string().as_str()), (most, said));
    apply(&rules, many("shop.example/a", most), NOW_US).unwrap();
    let one_more = || rule("shop.example/a", most, End::Never);
    assert_eq!(refused(&rules, vec![one_more()]).0, 0);
    // What is made elsewhere too.
    let Change::Put(new, _) = one_more() else { panic!() };
    let adopted = Change::Adopt { new, created_at_s: Some(1) };
    assert!(matches!(refused(&rules, vec![adopted]), (0, Refusal::FullResource(_))));
    // Other resources have their own places, and a rule that is there keeps its.
    for other in ["shop.example/a/*", "shop.example/b", "/a"] {
        apply(&rules, many(other, 1), NOW_US).unwrap();
    }
    let Change::Put(new, _) = rule("shop.example/a", 0, End::Ttl(60)) else { panic!() };
    apply(&rules, vec![Change::Put(new, IfPresent::Replace)], NOW_US).unwrap();
    // A place is given free by a removal, in the same change too, and by an end.
    let removed = Change::Remove(target("shop.example/a", "param:n=1").unwrap());
    apply(&rules, vec![removed, one_more()], NOW_US).unwrap();
    let late = || rule("shop.example/a", most + 1, End::Never);
    assert_eq!(refused(&rules, vec![late()]).0, 0);
    apply(&rules, vec![late()], NOW_US + 60_000_000).unwrap();
}

#[test]
fn there_are_no_more_rules_than_in_the_filter_of_the_site() {
    let home = Home::new();
    let rules = home.open();
    set(&rules, &[("EDGE_MAX_RULES", "3")]);
    assert_eq!(refused(&rules, clients(4)), (3, Refusal::Full(3)));
    apply(&rules, clients(2), NOW_US).unwrap();
    apply(&rules, vec![rule("192.0.2.9", 0, End::Ttl(60))], NOW_US).unwrap();
    let one_more = || vec![rule("192.0.2.7", 0, End::Never)];
    assert_eq!(refused(&rules, one_more()).1, Refusal::Full(3));
    let said = Refusal::Full(3).to_string();
    assert!(said.contains("3 rules") && said.contains("EDGE_MAX_RULES"), "{said}");
    let exchange =
        |gone: &str, new: &str| vec![Change::Remove(target(gone, "").unwrap()), rule(new, 0, End::Never)];
    apply(&rules, exchange("192.0.2.0", "192.0.2.8"), NOW_US).unwrap();
    // What has ended is in the record still, and has no place in the filter.
    let later_us = NOW_US + 60_000_000;
    apply(&rules, one_more(), later_us).unwrap();
    let full = apply(&rules, vec![rule("192.0.2.9", 0, End::Never)], later_us);
    assert!(matches!(full, Err(RulesError::Refused { why: Refusal::Full(3), .. })), "{full:?}");
    set(&rules, &[("EDGE_MAX_RULES", "4")]);
    apply(&rules, vec![rule("192.0.2.9", 0, End::Never)], later_us).unwrap();
}

#[test]
fn a_path_that_the_filter_cuts_is_refused() {
    let home = Home::new();
    let rules = home.open();
    apply(&rules, many("shop.example/a;v=1", 1), NOW_US).unwrap();
    set(&rules, &[("EDGE_PATH_PARAMS", "drop")]);
    let (_, why) = refused(&rules, many("shop.example/b;v=1", 1));
    let said = "shop.example/b;v=1: the filter drops ;params of paths (EDGE_PATH_PARAMS is drop): no request would match";
    assert_eq!(why.to_string(), said);
    apply(&rules, many("shop.example/b", 1), NOW_US).unwrap();
}

#[test]
fn there_are_no_more_lists_than_the_filter_tells_apart() {
    let home = Home::new();
    let rules = home.open();
    let files = (0..250).map(|n| format!("/{n}")).collect::<Vec<_>>().join(":");
    set(&rules, &[("EDGE_BLOCK_FILES", &files)]);
    let of_list = |n: usize| {
        let (net, list) = (format!("192.0.2.{n}"), format!("list-{n}"));
        let input = Input { target: &net, list: &list, ..Input::default() };
        Change::Put(input.parse(NOW_US).unwrap(), IfPresent::Refuse)
    };
    apply(&rules, (0..5).map(of_list).collect(), NOW_US).unwrap();
    let more = apply(&rules, vec![of_list(5)], NOW_US);
    assert!(matches!(more, Err(RulesError::Record(StoreError::TooManyLists(5)))), "{more:?}");
}

#[test]
fn what_the_record_took_the_filter_holds() {
    let home = Home::new();
    let rules = home.open();
    set(&rules, &[("EDGE_MAX_RULES", "110")]);
    let filter = Filter::new(Settings { max_rules: 110, ..Settings::default() });
    // The first to come are the last to end.
    let ends = (0..150).rev().map(|n| End::Ttl(60 + n));
    for (n, end) in ends.enumerate() {
        let host = if n % 3 == 0 { "a.example/x" } else { "b.example/x" };
        // Whatever was refused is in neither.
        let _ = apply(&rules, vec![rule(host, n, end)], NOW_US);
    }
    let now_s = (NOW_US / 1_000_000) as u32;
    let published = home.published();
    for rule in published.values() {
        filter.submit(Operation::Put(rule.clone()), now_s).unwrap();
    }
    assert_eq!(filter.rules(Kind::Resource).count(), published.len());
    assert_eq!(published.len(), 110);
}
