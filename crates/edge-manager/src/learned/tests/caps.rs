//! The record keeps no more than the filter does.

use super::*;
use crate::site::{FilterInput, SettingInput};
use crate::sites::SiteRecord;

/// The settings of the filter, as the site says them.
fn set(home: &Home, settings: &[(&str, &str)]) {
    let setting =
        |(name, value): &(&str, &str)| SettingInput { name: (*name).into(), value: (*value).into() };
    let mut site = SiteRecord::default();
    let settings = settings.iter().map(setting).collect();
    site.input.global.filter = Some(FilterInput { settings, ..FilterInput::default() });
    home.learned().rules().record().write::<_, StoreError>(|record| record.set_site(&site)).unwrap();
}

/// Lessons of one worker, each of which ends later than the one before.
fn teach_many(journal: &LearnedJournal, paths: std::ops::Range<u32>) {
    for n in paths {
        let stamp_us = START_US + u64::from(n);
        let rule = lesson(&format!("/{n}"), stamp_us, START_S + 3600 + n);
        journal.append(stamp_us, &Operation::Put(rule)).unwrap();
    }
}

#[test]
fn a_host_has_no_more_lessons_than_in_the_filter() {
    let mut home = Home::new();
    let journal = home.worker("a");
    let most = edge_filter::Settings::default().max_learned_per_host;
    teach_many(&journal, 0..most + 50);
    home.rounds();
    let lessons = home.lessons();
    let first = lessons.iter().map(|lesson| lesson.rule.expires_at_s).min();
    assert_eq!(
        (lessons.len(), first),
        (most as usize, Some(START_S + 3650)),
        "those that end first give way"
    );
}

#[test]
fn the_caps_are_those_of_the_site() {
    for (name, most) in [("EDGE_MAX_LEARNED_PER_HOST", 7), ("EDGE_MAX_LEARNED", 5)] {
        let mut home = Home::new();
        set(&home, &[(name, &most.to_string())]);
        teach_many(&home.worker("a"), 0..20);
        home.rounds();
        let kept: Vec<_> = (20 - most..20).map(|n| format!("shop.example/{n}")).collect();
        assert_eq!(home.targets(), kept, "{name}");
    }
}

#[test]
fn what_was_taken_back_takes_no_place_of_what_holds() {
    let mut home = Home::new();
    set(&home, &[("EDGE_MAX_LEARNED", "5")]);
    let journal = home.worker("a");
    teach_many(&journal, 0..5);
    for n in 1..5 {
        let taken = Operation::Forget(lesson(&format!("/{n}"), 0, 0).target);
        journal.append(START_US + 100, &taken).unwrap();
    }
    teach_many(&journal, 200..204);
    home.rounds();
    assert_eq!(home.targets(), [0, 200, 201, 202, 203].map(|n| format!("shop.example/{n}")));
    // It is remembered, and no more of it than there may be lessons.
    for n in 200..204 {
        let taken = Operation::Forget(lesson(&format!("/{n}"), 0, 0).target);
        journal.append(START_US + 300, &taken).unwrap();
    }
    home.rounds();
    assert_eq!(home.targets(), ["shop.example/0"]);
    let count = |view: &View<'_>| (1..=9).filter(|id| view.lesson(*id).unwrap().is_some()).count();
    let remembered = home.learned().rules().record().read::<_, StoreError>(|view| Ok(count(view)));
    assert_eq!(remembered.unwrap(), 1 + 5);
}
