use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use edge_filter::{Action, Conditions, List, NEVER, Origin, Resource, Rule, Target};

use super::*;
use crate::rules::Entry;

fn home() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/rules.db");
    (dir, path)
}

fn rule(target: Target, list: &str) -> Rule {
    let origin = Origin::List(list.into());
    Rule { target, action: Action::Drop, expires_at_s: NEVER, origin, reason: "why".into() }
}

fn block(net: &str) -> Target {
    Target::Client(List::Block, net.parse().unwrap())
}

fn insert(store: &Store, rules: Vec<Rule>) -> Vec<Entry> {
    let all = |changes: &mut Changes<'_>| {
        rules.into_iter().map(|rule| changes.insert(rule, "me", 7)).collect::<Result<_, StoreError>>()
    };
    store.write(all).unwrap()
}

fn selected(store: &Store, selection: Selection) -> Vec<i64> {
    let read = |view: &View<'_>| {
        view.with_entries(&selection, |entries| entries.map(|entry| Ok(entry?.id)).collect())?
    };
    store.read::<_, StoreError>(read).unwrap()
}

#[test]
fn the_steps_to_this_version_are_sound() {
    connection::MIGRATIONS.validate().unwrap();
}

#[test]
fn every_kind_of_rule_comes_back_as_it_was_put() {
    let (_dir, path) = home();
    let store = Store::open(&path).unwrap();
    let keep = edge_filter::ParameterSegments::Keep;
    let path_of = |text: &str| edge_filter::CanonicalPath::parse(text, keep, 99).unwrap();
    let host = edge_filter::Host::parse("[2001:db8::1]").ok();
    let conditions: Conditions = "method=POST query=a=%20b param:id=7=8 anon src=::1".parse().unwrap();
    let targets = [
        block("192.0.2.1"),
        Target::Client(List::Allow, "192.0.2.1".parse().unwrap()),
        block("2001:db8::/32"),
        Target::Resource(Resource::exact(None, path_of("/")), Conditions::default()),
        Target::Resource(Resource::prefix(None, path_of("/")), Conditions::default()),
        // Both read `/a/*`.
        Target::Resource(Resource::exact(None, path_of("/a/*")), Conditions::default()),
        Target::Resource(Resource::prefix(None, path_of("/a")), Conditions::default()),
        Target::Resource(Resource::prefix(None, path_of("/a/*")), Conditions::default()),
        Target::Resource(Resource::exact(host.clone(), path_of("/a;v=1/%2F")), conditions),
        Target::Resource(Resource::exact(host, path_of("/a;v=1/%2F")), "anon".parse().unwrap()),
    ];
    let status = |code| Action::Deny(edge_filter::Status::new(code).unwrap());
    let actions = [Action::Observe, Action::Tarpit, Action::Drop, status(400), status(599)];
    let rules = targets.into_iter().zip(actions.into_iter().cycle()).map(|(target, action)| Rule {
        action,
        expires_at_s: 4_000_000_000,
        ..rule(target, "manual")
    });
    let put = insert(&store, rules.collect());
    let read = |view: &View<'_>| {
        view.with_entries(&Selection::default(), |entries| entries.collect::<Result<Vec<_>, _>>())?
    };
    assert_eq!(store.read::<_, StoreError>(read).unwrap(), put);
    for entry in &put {
        let found = store.write::<_, StoreError>(|changes| changes.find(&entry.rule.target)).unwrap();
        assert_eq!(found.as_ref(), Some(entry));
    }
}

