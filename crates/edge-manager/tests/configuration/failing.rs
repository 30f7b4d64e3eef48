//! What `haproxy -c` takes and HAProxy does not run: the last good configuration is in force still or again.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use edge_manager::configuration::{PublishError, Serving};
use edge_manager::haproxy::{Control, Enforcement};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::client::{Steady, eventually};
use crate::home::{Home, Supervised, site};
use crate::programs::{self, Series};

/// HAProxy with "good" in force.
fn good<'a>(home: &'a Home, series: &Series) -> Supervised<'a> {
    let edge = home.supervised(series);
    edge.publish("good").unwrap();
    edge
}

/// Publishes "bad", which fails, and then something good; what the error says.
fn failure(home: &Home, edge: &Supervised<'_>, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let before = home.listing();
    let mut bad = home.json("bad");
    change(&mut bad);
    let error = edge.configuration.publish(&site(bad), "test").unwrap_err();
    let words = error.to_string();
    if let PublishError::NotRunning { serving, .. } = error {
        assert_eq!(serving, Serving::LastGood(1), "{words}");
        assert!(words.ends_with("; the last good configuration, set 1, serves on"), "{words}");
    }
    assert!(!words.contains('\n') && words.len() < 4000, "{words}");
    assert_eq!(home.listing(), before, "{words}");
    eventually("the good one serves", || (home.title().ok()? == "good").then_some(()));
    home.without_templates();
    let next = edge.publish("next").unwrap();
    assert_eq!((next.set > 1, next.enforcement), (true, Enforcement::InForce), "{words}");
    assert_eq!(home.title().unwrap(), "next");
    words
}

#[test]
fn a_socket_that_cannot_be_bound_leaves_the_old_worker_serving() {
    for series in programs::all() {
        let home = Home::new();
        let edge = good(&home, series);
        let master_pid = edge.master_pid();
        let client = Steady::start(home.web());
        let words = failure(&home, &edge, |json| json["global"]["stats_socket"] = json!("/none/edge.sock"));
        assert!(words.starts_with("HAProxy does not reload: "), "{words}");
        assert!(words.contains("cannot bind UNIX socket") && words.contains("/none/edge.sock"), "{words}");
        assert!(words.contains("(the line is: stats socket /none/edge.sock level admin "), "{words}");
        assert_eq!(client.stop(), Vec::<String>::new(), "{series:?}");
        assert_eq!(edge.master_pid(), master_pid);
    }
}

#[test]
fn haproxy_is_led_back_to_a_good_set_that_somebody_has_edited() {
    let home = Home::new();
    let edge = good(&home, programs::installed());
    let path = home.sets().join("sets/1/haproxy.cfg");
    let cfg = fs::read_to_string(&path).unwrap();
    fs::write(&path, cfg.replace("good", "edited")).unwrap();
    let mut bad = home.json("bad");
    bad["global"]["stats_socket"] = json!("/none/edge.sock");
    kill_process(Pid::from_raw(edge.master_pid().cast_signed()).unwrap(), Signal::KILL).unwrap();
    let error = edge.configuration.publish(&site(bad), "test").unwrap_err();
    assert!(matches!(error, PublishError::NotRunning { serving: Serving::LastGood(1), .. }), "{error}");
    eventually("it serves again", || home.title().ok());
}

#[test]
fn a_port_in_use_is_seen_before_haproxy_stops_listening_for_it() {
    for series in programs::all() {
        let home = Home::new();
        let edge = good(&home, series);
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let client = Steady::start(home.web());
        let words = failure(&home, &edge, |json| json["global"]["stats_bind"] = json!(address));
        let expected = format!("bind {address}: another program listens there");
        assert!(words.ends_with(&expected), "{words}");
        assert_eq!(client.stop(), Vec::<String>::new(), "{series:?}");
    }
}

#[test]
fn a_port_in_use_that_only_haproxy_sees_is_told() {
    for series in programs::all() {
        let home = Home::new();
        let edge = good(&home, series);
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        home.template("limits.cfg.j2", &format!("frontend taken\n  bind 127.0.0.1:{port}-{port}\n"));
        home.template("web.cfg.j2", &web(&home));
        let words = failure(&home, &edge, |_| {});
        assert!(words.starts_with("HAProxy does not reload: "), "{words}");
        assert!(words.contains("cannot bind socket") && words.contains(&port.to_string()), "{words}");
    }
}

/// A frontend without the tables of `limits.cfg.j2`.
fn web(home: &Home) -> String {
    format!("frontend edge_web\n  bind {}\n  default_backend edge_default\n", home.web())
}

/// A script for Lua, loaded by each thread.
fn script(home: &Home, name: &str, text: &str) {
    let path = home.path(name);
    fs::write(&path, text).unwrap();
    home.global_template(&format!("  nbthread 2\n  lua-load-per-thread {}", path.display()));
}

#[test]
fn a_script_that_fails_in_another_thread_is_told() {
    for series in programs::all() {
        let home = Home::new();
        let edge = good(&home, series);
        let client = Steady::start(home.web());
        script(&home, "two.lua", "if core.thread == 2 then require('no_such_module') end\n");
        let words = failure(&home, &edge, |_| {});
        assert!(words.contains("no_such_module"), "{words}");
        assert_eq!(client.stop(), Vec::<String>::new(), "{series:?}");
    }
}

#[test]
fn a_script_that_fails_at_the_start_is_told() {
    for series in programs::all() {
        let home = Home::new();
        let edge = good(&home, series);
        let client = Steady::start(home.web());
        script(&home, "init.lua", "core.register_init(function() error('no luck') end)\n");
        let words = failure(&home, &edge, |_| {});
        assert!(words.contains("no luck"), "{words}");
        assert_eq!(client.stop(), Vec::<String>::new(), "{series:?}");
    }
}

