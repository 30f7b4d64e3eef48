use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::*;

/// A directory of ours, below one in which everybody may write: /tmp.
fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn named(dir: &Path) -> NamedPaths {
    let mut named = NamedPaths::default();
    named.allow([dir.to_owned()]);
    named
}

fn refusal(named: &NamedPaths, path: &Path) -> String {
    named.check(MODULE_DIR, path.to_str().unwrap()).unwrap_err()
}

#[test]
fn a_path_below_a_named_directory_may_be_named_and_no_other() {
    let home = dir();
    let (lists, other) = (home.path().join("lists"), home.path().join("lists-of-others"));
    fs::create_dir(&lists).unwrap();
    fs::create_dir(&other).unwrap();
    let paths = named(&lists);
    for good in ["", "a.lst", "not/there/yet"] {
        paths.check(MODULE_DIR, lists.join(good).to_str().unwrap()).unwrap();
    }
    for bad in [other, lists.join("../lists-of-others"), home.path().to_owned(), "/".into(), "lists".into()] {
        assert!(refusal(&paths, &bad).contains("--allow-dir"), "{}", bad.display());
    }
}

#[test]
fn nothing_on_the_way_may_be_writable_for_others() {
    let home = dir();
    let (lists, file) = (home.path().join("lists"), home.path().join("lists/a.lst"));
    fs::create_dir(&lists).unwrap();
    fs::write(&file, "").unwrap();
    let paths = named(home.path());
    for (mode_of_dir, mode_of_file) in
        [(0o777, 0o644), (0o775, 0o644), (0o755, 0o666), (0o755, 0o664), (0o2770, 0o600)]
    {
        set_mode(&lists, mode_of_dir);
        set_mode(&file, mode_of_file);
        let refused = refusal(&paths, &file);
        assert!(
            refused.starts_with("can be changed by other users: "),
            "{mode_of_dir:o} {mode_of_file:o} {refused}"
        );
    }
    // Nobody else can replace the file there, but anybody can make another one.
    set_mode(&lists, 0o1777);
    set_mode(&file, 0o644);
    paths.check(MODULE_DIR, file.to_str().unwrap()).unwrap();
    assert!(refusal(&paths, &lists).starts_with("can be changed by other users: "));
}

#[test]
fn links_are_followed_and_each_of_them_is_looked_at() {
    let (home, elsewhere) = (dir(), dir());
    let open = elsewhere.path().join("open");
    fs::create_dir(&open).unwrap();
    set_mode(&open, 0o777);
    let paths = named(home.path());
    symlink(&open, home.path().join("out")).unwrap();
    symlink(home.path().join("out"), home.path().join("over")).unwrap();
    symlink(elsewhere.path(), home.path().join("good")).unwrap();
    symlink("round", home.path().join("round")).unwrap();
    for bad in ["out", "over", "over/not-there-yet", "good/open"] {
        let refused = refusal(&paths, &home.path().join(bad));
        assert!(refused.contains("/open has the mode 777"), "{bad}: {refused}");
    }
    paths.check(MODULE_DIR, home.path().join("good").to_str().unwrap()).unwrap();
    assert!(refusal(&paths, &home.path().join("round")).contains("too many"));
}

#[test]
fn what_another_user_owns_is_refused() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let home = dir();
    let (lists, link) = (home.path().join("lists"), home.path().join("link"));
    fs::create_dir(&lists).unwrap();
    chown(&lists, Some(65_534), None).unwrap();
    symlink("/etc", &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(65_534), None).unwrap();
    for path in [lists, link.clone(), link.join("hosts")] {
        let refused = refusal(&named(home.path()), &path);
        assert!(refused.contains("belongs to user 65534"), "{refused}");
    }
}

fn global(json: serde_json::Value) -> SiteInput {
    SiteInput { global: serde_json::from_value(json).unwrap(), ..SiteInput::default() }
}