#[test]
fn rules_are_selected_by_kind_list_end_and_page() {
    let (_dir, path) = home();
    let store = Store::open(&path).unwrap();
    let allow = Target::Client(List::Allow, "192.0.2.2".parse().unwrap());
    let page = crate::rules::target("/page", "").unwrap();
    let ends = Rule { expires_at_s: 100, ..rule(block("192.0.2.4"), "feed") };
    let rules = vec![rule(block("192.0.2.1"), "manual"), rule(allow, "feed"), rule(page, "feed"), ends];
    insert(&store, rules);
    let all = Selection::default();
    let of = |kind| Selection { kind: Some(kind), ..Selection::default() };
    assert_eq!(selected(&store, all.clone()), [1, 2, 3, 4]);
    assert_eq!(selected(&store, of(Kind::Block)), [1, 4]);
    assert_eq!(selected(&store, of(Kind::Allow)), [2]);
    assert_eq!(selected(&store, of(Kind::Resource)), [3]);
    assert_eq!(selected(&store, Selection { list: Some("feed".into()), ..all.clone() }), [2, 3, 4]);
    assert_eq!(selected(&store, Selection { list: Some("none".into()), ..all.clone() }), [0; 0]);
    assert_eq!(selected(&store, Selection { in_force_at_s: Some(99), ..all.clone() }), [1, 2, 3, 4]);
    assert_eq!(selected(&store, Selection { in_force_at_s: Some(100), ..all.clone() }), [1, 2, 3]);
    assert_eq!(selected(&store, Selection { ended_at_s: Some(100), ..all.clone() }), [4]);
    assert_eq!(selected(&store, Selection { ended_at_s: Some(99), ..all.clone() }), [0; 0]);
    assert_eq!(selected(&store, Selection { action: Some(Action::Drop), ..all.clone() }), [1, 2, 3, 4]);
    assert_eq!(selected(&store, Selection { action: Some(Action::Tarpit), ..all.clone() }), [0; 0]);
    assert_eq!(selected(&store, Selection { after: Some(1), limit: Some(2), ..all.clone() }), [2, 3]);
    let remove_ended =
        |most| store.write::<_, StoreError>(|changes| changes.remove_ended(100, most)).unwrap();
    assert_eq!([remove_ended(0), remove_ended(9), remove_ended(9)], [0, 1, 0]);
    assert_eq!(selected(&store, all), [1, 2, 3]);
    let lists = store.read::<_, StoreError>(|view| view.lists()).unwrap();
    assert_eq!(lists, ["manual", "feed"].map(Arc::from));
}

