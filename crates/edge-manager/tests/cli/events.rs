//! `edge-manager events`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::home::{Home, done, failed, said};

/// Nothing here takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The command, and what it prints.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    /// Until it has heard of something: its line.
    fn start(home: &Home, args: &[&str]) -> (Self, String) {
        let mut child = home.command(&[&["events"], args].concat()).stdin(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || out.lines().try_for_each(|line| sender.send(line.unwrap())));
        let following = Self { child, lines };
        // What happens before it listens, it does not hear.
        let heard = (0..1000).find_map(|n: u32| {
            home.run(&["block", &format!("10.0.{}.{}", n / 250, n % 250)]);
            following.lines.recv_timeout(Duration::from_millis(20)).ok()
        });
        (following, heard.expect("it hears of a change"))
    }

    fn next(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(PATIENCE).unwrap()).unwrap()
    }

    /// Exit status and what it said, without what it printed.
    fn end(self) -> (i32, String, String) {
        said(self.child.wait_with_output().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

#[test]
fn what_happens_is_printed_as_it_happens_until_it_is_interrupted() {
    let home = Home::serving();
    for signal in [Signal::INT, Signal::TERM] {
        let (following, _) = Following::start(&home, &["--json"]);
        home.run(&["allow", "192.0.2.1", "--reason", "a\"b"]);
        // Before it may be others of the start.
        let made =
            (0..).map(|_| following.next()).find(|event| event["rules"][0]["kind"] == "allow").unwrap();
        assert_eq!(
            (&made["event"], &made["made"], &made["removed"]),
            (&json!("rules"), &json!(1), &json!(0))
        );
        assert!(made["id"].is_u64() && made["at_s"].is_u64(), "{made}");
        assert_eq!(made["rules"][0]["reason"], "a\"b");
        home.run(&["disallow", "192.0.2.1"]);
        assert_eq!(following.next()["rules"][0]["change"], "removed");
        following.signal(signal);
        assert_eq!(following.end(), done(0, ""));
    }
    let (following, line) = Following::start(&home, &[]);
    let (at, rest) = line.split_once("Z, rules: by \"CLI").unwrap_or_else(|| panic!("{line}"));
    assert!(at.starts_with("20") && rest.contains(", made 1, removed 0, "), "{line}");
    following.signal(Signal::INT);
    assert_eq!(following.end(), done(0, ""));
}

#[test]
fn it_ends_when_nobody_reads_on_though_nothing_happens() {
    let home = Home::serving();
    let mut child = home.command(&["events"]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(said(child.wait_with_output().unwrap()), done(0, ""));
}

#[test]
fn it_ends_with_the_manager_and_says_so() {
    let mut home = Home::serving();
    let (following, _) = Following::start(&home, &[]);
    assert!(home.1.take().unwrap().stop().unwrap().success());
    assert_eq!(following.end(), failed(4, "`edge-manager serve`: it has ended"));
    let socket = home.0.path().join("rules.db.sock");
    let told = format!("{}: nobody listens there: `edge-manager serve` does while it runs", socket.display());
    assert_eq!(home.run(&["events"]), failed(4, &told));
}