#[test]
fn a_worker_that_ends_at_once_leads_back_to_the_good_configuration() {
    for series in programs::all() {
        let home = Home::new();
        let edge = good(&home, series);
        script(&home, "end.lua", "core.register_task(function() os.exit(3) end)\n");
        // HAProxy ends all its workers when one fails, and is started again with the good configuration.
        let words = failure(&home, &edge, |_| {});
        assert!(words.contains("ended") || words.contains("exited with status"), "{words}");
    }
}

#[test]
fn a_worker_without_the_filter_that_is_configured_is_no_good_one() {
    for series in programs::all() {
        let home = Home::new();
        let edge = good(&home, series);
        script(&home, "edge_filter.lua", "");
        let words = failure(&home, &edge, |_| {});
        assert!(words.starts_with("the filter is not at work in its worker: "), "{words}");
        let answer = "function(applet) applet:send('revision 1\\n') end";
        let text = format!("core.register_cli({{'edge', 'sync'}}, 'edge sync', {answer})\n");
        script(&home, "edge_filter.lua", &text);
        assert_eq!(edge.publish("filtering").unwrap().enforcement, Enforcement::InForce, "{series:?}");
    }
}

#[test]
fn a_directory_to_be_locked_in_must_be_there() {
    let home = Home::new();
    let edge = good(&home, programs::installed());
    let words = failure(&home, &edge, |json| json["global"]["chroot"] = json!("/none"));
    assert!(words.ends_with("chroot /none: there is no such directory"), "{words}");
}

#[test]
fn a_first_configuration_that_fails_leaves_none() {
    let home = Home::new();
    let edge = home.supervised(programs::installed());
    let before = home.listing();
    let mut bad = home.json("bad");
    bad["global"]["stats_socket"] = json!("/none/edge.sock");
    let error = edge.configuration.publish(&site(bad), "test").unwrap_err();
    let PublishError::NotRunning { serving, cause, said } = &error else { panic!("{error}") };
    assert_eq!((serving, cause.as_str()), (&Serving::Nothing, "HAProxy exited with status 1"));
    assert!(said.iter().any(|said| said.contains("/none/edge.sock")), "{error}");
    assert_eq!(home.listing(), before);
    assert_eq!(edge.publish("good").unwrap().enforcement, Enforcement::InForce);
}

#[test]
fn a_certificate_that_has_vanished_stops_no_haproxy() {
    let home = Home::new();
    let edge = home.supervised(programs::installed());
    let certificate = home.path("certificate.pem");
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/render/certificate.pem");
    fs::copy(shipped, &certificate).unwrap();
    let mut json = home.json("good");
    let https = crate::home::Port::reserve();
    json["global"]["https_bind"] = json!([https.address.to_string()]);
    json["domains"][0]["ssl_enabled"] = json!(true);
    json["domains"][0]["ssl_cert_path"] = json!(certificate);
    edge.configuration.publish(&site(json), "test").unwrap();
    fs::remove_file(&certificate).unwrap();
    let before = home.listing();
    let error = edge.configuration.reload().unwrap_err();
    assert!(matches!(error, PublishError::Refused(_)), "{error}");
    assert!(error.to_string().contains(certificate.to_str().unwrap()), "{error}");
    assert_eq!((home.listing(), home.title().unwrap()), (before, "good".to_owned()));
}

/// As whoever publishes leaves it that is killed after the link has been led to the new set, which `haproxy -c` takes.
fn unproven(home: &Home, change: impl FnOnce(&mut serde_json::Value)) {
    let mut json = home.json("unproven");
    change(&mut json);
    let configuration = home.open(programs::installed().program(), Control::Nobody).unwrap();
    assert_eq!(configuration.publish(&site(json), "test").unwrap().set, 2);
    fs::remove_file(home.sets().join("good")).unwrap();
    symlink("sets/1", home.sets().join("good")).unwrap();
}

#[test]
fn a_set_that_haproxy_cannot_start_with_gives_way_to_the_good_one() {
    for series in programs::all() {
        let home = Home::new();
        let edge = good(&home, series);
        edge.supervisor.stop();
        drop(edge);
        unproven(&home, |json| json["global"]["stats_socket"] = json!("/none/edge.sock"));
        let edge = home.supervised(series);
        edge.configuration.recover().unwrap();
        assert_eq!(link(&home, "current"), link(&home, "good"));
        assert_eq!(home.title().unwrap(), "good", "{series:?}");
    }
}

#[test]
fn a_set_that_haproxy_starts_with_is_good_and_one_that_it_never_read_gives_way() {
    let home = Home::new();
    let edge = good(&home, programs::installed());
    unproven(&home, |_| {});
    let worker = home.master().processes().unwrap().workers;
    edge.configuration.recover().unwrap();
    assert_eq!((link(&home, "current"), link(&home, "good")), ("sets/1".into(), "sets/1".into()));
    assert_eq!(home.master().processes().unwrap().workers, worker, "it runs the good one");

    edge.supervisor.stop();
    drop(edge);
    fs::remove_file(home.sets().join("current")).unwrap();
    symlink("sets/2", home.sets().join("current")).unwrap();
    let edge = home.supervised(programs::installed());
    edge.configuration.recover().unwrap();
    assert_eq!((link(&home, "current"), link(&home, "good")), ("sets/2".into(), "sets/2".into()));
    assert_eq!(home.title().unwrap(), "unproven");
}

fn link(home: &Home, name: &str) -> PathBuf {
    fs::read_link(home.sets().join(name)).unwrap()
}