#[test]
fn rules_are_found_by_what_their_targets_cover_or_begin_with() {
    let (_dir, path) = home();
    let store = Store::open(&path).unwrap();
    let targets =
        ["192.0.2.0/24", "192.0.2.7", "192.0.20.1", "2001:db8::/32", "192.0.2.example/a", "/a", "/A/*"];
    let mut rules: Vec<_> =
        targets.map(|text| rule(crate::rules::target(text, "").unwrap(), "manual")).into();
    rules.push(rule(Target::Client(List::Allow, "0.0.0.0/0".parse().unwrap()), "manual"));
    insert(&store, rules);
    let found = |text: &str| selected(&store, Selection { about: Some(text.into()), ..Selection::default() });
    assert_eq!(found("192.0.2.7"), [1, 2, 8]);
    assert_eq!(found("192.0.2.0/25"), [1, 8]);
    assert_eq!(found("192.0.0.0/8"), [8]);
    assert_eq!(found("::ffff:192.0.2.8"), [1, 8]);
    assert_eq!(found("2001:DB8::1"), [4]);
    assert_eq!(found("192.0.2"), [1, 2, 3, 5]);
    assert_eq!(found("192.0.2.EXAMPLE/"), [5]);
    assert_eq!(found("/a"), [6]);
    assert_eq!(found("/"), [6, 7]);
    assert_eq!(found("%"), [0; 0]);
    assert_eq!(found(""), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn every_order_goes_on_behind_what_it_is_told() {
    let (_dir, path) = home();
    let store = Store::open(&path).unwrap();
    let ends = |text: &str, end_s| Rule { expires_at_s: end_s, ..rule(block(text), "manual") };
    let rules =
        vec![ends("192.0.2.9", 50), ends("10.0.0.1", NEVER), ends("192.0.2.1", 50), ends("172.16.0.1", 20)];
    insert(&store, rules);
    let of = |order, after| selected(&store, Selection { order, after, ..Selection::default() });
    assert_eq!(of(Order::Newest, None), [4, 3, 2, 1]);
    assert_eq!(of(Order::Newest, Some(3)), [2, 1]);
    assert_eq!(of(Order::Target(None), None), [2, 4, 3, 1]);
    assert_eq!(of(Order::Target(Some("172.16.0.1".into())), None), [3, 1]);
    assert_eq!(of(Order::End(None), None), [4, 1, 3]);
    assert_eq!(of(Order::End(Some((50, 1))), None), [3]);
    let limited = Selection { order: Order::Target(None), limit: Some(1), ..Selection::default() };
    assert_eq!(selected(&store, limited), [2]);
}

/// How SQLite reads rules: what follows the columns of a query.
fn plan(store: &Store, rest: &str) -> String {
    let sql = ["EXPLAIN QUERY PLAN ", columns::ENTRY, rest].concat();
    let connection = store.writer.lock();
    let mut statement = connection.prepare(&sql).unwrap();
    let lines = statement.raw_query().mapped(|row| row.get::<_, String>(3)).map(Result::unwrap);
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn an_index_serves_every_query() {
    let (_dir, path) = home();
    let store = Store::open(&path).unwrap();
    let plan = |rest: &str| plan(&store, rest);
    let of = |selection: Selection| plan(&selection.to_sql().0);
    let kind = Selection { kind: Some(Kind::Allow), ..Selection::default() };
    let list = Selection { list: Some("feed".into()), ..Selection::default() };
    let action = Selection { action: Some(Action::Tarpit), ..Selection::default() };
    let covers = Selection { about: Some("192.0.2.1".into()), ..Selection::default() };
    let many = Selection { in_force_at_s: Some(1), ..Selection { list: list.list.clone(), ..kind.clone() } };
    for (plan, expected) in [
        (of(Selection { order: Order::Newest, ..kind.clone() }), "rules_by_kind (kind=? AND rowid<?)"),
        (of(many), "rules_of_list_by_kind (list=? AND kind=? AND rowid>?)"),
        (of(covers), "COVERING INDEX rules_by_target (kind=? AND target=?)"),
        (of(action), "rules_by_verdict (verdict=? AND rowid>?)"),
        (of(Selection::default()), "INTEGER PRIMARY KEY (rowid>?)"),
        (of(kind), "rules_by_kind (kind=? AND rowid>?)"),
        (of(list), "rules_by_list (list=? AND rowid>?)"),
        (plan(view::ON), "rules_by_target (kind=? AND target=?)"),
        (
            plan(&[view::ON, " AND conditions = ?"].concat()),
            "rules_by_target (kind=? AND target=? AND conditions=?)",
        ),
    ] {
        assert!(plan.contains(expected) && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[test]
fn an_index_serves_every_page_of_clients() {
    let (_dir, path) = home();
    let store = Store::open(&path).unwrap();
    let begins = Some(About::Begins("10.".into()));
    for (order, about, of_all, of_list) in [
        (
            Order::Newest,
            None,
            "rules_by_kind (kind=? AND rowid<?)",
            "rules_of_list_by_kind (list=? AND kind=? AND rowid<?)",
        ),
        (
            Order::Oldest,
            None,
            "rules_by_kind (kind=? AND rowid>?)",
            "rules_of_list_by_kind (list=? AND kind=? AND rowid>?)",
        ),
        (
            Order::Target(None),
            None,
            "rules_by_target (kind=? AND target>?)",
            "rules_of_list_by_target (list=? AND kind=? AND target>?)",
        ),
        (
            Order::Target(None),
            begins,
            "rules_by_target (kind=? AND target>? AND target<?)",
            "rules_of_list_by_target (list=? AND kind=? AND target>? AND target<?)",
        ),
        (
            Order::End(None),
            None,
            "rules_by_end (kind=? AND expires_at_s>?)",
            "rules_of_list_by_end (list=? AND kind=? AND expires_at_s>?)",
        ),
    ] {
        for (list, expected) in [(None, of_all), (Some(Arc::from("feed")), of_list)] {
            for (kind, in_force_at_s) in [(Kind::Allow, None), (Kind::Block, Some(1))] {
                let (order, about, list) = (order.clone(), about.clone(), list.clone());
                let page = Selection {
                    kind: Some(kind),
                    list,
                    about,
                    in_force_at_s,
                    order,
                    limit: Some(51),
                    ..Selection::default()
                };
                let plan = plan(&store, &page.to_sql().0);
                assert!(plan.contains(expected) && !plan.contains("TEMP B-TREE"), "{page:?}\n{plan}");
                assert!(
                    page.to_sql().0.matches("target >").count() <= 1,
                    "it may begin at the lesser of two"
                );
            }
        }
    }
    // Those that take in a network are a few, which are put in order.
    for order in [Order::Newest, Order::Oldest, Order::Target(None), Order::End(None)] {
        let (kind, list, about) = (Some(Kind::Block), Some("feed".into()), Some("192.0.2.1".into()));
        let page = Selection { kind, list, about, order, in_force_at_s: Some(1), ..Selection::default() };
        let plan = plan(&store, &page.to_sql().0);
        assert!(plan.contains("SEARCH rules USING INTEGER PRIMARY KEY"), "{page:?}\n{plan}");
    }
}

#[test]
fn a_number_is_never_given_twice() {
    let (_dir, path) = home();
    let store = Store::open(&path).unwrap();
    let [entry] = &insert(&store, vec![rule(block("192.0.2.1"), "manual")])[..] else { panic!() };
    store.write::<_, StoreError>(|changes| changes.remove(entry.id)).unwrap();
    assert_eq!(insert(&store, vec![rule(block("192.0.2.1"), "manual")])[0].id, entry.id + 1);
}

#[test]
fn what_fails_half_way_changes_nothing() {
    let (_dir, path) = home();
    let store = Store::open(&path).unwrap();
    let twice = |changes: &mut Changes<'_>| {
        changes.insert(rule(block("192.0.2.1"), "new"), "me", 1)?;
        changes.insert(rule(block("192.0.2.1"), "new"), "me", 1)
    };
    assert!(matches!(store.write(twice), Err(StoreError::Sqlite(_))));
    assert_eq!(selected(&store, Selection::default()), [0; 0]);
    assert!(store.read::<_, StoreError>(|view| view.lists()).unwrap().is_empty());
}

#[test]
fn readers_see_one_moment_and_do_not_wait_for_a_change() {
    let (_dir, path) = home();
    let store = Store::open(&path).unwrap();
    insert(&store, vec![rule(block("192.0.2.1"), "manual")]);
    let count = |view: &View<'_>| view.with_entries(&Selection::default(), |entries| entries.count());
    let seen = store.read::<_, StoreError>(|view| {
        let before = count(view)?;
        insert(&store, vec![rule(block("192.0.2.2"), "manual")]);
        // Another reader, while this one goes on.
        Ok((before, store.read(count)?, count(view)?))
    });
    assert_eq!(seen.unwrap(), (1, 2, 1));
    store
        .write::<_, StoreError>(|changes| {
            changes.insert(rule(block("192.0.2.3"), "manual"), "me", 1)?;
            assert_eq!(store.read(count)?, 2, "not there before its end");
            Ok(())
        })
        .unwrap();
    assert_eq!(store.read::<_, StoreError>(count).unwrap(), 3);
}

#[test]
fn there_are_no_more_lists_than_the_filter_knows() {
    let (_dir, path) = home();
    let store = Store::open(&path).unwrap();
    let of_list = |n: usize| rule(block(&format!("192.0.2.{n}")), &format!("list-{n}"));
    insert(&store, (0..edge_journal::MAX_LISTS).map(of_list).collect());
    let more = store.write(|changes| changes.insert(of_list(251), "me", 1));
    assert!(matches!(more, Err(StoreError::TooManyLists(edge_journal::MAX_LISTS))), "{more:?}");
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let (dir, path) = home();
    assert!(matches!(Readers::open(&path), Err(StoreError::Missing(_))));
    let foreign = dir.path().join("other.db");
    let other = rusqlite::Connection::open(&foreign).unwrap();
    other.execute_batch("CREATE TABLE blocked_ips (id INTEGER); PRAGMA user_version = 1").unwrap();
    drop(other);
    let text = dir.path().join("text");
    std::fs::write(&text, "no database at all, but of some length").unwrap();
    for file in [&foreign, &text] {
        let before = std::fs::read(file).unwrap();
        assert!(matches!(Store::open(file), Err(StoreError::Foreign(_))), "{}", file.display());
        assert!(matches!(Readers::open(file), Err(StoreError::Foreign(_))), "{}", file.display());
        assert_eq!(std::fs::read(file).unwrap(), before);
    }
    drop(Store::open(&path).unwrap());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.execute_batch("PRAGMA user_version = 1000").unwrap();
    drop(newer);
    assert!(matches!(Store::open(&path), Err(StoreError::Newer(_))));
    assert!(matches!(Readers::open(&path), Err(StoreError::Newer(_))));
}

#[test]
fn what_was_changed_is_in_one_file_when_it_is_closed() {
    let (_dir, path) = home();
    let store = Store::open(&path).unwrap();
    insert(&store, vec![rule(block("192.0.2.1"), "manual")]);
    assert_eq!(selected(&store, Selection::default()), [1]);
    drop(store);
    let names = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["rules.db"], "who starts next would read the rest again");
}

#[test]
fn others_cannot_read_it() {
    let (_dir, path) = home();
    let store = Store::open(&path).unwrap();
    insert(&store, vec![rule(block("192.0.2.1"), "manual")]);
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "{}: {mode:o}", entry.path().display());
    }
}
