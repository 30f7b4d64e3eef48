//! The process that publishes is killed with SIGKILL: `current` leads to a whole set, and the next one cleans up.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use edge_manager::configuration::{Configuration, Patience, Settings};
use edge_manager::haproxy::{Control, Master, Program};
use serde_json::{Value, json};

use crate::client::eventually;
use crate::home::{Home, site, stand_in};

/// What the child is to do, as JSON; without it the test that is the child does nothing.
const ORDER: &str = "EDGE_MANAGER_TEST_ORDER";

#[test]
fn child_that_publishes() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let order: Value = serde_json::from_str(&order).unwrap();
    let path = |name: &str| order[name].as_str().map(PathBuf::from);
    let settings = Settings {
        dir: path("sets").unwrap(),
        templates: None,
        program: Program::new(path("program").unwrap()),
        control: path("master").map_or(Control::Nobody, |socket| Control::Attached(Master::at(socket))),
        patience: Patience::default(),
    };
    let say = |line: String| std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    say("begun\n".to_owned());
    let configuration = Configuration::open(settings).unwrap();
    for n in 0.. {
        let mut json = order["site"].clone();
        json["global"]["page"]["title"] = json!(format!("{} {n}", std::process::id()));
        let published = configuration.publish(&site(json), "child").unwrap();
        say(format!("{}\n", published.set));
    }
}

fn child(home: &Home, program: PathBuf, master: Option<PathBuf>) -> Child {
    let order = json!({"sets": home.sets(), "program": program, "master": master, "site": home.json("")});
    Command::new(std::env::current_exe().unwrap())
        .args(["killed::child_that_publishes", "--exact", "--nocapture", "--test-threads=1"])
        .env(ORDER, order.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn opened(home: &Home) -> Configuration {
    home.open(stand_in(&home.path(""), "exit 0"), Control::Nobody).unwrap()
}

/// Everything is whole, and nothing is left over. The set in force, if there is one.
fn whole(home: &Home, configuration: &Configuration) -> Option<u64> {
    let history = configuration.history().unwrap();
    for past in &history {
        configuration.diff(past.manifest.set, past.manifest.set).unwrap();
    }
    let left = home.listing().into_keys().find(|path| {
        path.strip_prefix(home.sets()).unwrap().iter().any(|name| name.to_string_lossy().starts_with('.'))
    });
    assert_eq!(left, None);
    configuration.current().unwrap().map(|set| set.manifest.set)
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_configuration() {
    let home = Home::new();
    stand_in(&home.path(""), "exit 0");
    let (mut greatest, mut left_behind) = (0, 0);
    // Most of the time a set is being written: forty rounds leave some of them by half, on whatever machine some more do.
    for round in 0..400_u64 {
        if round >= 40 && left_behind > 0 {
            break;
        }
        let mut running = child(&home, home.path("stand-in"), None);
        let mut lines = BufReader::new(running.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.ends_with("begun")));
        // A kill may come while the directory is opened, too.
        let first = if round % 4 == 0 { None } else { lines.next() };
        // Different in each round and each run: a publication takes some milliseconds.
        let time_us = (u64::from(std::process::id()) * 7919 + round * 104_729) % 50_000;
        thread::sleep(Duration::from_micros(time_us));
        kill(running);
        let mut said: Vec<String> = lines.collect();
        // The last line may lack its end.
        said.pop();
        said.splice(..0, first);
        let acknowledged = said.last().map_or(greatest, |set| set.parse().unwrap());
        let sets = fs::read_dir(home.sets().join("sets"));
        left_behind += sets.map_or(0, |sets| {
            sets.filter(|set| set.as_ref().unwrap().file_name().to_string_lossy().starts_with('.')).count()
        });
        let configuration = opened(&home);
        let current = whole(&home, &configuration).unwrap_or(0);
        assert!(current >= acknowledged, "{current} is in force, {acknowledged} was acknowledged");
        let next = configuration.publish(&home.site(&round.to_string()), "test").unwrap();
        assert!(next.is_changed && next.set > current.max(greatest));
        greatest = next.set;
    }
    assert!(left_behind > 0, "{greatest} sets, and none was left behind by half");
}

#[test]
fn a_kill_while_haproxy_checks_leaves_the_configuration_before() {
    let home = Home::new();
    opened(&home).publish(&home.site("before"), "test").unwrap();
    let before = home.listing();
    let slow = home.path("slow");
    fs::create_dir(&slow).unwrap();
    stand_in(&slow, "exec sleep 1000");
    let running = child(&home, slow.join("stand-in"), None);
    let staged = home.sets().join("sets/.2.new/manifest.json");
    eventually("a staged set", || staged.exists().then_some(()));
    kill(running);
    assert!(staged.exists());
    let configuration = opened(&home);
    assert_eq!(whole(&home, &configuration), Some(1));
    assert_eq!(home.listing(), before);
}

#[test]
fn a_kill_while_haproxy_reloads_leaves_the_new_set_and_the_good_one() {
    let home = Home::new();
    opened(&home).publish(&home.site("before"), "test").unwrap();
    let socket = home.path("master.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    // A master that never comes to an end with its reload.
    thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut command = String::new();
            stream.read_to_string(&mut command).unwrap();
            if command == "show proc\n" {
                stream.write_all(b"1162 master 0 [failed: 0] 0d00h02m07s 2.6.12\n").unwrap();
            } else if command == "reload\n" {
                held.push(stream);
            }
        }
    });
    stand_in(&home.path(""), "exit 0");
    let running = child(&home, home.path("stand-in"), Some(socket));
    let link = |name: &str| fs::read_link(home.sets().join(name)).unwrap();
    eventually("the link", || (link("current") == *"sets/2").then_some(()));
    kill(running);
    assert_eq!(link("good"), PathBuf::from("sets/1"));
    let configuration = opened(&home);
    assert_eq!(whole(&home, &configuration), Some(2));
    let next = configuration.publish(&home.site("before"), "test").unwrap();
    assert_eq!((next.set, link("current"), link("good")), (3, "sets/3".into(), "sets/3".into()));
}
