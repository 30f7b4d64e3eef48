//! Journals that are torn, damaged, replaced, or many.

use super::*;

#[test]
fn torn_records_are_read_when_they_are_finished() {
    let mut home = Home::new();
    let one = home.worker("one");
    teach(&one, "/a", START_US + 1);
    let bytes = fs::read(home.path("one")).unwrap();
    teach(&one, "/b", START_US + 2);
    let whole = fs::read(home.path("one")).unwrap();
    drop(one);
    let other = home.worker("two");
    fs::write(home.path("two"), &bytes).unwrap();
    fs::remove_file(home.path("one")).unwrap();
    append_bytes(&home.path("two"), &whole[bytes.len()..whole.len() - 3]);
    home.rounds();
    assert_eq!(home.targets(), ["shop.example/a"]);
    append_bytes(&home.path("two"), &whole[whole.len() - 3..]);
    home.rounds();
    assert_eq!(home.targets(), ["shop.example/a", "shop.example/b"]);
    assert!(home.lines.is_empty(), "{:?}", home.lines);
    drop(other);
}

#[test]
fn what_comes_before_damage_holds_and_it_is_told_once() {
    let mut home = Home::new();
    let one = home.worker("one");
    teach(&one, "/a", START_US + 1);
    let good = fs::read(home.path("one")).unwrap().len();
    teach(&one, "/b", START_US + 2);
    teach(&one, "/c", START_US + 3);
    let mut bytes = fs::read(home.path("one")).unwrap();
    bytes[good + 20] ^= 1;
    fs::write(home.path("one"), &bytes).unwrap();
    fs::write(home.path("foreign"), "no journal at all").unwrap();
    home.rounds();
    home.rounds();
    assert_eq!(home.targets(), ["shop.example/a"]);
    let said = |words: &str| home.lines.iter().filter(|line| line.contains(words)).count();
    assert_eq!((said("damaged at byte"), said("not a file of Edge Filter")), (1, 1), "{:?}", home.lines);
    assert_eq!(home.lines.len(), 2);
}

#[test]
fn a_journal_that_was_replaced_or_cut_is_read_anew() {
    let mut home = Home::new();
    let one = home.worker("one");
    teach(&one, "/a", START_US + 1);
    let short = fs::read(home.path("one")).unwrap();
    teach(&one, "/b", START_US + 2);
    home.rounds();
    let other = home.worker("other");
    teach(&other, "/c", START_US + 3);
    fs::rename(home.path("other"), home.path("one")).unwrap();
    home.rounds();
    assert_eq!(home.targets().len(), 3);
    let file = fs::OpenOptions::new().write(true).open(home.path("one")).unwrap();
    file.set_len(short.len() as u64 - 5).unwrap();
    home.rounds();
    teach(&home.worker("next"), "/d", START_US + 4);
    home.rounds();
    assert_eq!(home.targets().len(), 4);
}

#[test]
fn many_are_read_in_rounds_that_are_bounded() {
    let mut home = Home::new();
    for (name, from) in [("a", 0), ("b", 1500)] {
        let journal = home.worker(name);
        (from..from + 1500).for_each(|n| _ = teach(&journal, &format!("/{n}"), START_US + n));
    }
    let first = home.learned().round(home.now_us).unwrap();
    assert!(first.is_cut && first.records == 1000, "{first:?}");
    home.rounds();
    assert_eq!(home.targets().len(), 3000);
}
