//! `edge-manager render`, `check`, `reload` and `configurations`, as they are run.

use std::ffi::OsString;
use std::fs;
use std::process::Command;

use edge_e2e::{ServeCommand, ServeProcess};
use serde_json::{Value, json};

use crate::home::Home;
use crate::programs;

/// What the page for unknown domains has where the record does not say it: a setting of whoever publishes.
const SECONDARY: &str = "HAPROXY_DEFAULT_SECONDARY_MESSAGE";

struct Manager(Home, Option<ServeProcess>);

impl Manager {
    fn new() -> Self {
        Self(Home::new(), None)
    }

    /// Where `edge-manager serve` has the record, with this message, which commands do not have.
    fn serving(message: &str) -> Self {
        let mut manager = Self::new();
        let mut env = manager.env().to_vec();
        env.push((SECONDARY.to_owned(), message.into()));
        let program = env!("CARGO_BIN_EXE_edge-manager");
        let serving = ServeCommand::within(&manager.0.path(""), program, env).start();
        manager.1 = Some(serving.unwrap().0);
        manager
    }

    fn env(&self) -> [(String, OsString); 6] {
        let env = [
            ("EDGE_CONFIG_DIR", self.0.sets()),
            ("EDGE_DATABASE", self.0.path("rules.db")),
            ("EDGE_HAPROXY", programs::installed().path.clone()),
            ("EDGE_SOCKET", self.0.path("edge.sock")),
            ("EDGE_STATE_DIR", self.0.path("state")),
            ("EDGE_TEMPLATE_DIR", self.0.path("templates")),
        ];
        env.map(|(name, path)| (name.to_owned(), path.into()))
    }

    /// Exit status, standard output, standard error.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        self.run_with(args, "")
    }

    /// With this message, where the command itself publishes.
    fn run_with(&self, args: &[&str], message: &str) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edge-manager"));
        let output = command.args(args).envs(self.env()).env(SECONDARY, message).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// The path of a site with this title.
    fn site(&self, title: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut json = self.0.json(title);
        change(&mut json);
        let path = self.0.path(&format!("{title}.json"));
        fs::write(&path, json.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[test]
fn a_site_is_rendered_checked_published_and_brought_back() {
    let manager = Manager::new();
    let (a, b) = (manager.site("a", |_| {}), manager.site("b", |_| {}));
    let (code, out, error) = manager.run(&["render", "--site", &a]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(
        out.starts_with("==> haproxy.cfg <==\n") && out.contains("==> pages/default.html <==\n"),
        "{out}"
    );
    let to = manager.0.path("files");
    assert_eq!(manager.run(&["render", "--site", &a, "--to", to.to_str().unwrap()]).0, 0);
    assert!(to.join("maps/hosts.map").is_file() && !manager.0.sets().exists());

    let (code, out, _) = manager.run(&["check", "--site", &a]);
    assert!(code == 0 && out.contains("+++ b/haproxy.cfg\n"), "{out}");
    let socket = manager.0.sets().join("master.sock");
    let stored = format!("stored, not yet enforced: no HAProxy listens at {}\n", socket.display());
    assert_eq!(manager.run(&["reload", "--site", &a]), (3, format!("set 1: {stored}"), String::new()));
    assert_eq!(manager.run(&["reload", "--site", &a]).1, format!("set 1, unchanged: {stored}"));

    let edge = manager.0.supervised(programs::installed());
    edge.master_pid();
    assert_eq!(manager.run(&["reload"]), (0, "set 1, unchanged: in force\n".to_owned(), String::new()));
    let (_, out, _) = manager.run(&["reload", "--site", &b, "--json"]);
    let expected = json!({"status": "success", "enforcement": "in_force", "set": 2, "is_changed": true});
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected);
    assert_eq!(manager.0.title().unwrap(), "b");
    let (_, out, _) = manager.run(&["configurations", "diff", "1", "2"]);
    assert!(out.contains("-<title>a</title>\n+<title>b</title>\n"), "{out}");
    assert_eq!(manager.run(&["configurations", "roll-back", "1"]).1, "set 3: in force\n");
    assert_eq!(manager.0.title().unwrap(), "a");
    let (_, out, _) = manager.run(&["configurations", "list"]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].starts_with("set 3: 2") && lines[0].ends_with(", CLI, set 1 again, current, good"),
        "{out}"
    );
    assert!(lines[1].ends_with(", CLI") && lines[2].ends_with(", CLI") && lines.len() == 3, "{out}");
    let (_, out, _) = manager.run(&["configurations", "list", "--json"]);
    let newest: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&newest["set"], &newest["repeats"], &newest["is_good"]),
        (&json!(3), &json!(1), &json!(true))
    );
}

