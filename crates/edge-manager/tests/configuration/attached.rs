//! HAProxy, run by somebody else.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use edge_manager::haproxy::{Control, Enforcement};

use crate::client::{PATIENCE, Steady, eventually};
use crate::home::Home;
use crate::programs::{self, Series};

/// As an init system starts it.
struct Foreign(Child);

impl Foreign {
    fn start(series: &Series, home: &Home, configuration: &Path) -> Self {
        let socket = format!("{},level,admin", home.sets().join("master.sock").display());
        let mut command = Command::new(&series.path);
        command.args(["-W", "-S", &socket, "-f"]).arg(configuration);
        command.env("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin").stderr(Stdio::null());
        let started = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
        eventually("a worker", || home.master().worker_set().ok());
        started
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // Its workers end when they lose it. It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_is_published_before_haproxy_is_there_waits_for_it() {
    for series in programs::all() {
        let home = Home::new();
        let configuration = home.open(series.program(), Control::Attached(home.master())).unwrap();
        let reason = format!("no HAProxy listens at {}", home.sets().join("master.sock").display());
        let stored = Enforcement::StoredNotEnforced { reason };
        for (title, set, is_changed) in [("a", 1, true), ("a", 1, false), ("b", 2, true)] {
            let published = configuration.publish(&home.site(title), "test").unwrap();
            assert_eq!((published.set, published.is_changed), (set, is_changed));
            assert_eq!(published.enforcement, stored);
        }
        let good = || std::fs::read_link(home.sets().join("good")).unwrap();
        assert_eq!(good(), *"sets/1", "nobody has run the next one");

        let _haproxy = Foreign::start(series, &home, &home.sets().join("current/haproxy.cfg"));
        assert_eq!(home.title().unwrap(), "b", "{series:?}");
        let client = Steady::start(home.web());
        let same = configuration.publish(&home.site("b"), "test").unwrap();
        assert_eq!((same.set, same.is_changed, same.enforcement), (2, false, Enforcement::InForce));
        assert_eq!(good(), *"sets/2");
        let next = configuration.publish(&home.site("c"), "test").unwrap();
        assert_eq!((next.set, next.enforcement), (3, Enforcement::InForce), "{series:?}");
        assert_eq!(home.title().unwrap(), "c");
        assert_eq!(client.stop(), Vec::<String>::new(), "{series:?}");
    }
}

#[test]
fn a_haproxy_on_another_configuration_is_told_and_what_is_published_is_kept() {
    let home = Home::new();
    let series = programs::installed();
    let configuration = home.open(series.program(), Control::Attached(home.master())).unwrap();
    let files = edge_manager::configuration::render(&home.site("other"), None, &series.program()).unwrap();
    let dir = home.path("other");
    for (path, contents) in files.files() {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }
    let _haproxy = Foreign::start(series, &home, &dir.join("haproxy.cfg"));
    let worker = home.master().processes().unwrap().workers;
    let stored = |cause: &str| {
        let socket = home.sets().join("master.sock");
        let reason = format!("HAProxy at {} reads other files: {cause}", socket.display());
        Enforcement::StoredNotEnforced { reason }
    };
    let other = stored("its worker runs another configuration than that of the link `current`");
    for (title, set, is_changed) in [("a", 1, true), ("b", 2, true), ("b", 2, false)] {
        let published = configuration.publish(&home.site(title), "test").unwrap();
        assert_eq!((published.set, published.is_changed), (set, is_changed));
        assert_eq!(published.enforcement, other);
    }
    configuration.recover().unwrap();
    assert_eq!(configuration.current().unwrap().unwrap().manifest.set, 2, "it is kept");
    assert_eq!(home.title().unwrap(), "other");
    assert_eq!(home.master().processes().unwrap().workers, worker, "nobody was reloaded");
    assert_eq!(configuration.reload().unwrap().enforcement, other);

    // As that of another manager: it has numbers of its own.
    let main = dir.join("haproxy.cfg");
    let text = std::fs::read_to_string(&main).unwrap() + "\nglobal\n  setenv MANAGER_SET 7\n";
    std::fs::write(&main, text).unwrap();
    home.master().reload(Instant::now() + PATIENCE, || false).unwrap();
    eventually("its number", || home.master().worker_set().ok().flatten().filter(|set| *set == 7));
    let published = configuration.publish(&home.site("c"), "test").unwrap();
    assert_eq!((published.set, published.enforcement), (3, stored("its worker runs set 7")));
    assert_eq!(configuration.current().unwrap().unwrap().manifest.set, 3);
}

#[test]
fn without_haproxy_files_are_all_there_is() {
    let home = Home::new();
    let configuration = home.open(programs::installed().program(), Control::Nobody).unwrap();
    let published = configuration.publish(&home.site("a"), "test").unwrap();
    let stored = Enforcement::StoredNotEnforced { reason: "no HAProxy is attached".to_owned() };
    assert_eq!((published.set, published.enforcement), (1, stored));
    assert!(home.sets().join("current/pages/default.html").is_file());
}
