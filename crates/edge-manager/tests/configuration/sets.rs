//! The sets on disk, without a HAProxy.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use edge_manager::configuration::{Configuration, MAX_SETS, Patience, PublishError, Published, Settings};
use edge_manager::haproxy::{Control, Program};
use serde_json::json;

use crate::client::eventually;
use crate::home::{Home, site, stand_in};

fn open(home: &Home) -> Configuration {
    home.open(stand_in(&home.path(""), "exit 0"), Control::Nobody).unwrap()
}

fn publish(configuration: &Configuration, home: &Home, title: &str) -> Published {
    configuration.publish(&home.site(title), "me").unwrap()
}

fn link(home: &Home, name: &str) -> Option<PathBuf> {
    fs::read_link(home.sets().join(name)).ok()
}

#[test]
fn sets_are_read_by_their_group_and_by_nobody_else() {
    let home = Home::new();
    publish(&open(&home), &home, "a");
    let mode = |path: PathBuf| fs::metadata(&path).unwrap().mode() & 0o7777;
    let listing = home.listing();
    assert!(listing.len() > 15, "{listing:?}");
    for path in listing.into_keys().filter(|path| !path.is_symlink()) {
        let expected = if path.is_dir() { 0o750 } else { 0o640 };
        assert_eq!(mode(path.clone()), expected, "{path:?}");
    }
    assert_eq!(mode(home.sets()), 0o750);
}

#[test]
fn the_same_files_are_no_new_set() {
    let home = Home::new();
    let configuration = open(&home);
    for (title, set, is_changed) in [("a", 1, true), ("a", 1, false), ("b", 2, true), ("a", 3, true)] {
        let published = publish(&configuration, &home, title);
        assert_eq!((published.set, published.is_changed), (set, is_changed));
        assert_eq!(link(&home, "current"), Some(format!("sets/{set}").into()));
    }
    let preview = configuration.check(&home.site("b")).unwrap();
    assert!(preview.diff.contains("-<title>a</title>\n+<title>b</title>\n"), "{}", preview.diff);
    assert_eq!(configuration.check(&home.site("a")).unwrap().diff, "");
    assert_eq!(link(&home, "current"), Some("sets/3".into()));
}

#[test]
fn the_newest_sets_are_kept_and_one_can_be_brought_back() {
    let home = Home::new();
    let configuration = open(&home);
    let last = MAX_SETS as u64 + 5;
    (1..=last).for_each(|n| drop(publish(&configuration, &home, &n.to_string())));
    let history = configuration.history().unwrap();
    let sets: Vec<u64> = history.iter().map(|past| past.manifest.set).collect();
    assert_eq!(sets, (6..=last).rev().collect::<Vec<_>>());
    assert!(history[0].is_current && history[0].is_good && !history[1].is_current && !history[1].is_good);
    assert_eq!((history[0].manifest.made_by.as_str(), history[0].manifest.repeats), ("me", None));
    assert!(history[0].manifest.made_at_s > 1_700_000_000);

    let diff = configuration.diff(24, 25).unwrap();
    assert!(diff.contains("-<title>24</title>\n+<title>25</title>\n"), "{diff}");
    let back = configuration.roll_back(10, "you").unwrap();
    assert_eq!((back.set, back.is_changed), (last + 1, true));
    assert_eq!(configuration.diff(10, last + 1).unwrap(), "");
    let newest = &configuration.history().unwrap()[0];
    assert_eq!((newest.manifest.made_by.as_str(), newest.manifest.repeats), ("you", Some(10)));
    assert_eq!(configuration.current().unwrap().unwrap().manifest, newest.manifest);
    let error = configuration.roll_back(1, "you").unwrap_err();
    assert_eq!(error.to_string(), "there is no set 1");
}

#[test]
fn a_publication_ends_a_roll_back_even_if_it_comes_to_the_same_files() {
    let home = Home::new();
    let configuration = open(&home);
    for title in ["a", "b"] {
        publish(&configuration, &home, title);
    }
    assert_eq!(configuration.repeats().unwrap(), None);
    configuration.roll_back(1, "me").unwrap();
    assert_eq!(configuration.repeats().unwrap(), Some(1));
    let upheld = configuration.uphold().unwrap();
    assert_eq!((upheld.set, upheld.is_changed, configuration.repeats().unwrap()), (3, false, Some(1)));
    let published = publish(&configuration, &home, "a");
    assert_eq!((published.set, published.before, published.is_changed), (4, Some(3), true));
    assert_eq!(configuration.change(&published).unwrap(), "");
    assert_eq!(configuration.repeats().unwrap(), None);
    configuration.roll_back(2, "me").unwrap();
    assert_eq!(configuration.publish_anew(&home.site("b"), "me").unwrap().set, 6);
    assert_eq!(configuration.repeats().unwrap(), None);
    let published = publish(&configuration, &home, "c");
    assert_eq!(configuration.change(&published).unwrap(), configuration.diff(6, 7).unwrap());
}

#[test]
fn an_earlier_set_is_checked_before_it_is_brought_back() {
    let home = Home::new();
    for title in ["b", "a"] {
        publish(&open(&home), &home, title);
    }
    let refusing = "grep -q '<title>a</title>' ${3%/*}/pages/default.html && \
                    { echo '[ALERT] (1) : config : no more' >&2; exit 1; }; exit 0";
    let configuration = home.open(stand_in(&home.path(""), refusing), Control::Nobody).unwrap();
    publish(&configuration, &home, "c");
    let before = home.listing();
    let error = configuration.roll_back(2, "me").unwrap_err();
    assert_eq!(error.to_string(), "HAProxy refuses the configuration: no more");
    assert_eq!(home.listing(), before);
    assert!(configuration.roll_back(1, "me").unwrap().is_changed);
}

