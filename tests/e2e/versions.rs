//! What an operator sees on a HAProxy of a series that was tried, and of one that was not.

use edge_e2e::{Answer, Backend, Edge, Mode, Request, Version};

/// The lines that say that the converters run in Lua.
fn lines_on_lua(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("the converters run in Lua")).collect()
}

#[test]
fn an_untried_series_gets_lua_converters_and_one_line_on_it() {
    let Version(major, minor) = Version::under_test();
    for mode in [Mode::DEFAULT, Mode { per_thread: false, ..Mode::DEFAULT }, Mode::WORKER] {
        let backend = Backend::start();
        let edge = Edge::before(&backend, mode).list("blocked_ips.map", "203.0.113.0/24\n").start();
        backend.answer("/yeet", Answer::teaching("false"));
        assert!(edge.refuses(&Request::get("/yolo").forwarded_for("203.0.113.9")));
        assert!(!edge.refuses(&Request::get("/yeet")));
        assert!(edge.refuses(&Request::get("/yeet")));

        let log = edge.haproxy().log();
        let native = edge.metrics().sum("edge_filter_native", &[]);
        if mode.runs_native() {
            assert_eq!((native, lines_on_lua(&log)), (1.0, vec![]), "{log}");
        } else {
            assert_eq!((native, lines_on_lua(&log).len()), (0.0, 1), "{log}");
            let series = format!("HAProxy {major}.{minor}.");
            assert!(lines_on_lua(&log)[0].contains(&series), "{log}");
        }
    }
}

/// Who switches native converters off knows it.
#[test]
fn lua_converters_on_demand_are_not_remarked_on() {
    let backend = Backend::start();
    let edge = Edge::before(&backend, Mode { native: false, ..Mode::DEFAULT }).start();
    assert_eq!(edge.metrics().sum("edge_filter_native", &[]), 0.0);
    assert_eq!(lines_on_lua(&edge.haproxy().log()), [""; 0]);
}