#[test]
fn whoever_publishes_completes_records_and_notes_it() {
    const MESSAGE: &str = "of whoever publishes";
    for manager in [Manager::new(), Manager::serving(MESSAGE)] {
        let is_serving = manager.1.is_some();
        // Where nobody serves it is the command that has the settings.
        let run = |args: &[&str]| manager.run_with(args, if is_serving { "of the command" } else { MESSAGE });
        let json = |args: &[&str]| serde_json::from_str::<Value>(&run(args).1).unwrap();
        let (a, b) = (manager.site("a", |_| {}), manager.site("b", |_| {}));
        let (code, out, _) = run(&["check", "--site", &a]);
        assert!(code == 0 && out.contains("<title>a</title>") && out.contains(MESSAGE), "{out}");
        let (code, out, error) = run(&["reload", "--site", &a, "--json"]);
        assert_eq!((code, error.as_str()), (3, ""));
        let told: Value = serde_json::from_str(&out).unwrap();
        let (set, reason) = (told["set"].as_u64().unwrap(), told["reason"].as_str().unwrap());
        assert_eq!(
            told,
            json!({"status": "success", "enforcement": "stored_not_enforced", "reason": reason, "set": set, "is_changed": true})
        );
        assert_eq!(json(&["site", "show"])["global"]["page"]["title"], "a");
        assert_eq!(json(&["audit", "--limit", "1", "--json"])["action"], "site.put");
        let unchanged = format!("set {set}, unchanged: stored, not yet enforced: {reason}\n");
        assert_eq!(run(&["reload"]), (3, unchanged, String::new()));
        assert_eq!(json(&["audit", "--limit", "1", "--json"])["action"], "configuration.reload");

        assert_eq!(run(&["reload", "--site", &b]).0, 3);
        let next = set + 2;
        let back = format!("set {next}: stored, not yet enforced: {reason}\n");
        assert_eq!(run(&["configurations", "roll-back", &set.to_string()]), (3, back, String::new()));
        assert_eq!(json(&["audit", "--limit", "1", "--json"])["action"], "configuration.rollback");
        let page = fs::read_to_string(manager.0.sets().join("current/pages/default.html")).unwrap();
        assert!(page.contains("<title>a</title>") && page.contains(MESSAGE), "{page}");
    }
}

#[test]
fn each_way_to_fail_has_its_exit_status_and_one_line() {
    for manager in [Manager::new(), Manager::serving("")] {
        let failed = |args: &[&str]| {
            let (code, out, error) = manager.run(args);
            assert!(
                out.is_empty() && error.lines().count() == 1 && error.starts_with("edge-manager: "),
                "{error}"
            );
            (code, error)
        };
        let (code, error) = failed(&["configurations", "roll-back", "7"]);
        assert_eq!((code, error.as_str()), (1, "edge-manager: there is no set 7\n"));
        let bad = manager.site("bad", |json| json["backends"][0]["balance"] = json!("fairly"));
        assert_eq!(failed(&["check", "--site", &bad]).0, 2);
        assert_eq!(failed(&["reload", "--site", &bad]).0, 2);
        assert_eq!(failed(&["render", "--site", "/none/site.json"]).0, 2);
        let refused = manager.site("refused", |json| json["global"]["user"] = json!("nobody-of-this-name"));
        for command in ["check", "reload"] {
            let (code, error) = failed(&[command, "--site", &refused]);
            assert!(
                code == 1 && error.starts_with("edge-manager: HAProxy refuses the configuration: "),
                "{error}"
            );
            assert!(error.contains("(the line is: user nobody-of-this-name)"), "{error}");
        }
        let unknown = (1, "edge-manager: none.example: no such domain\n".to_owned());
        assert_eq!(failed(&["domain", "remove", "none.example"]), unknown);
        if manager.1.is_some() {
            continue;
        }
        assert_eq!(failed(&["reload"]), (1, "edge-manager: there is no configuration yet\n".to_owned()));
        let good = manager.site("good", |_| {});
        let (code, error) = failed(&["reload", "--site", &good, "--haproxy", "/none/haproxy"]);
        assert_eq!(
            (code, error.as_str()),
            (4, "edge-manager: /none/haproxy: No such file or directory (os error 2)\n")
        );
    }
}