/// Every global setting that names a path, with one of another user.
fn foreign() -> Vec<serde_json::Value> {
    let filter = |name: &str, value: &str| serde_json::json!({"filter": {"module_dir": "/named/module", "settings": [{"name": name, "value": value}]}});
    vec![
        serde_json::json!({"stats_socket": "/home/nobody/x"}),
        serde_json::json!({"server_state_file": "/home/nobody/x"}),
        serde_json::json!({"log": "/home/nobody/x"}),
        serde_json::json!({"filter": {"module_dir": "/home/nobody"}}),
        serde_json::json!({"filter": {"module_dir": "/named/module", "state_dir": "/home/nobody"}}),
        filter("EDGE_BLOCK_FILES", "/home/nobody/x"),
        filter("EDGE_ALLOW_FILES", "/named/module/a,/home/nobody/x"),
        filter("EDGE_RESOURCE_FILES", "/named/module/a:/home/nobody/x"),
        filter("EDGE_ALLOW_FILES", "x"),
        filter("EDGE_SOMETHING_NEW", "/home/nobody/x"),
    ]
}

#[test]
fn every_setting_that_names_a_path_is_looked_at() {
    let mut paths = NamedPaths::default();
    paths.allow_setting(MODULE_DIR, Path::new("/named/module"));
    paths.allow(["/named/module".into()]);
    for json in foreign() {
        let refused =
            paths.check_change(&SiteInput::default(), &global(json.clone())).unwrap_err().to_string();
        assert!(refused.starts_with("global.") && refused.contains("--allow-dir"), "{json} {refused}");
    }
    for good in ["{}", r#"{"log": "/dev/log"}"#, r#"{"log": "192.0.2.1:514"}"#, r#"{"chroot": "/usr"}"#] {
        let json = serde_json::from_str(good).unwrap();
        paths.check_change(&SiteInput::default(), &global(json)).unwrap();
    }
}

#[test]
fn the_file_of_the_command_line_names_what_is_in_it_for_its_setting_alone() {
    let mut paths = NamedPaths::default();
    for json in foreign() {
        paths.allow_all_of(&global(json).global);
    }
    for json in foreign() {
        paths.check_change(&SiteInput::default(), &global(json)).unwrap();
    }
    let swapped = serde_json::json!({"server_state_file": "/home/nobody"});
    assert!(paths.check_change(&SiteInput::default(), &global(swapped)).is_err());
}

#[test]
fn what_the_record_names_for_another_user_is_taken_out_and_the_rest_stays() {
    let home = dir();
    let open = home.path().join("open");
    fs::create_dir(&open).unwrap();
    set_mode(&open, 0o777);
    let input = global(serde_json::json!({
        "maxconn": 7, "stats_socket": open.join("s"), "server_state_file": open.join("f"), "chroot": open, "log": open.join("l"),
        "filter": {"module_dir": open, "state_dir": open, "settings": [
            {"name": "EDGE_BLOCK_FILES", "value": open.join("b")}, {"name": "EDGE_LEARN_TTL", "value": "60"},
        ]},
    }));
    let default =
        FilterInput { module_dir: "/m".into(), state_dir: Some("/s".into()), ..FilterInput::default() };
    let mut paths = NamedPaths::default();
    paths.allow_setting(MODULE_DIR, Path::new("/m"));
    let mut with_default = input.global.clone();
    let refused = paths.take_out(&mut with_default, Some(&default));
    let fields: Vec<_> = refused.iter().map(|refused| refused.field.as_str()).collect();
    let expected = [
        "global.stats_socket",
        "global.server_state_file",
        "global.chroot",
        "global.log",
        "global.filter.module_dir",
        "global.filter.state_dir",
        "global.filter.settings[EDGE_BLOCK_FILES]",
    ];
    assert_eq!(fields, expected);
    let settings = vec![SettingInput { name: "EDGE_LEARN_TTL".into(), value: "60".into() }];
    let filter = Some(FilterInput { settings, ..default });
    assert_eq!(with_default, GlobalInput { maxconn: Some(7), filter, ..GlobalInput::default() });
    let mut without = input.global;
    paths.take_out(&mut without, None);
    assert_eq!(without, GlobalInput { maxconn: Some(7), ..GlobalInput::default() });
}
