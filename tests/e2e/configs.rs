//! Every shipped configuration is one that HAProxy takes, and bad settings are refused at start.

use std::fs;

use edge_e2e::{Answer, Backend, Edge, Mode, Request, in_every_mode, shipped};

in_every_mode!(every_shipped_configuration_is_valid, the_minimal_configuration_filters);

fn every_shipped_configuration_is_valid(mode: Mode) {
    let backend = Backend::start();
    let mut checked = 0;
    for entry in fs::read_dir(shipped("haproxy")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".cfg") {
            continue;
        }
        let outcome = Edge::before(&backend, mode).config(&name).check();
        assert!(outcome.valid, "{name}: {}", outcome.log);
        let lua_converters = |line: &&str| line.contains("the converters run in Lua");
        let (in_lua, other): (Vec<&str>, Vec<&str>) = outcome.log.lines().partition(lua_converters);
        assert_eq!(in_lua.len(), usize::from(mode.native && !mode.runs_native()), "{name}: {in_lua:?}");
        for word in ["[WARNING]", "[ALERT]", "Edge Filter:"] {
            assert!(!other.iter().any(|line| line.contains(word)), "{name}: {}", outcome.log);
        }
        checked += 1;
    }
    assert!(checked >= 3);
}

fn the_minimal_configuration_filters(mode: Mode) {
    let backend = Backend::start();
    let edge =
        Edge::before(&backend, mode).config("minimal.cfg").list("blocked_ips.map", "127.0.0.2\n").start();
    backend.answer("/yeet", Answer::teaching("false"));
    assert!(edge.get("/yeet").is_from_backend());
    assert_eq!(edge.get("/yeet").status, 403);
    assert!(!edge.refuses(&Request::get("/yolo")));
    assert!(edge.refuses(&Request::get("/yolo").from("127.0.0.2".parse().unwrap())));
}

/// Bad settings are refused before anything listens, in words that name the setting, once.
fn assert_stops(setting: &str, value: &str, named: &[&str]) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, Mode::DEFAULT).setting(setting, value);
    let failure = edge.try_start().err().unwrap_or_else(|| panic!("HAProxy started with {setting}={value}"));
    assert!(failure.status.is_some_and(|status| status.code() == Some(1)), "{setting}={value}: {failure:?}");
    let naming: Vec<&str> = failure.log.lines().filter(|line| line.contains(setting)).collect();
    assert_eq!(naming.len(), 1, "{setting}={value}: {}", failure.log);
    for word in named {
        assert!(naming[0].contains(word), "{word:?} is not in {:?}", naming[0]);
    }
}

#[test]
fn bad_numbers_stop_haproxy() {
    for setting in [
        "EDGE_LEARN_TTL",
        "EDGE_MAX_TTL",
        "EDGE_MAX_LEARNED",
        "EDGE_MAX_LEARNED_PER_HOST",
        "EDGE_MAX_RULES",
        "EDGE_MAX_PATH_BYTES",
    ] {
        for value in ["many", "-1", "0", "99999999999999999999"] {
            assert_stops(setting, value, &[value]);
        }
    }
}

#[test]
fn bad_words_stop_haproxy() {
    assert_stops("EDGE_PATH_PARAMS", "maybe", &["maybe", "keep", "drop"]);
    assert_stops("EDGE_DEFAULT_STATUS", "200", &["200", "400", "599"]);
    assert_stops("EDGE_SESSION_COOKIES", "two words", &["two words"]);
}

/// The harness itself sets `EDGE_NATIVE`; the later one counts.
#[test]
fn a_bad_native_switch_stops_haproxy() {
    assert_stops("EDGE_NATIVE", "perhaps", &["perhaps", "on", "off"]);
}

#[test]
fn missing_files_stop_haproxy() {
    for setting in ["EDGE_BLOCK_FILES", "EDGE_ALLOW_FILES", "EDGE_RESOURCE_FILES", "EDGE_BACKEND_FILE"] {
        assert_stops(setting, "/nonexistent/list", &["/nonexistent/list"]);
    }
}

#[test]
fn a_bad_backend_file_stops_haproxy() {
    for line in ["shop hosts", "shop max-ttl=soon", "shop everything", "shop hosts=a b=c"] {
        let backend = Backend::start();
        let edge = Edge::before(&backend, Mode::DEFAULT).list("backends.lst", &format!("# one\n{line}\n"));
        let failure = edge.try_start().err().unwrap_or_else(|| panic!("HAProxy started with {line:?}"));
        assert!(failure.log.contains("backends.lst: line 2:"), "{line}: {}", failure.log);
    }
}

#[test]
fn an_unknown_setting_is_warned_of() {
    let backend = Backend::start();
    let outcome = Edge::before(&backend, Mode::DEFAULT).setting("EDGE_LEARN_TTTL", "60").check();
    assert!(outcome.valid);
    assert_eq!(outcome.log.matches("EDGE_LEARN_TTTL").count(), 1, "{}", outcome.log);
}

#[test]
fn path_parameters_can_be_dropped() {
    for (value, refused) in [("keep", false), ("drop", true)] {
        let backend = Backend::start();
        let edge = Edge::before(&backend, Mode::DEFAULT)
            .list("resources.lst", "/yeet\n")
            .setting("EDGE_PATH_PARAMS", value)
            .start();
        assert_eq!(edge.refuses(&Request::get("/yeet;jsessionid=1")), refused, "{value}");
    }
}
