//! `edge-manager render`, `check`, `reload` and `configurations`, as they are run.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::home::Home;
use crate::programs;

struct Manager(Home);

impl Manager {
    fn new() -> Self {
        Self(Home::new())
    }

    /// Exit status, standard output, standard error.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_edge-manager"))
            .args(args)
            .env("EDGE_CONFIG_DIR", self.0.sets())
            .env("EDGE_TEMPLATE_DIR", self.0.path("templates"))
            .env("EDGE_HAPROXY", &programs::installed().path)
            .output()
            .unwrap();
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
    let (_, out, _) = manager.run(&["reload", "--site", &b, "--by", "me", "--json"]);
    let expected = json!({"status": "in_force", "set": 2, "is_changed": true});
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
    assert!(lines[1].ends_with(", me") && lines[2].ends_with(", CLI") && lines.len() == 3, "{out}");
    let (_, out, _) = manager.run(&["configurations", "list", "--json"]);
    let newest: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&newest["set"], &newest["repeats"], &newest["is_good"]),
        (&json!(3), &json!(1), &json!(true))
    );
}

#[test]
fn each_way_to_fail_has_its_exit_status_and_one_line() {
    let manager = Manager::new();
    let failed = |args: &[&str]| {
        let (code, out, error) = manager.run(args);
        assert!(
            out.is_empty() && error.lines().count() == 1 && error.starts_with("edge-manager: "),
            "{error}"
        );
        (code, error)
    };
    assert_eq!(failed(&["reload"]), (1, "edge-manager: there is no configuration yet\n".to_owned()));
    let (code, error) = failed(&["configurations", "roll-back", "7"]);
    assert_eq!((code, error.as_str()), (1, "edge-manager: there is no set 7\n"));
    let bad = manager.site("bad", |json| json["backends"][0]["balance"] = json!("fairly"));
    assert_eq!(failed(&["check", "--site", &bad]).0, 2);
    assert_eq!(failed(&["render", "--site", "/none/site.json"]).0, 2);
    let refused = manager.site("refused", |json| json["global"]["user"] = json!("nobody-of-this-name"));
    let (code, error) = failed(&["check", "--site", &refused]);
    assert!(code == 1 && error.contains("(the line is: user nobody-of-this-name)"), "{error}");
    let good = manager.site("good", |_| {});
    let (code, error) = failed(&["reload", "--site", &good, "--haproxy", "/none/haproxy"]);
    assert_eq!(
        (code, error.as_str()),
        (4, "edge-manager: /none/haproxy: No such file or directory (os error 2)\n")
    );
}