#[test]
fn a_damaged_set_is_told_and_not_brought_back() {
    let home = Home::new();
    let configuration = open(&home);
    for title in ["a", "b"] {
        publish(&configuration, &home, title);
    }
    let main = home.sets().join("sets/1/haproxy.cfg");
    fs::write(&main, fs::read_to_string(&main).unwrap() + "# more\n").unwrap();
    let error = configuration.roll_back(1, "me").unwrap_err();
    assert_eq!(error.to_string(), "set 1 is damaged: its files are not those that were published");
    fs::write(home.sets().join("sets/1/manifest.json"), "{}").unwrap();
    assert!(matches!(configuration.roll_back(1, "me"), Err(PublishError::Damaged { set: 1, .. })));

    fs::write(home.sets().join("sets/2/pages/default.html"), "").unwrap();
    assert!(matches!(configuration.current(), Err(PublishError::Damaged { set: 2, .. })));
    let cured = publish(&configuration, &home, "b");
    assert_eq!((cured.set, cured.is_changed), (3, true));
}

#[test]
fn numbers_are_never_given_again() {
    let home = Home::new();
    publish(&open(&home), &home, "a");
    let refusing = home.open(stand_in(&home.path(""), "exit 1"), Control::Nobody).unwrap();
    let error = refusing.publish(&home.site("b"), "me").unwrap_err().to_string();
    assert_eq!(error, "HAProxy refuses the configuration: it does not say why");
    assert_eq!(publish(&open(&home), &home, "b").set, 3);
}

#[test]
fn what_was_left_behind_is_removed() {
    let home = Home::new();
    publish(&open(&home), &home, "a");
    let clean = home.listing();
    for dir in [".7.new", ".3.old"] {
        fs::create_dir_all(home.sets().join("sets").join(dir).join("pages")).unwrap();
        fs::write(home.sets().join("sets").join(dir).join("pages/x"), "x").unwrap();
    }
    std::os::unix::fs::symlink("sets/7", home.sets().join(".current.new")).unwrap();
    fs::write(home.sets().join(".number.new"), "7").unwrap();
    open(&home);
    assert_eq!(home.listing(), clean);
}

#[test]
fn processes_take_turns_and_do_not_wait_for_ever() {
    let home = Home::new();
    let slow = home
        .open(
            stand_in(
                &home.path(""),
                "touch ${0%/*}/checking; while [ ! -e ${0%/*}/go ]; do sleep 0.01; done",
            ),
            Control::Nobody,
        )
        .unwrap();
    let turn = Duration::from_millis(50);
    let hasty = Settings {
        dir: home.sets(),
        templates: None,
        program: Program::new("unused"),
        control: Control::Nobody,
        patience: Patience { turn, ..Patience::default() },
    };
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| slow.publish(&home.site("a"), "me"));
        eventually("a check", || home.path("checking").exists().then_some(()));
        let error = Configuration::open(hasty).unwrap_err();
        assert!(matches!(error, PublishError::Busy), "{error}");
        let second = scope.spawn(|| publish(&slow, &home, "b").set);
        assert!(!publishing.is_finished() && !second.is_finished());
        std::fs::write(home.path("go"), "").unwrap();
        assert_eq!((publishing.join().unwrap().unwrap().set, second.join().unwrap()), (1, 2));
    });
}

#[test]
fn a_check_that_takes_too_long_is_given_up() {
    let home = Home::new();
    let configuration = Configuration::open(Settings {
        dir: home.sets(),
        templates: None,
        program: stand_in(&home.path(""), "sleep 1000"),
        control: Control::Nobody,
        patience: Patience { check: Duration::from_millis(200), ..Patience::default() },
    });
    let configuration = configuration.unwrap();
    let (before, began) = (home.listing(), Instant::now());
    let error = configuration.publish(&home.site("a"), "me").unwrap_err();
    assert!(matches!(error, PublishError::Program(_)), "{error}");
    assert!(began.elapsed() < Duration::from_secs(500));
    assert_eq!(home.listing(), before);
}

#[test]
fn a_file_for_the_state_of_servers_is_there_before_haproxy_looks_for_it() {
    let home = Home::new();
    let state = home.path("servers.state");
    let with_state = |path: &std::path::Path| {
        let mut json = home.json("a");
        json["global"]["server_state_file"] = json!(path);
        site(json)
    };
    let program = stand_in(&home.path(""), &format!("test -s {}", state.display()));
    let configuration = home.open(program, Control::Nobody).unwrap();
    configuration.check(&with_state(&state)).unwrap_err();
    assert!(!state.exists(), "a check makes nothing");
    configuration.publish(&with_state(&state), "me").unwrap();
    assert_eq!(fs::read_to_string(&state).unwrap(), "1\n");
    let error = configuration.publish(&with_state("/none/state".as_ref()), "me").unwrap_err().to_string();
    assert_eq!(error, "/none/state: No such file or directory (os error 2)");
    let own = configuration.publish(&with_state(&home.sets().join("number")), "me").unwrap_err().to_string();
    assert!(own.ends_with(&format!("/number: {} is the manager's own", home.sets().display())), "{own}");
}
