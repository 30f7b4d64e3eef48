//! Commands that change and read rules, without a HAProxy.

use std::os::unix::net::UnixListener;
use std::process::Stdio;

use edge_journal::RulesWriter;
use serde_json::json;

use crate::home::{Home, done, failed, said};

#[test]
fn a_block_is_made_listed_explained_and_removed() {
    for home in Home::both() {
        home.answer();
        let block = home.run(&["block", "192.0.2.0/24", "--reason", "scans", "--action", "deny 404"]);
        let rule = "rule 1: block 192.0.2.0/24: deny 404, no end, manual, reason: scans\n";
        assert_eq!(block, done(0, format!("{rule}in force at revision 1\n")));
        assert_eq!(home.run(&["list"]), done(0, rule));
        let explained = format!("192.0.2.7: deny 404\n  decides: {rule}");
        assert_eq!(home.run(&["explain", "192.0.2.7"]), done(0, explained));
        assert_eq!(
            home.run(&["unblock", "192.0.2.0/24"]),
            done(0, format!("{rule}in force at revision 2\n"))
        );
        assert_eq!(home.run(&["list"]), done(0, ""));
        assert_eq!(home.run(&["explain", "192.0.2.7"]), done(0, "192.0.2.7: pass\n"));
    }
}

#[test]
fn without_haproxy_a_change_is_stored_and_not_yet_enforced() {
    for home in Home::both() {
        let (code, out, error) = home.run(&["allow", "192.0.2.1"]);
        assert_eq!((code, error.as_str()), (3, ""));
        assert_eq!(out, format!("rule 1: allow 192.0.2.1: no end, manual\n{}", home.not_enforced()));
        let (code, out, _) = home.run(&["disallow", "192.0.2.1"]);
        assert_eq!((code, out.contains("rule 1: allow 192.0.2.1")), (3, true));
    }
}

#[test]
fn what_is_there_already_or_not_at_all_is_refused() {
    for home in Home::both() {
        home.run(&["block", "192.0.2.1"]);
        let present = failed(1, "block 192.0.2.1 is there already, as rule 1");
        assert_eq!(home.run(&["block", "192.0.2.2", "192.0.2.1"]), present);
        assert_eq!(
            home.run(&["unblock", "192.0.2.2"]),
            failed(1, "block 192.0.2.2: no such rule in the record")
        );
        assert_eq!(
            home.run(&["disallow", "192.0.2.1"]),
            failed(1, "allow 192.0.2.1: no such rule in the record")
        );
        let (code, out, _) = home.run(&["block", "192.0.2.1", "--replace", "--action", "drop"]);
        assert_eq!((code, out.lines().next()), (3, Some("rule 1: block 192.0.2.1: drop, no end, manual")));
    }
}

#[test]
fn bad_values_are_named() {
    let home = Home::new();
    let error = r#"target: "192.0.2.1/33": not an IPv4 or IPv6 address or CIDR"#;
    assert_eq!(home.run(&["block", "192.0.2.1/33"]), failed(2, error));
    let input = "# comment\n\n192.0.2.1 1\nnonsense\n";
    let error = r#"standard input, line 4: target: "nonsense": not an IPv4 or IPv6 address or CIDR, nor /path or host/path"#;
    assert_eq!(home.run_with(&["block", "-"], input), failed(2, error));
    for args in [
        &["block"][..],
        &["block", "192.0.2.1", "--ttl", "soon"],
        &["block", "192.0.2.1", "--ttl", "0s"],
        &["block", "192.0.2.1", "--until", "2001-01-01T00:00:00Z"],
        &["block", "192.0.2.1", "--until", "tomorrow"],
        &["block", "192.0.2.1", "--ttl", "1m", "--until", "2100-01-01T00:00:00Z"],
        &["list", "--kind", "blocked"],
    ] {
        let (code, out, error) = home.run(args);
        assert_eq!((code, out.as_str(), error.is_empty()), (2, "", false), "{args:?}");
    }
    assert!(!home.0.path().join("rules.db").exists(), "nothing was made");
}

#[test]
fn thousands_of_targets_are_one_change() {
    for home in Home::both() {
        let input: String = (0..10_000).map(|n| format!("10.0.{}.{}\n", n / 250, n % 250)).collect();
        let (code, out, _) = home.run_with(&["block", "-", "192.0.2.1", "--ttl", "1h"], &input);
        assert_eq!((code, out), (3, format!("10001 rules\n{}", home.not_enforced())));
        let (_, out, _) = home.run(&["list", "--after", "5000", "--limit", "100", "--kind", "block"]);
        let ids: Vec<_> = out.lines().map(|line| line.split([' ', ':']).nth(1).unwrap().to_owned()).collect();
        assert_eq!((ids.len(), ids[0].as_str(), ids[99].as_str()), (100, "5001", "5100"));
        let twice = home.run_with(&["block", "-"], "192.0.2.2\n192.0.2.2\n");
        assert_eq!(twice, failed(1, "block 192.0.2.2 is there already, as rule 10002"));
        assert_eq!(home.run(&["list"]).1.lines().count(), 10_001, "nothing was made");
    }
}

#[test]
fn json_has_all_that_is_known() {
    for home in Home::both() {
        home.answer();
        let args = [
            "block",
            "Shop.Example/adm/*",
            "--if",
            "method=POST anon",
            "--until",
            "2100-01-01T00:00:00Z",
            "--by",
            "me",
        ];
        let change = home.json(&[&args[..], &["--reason", "a\"b", "--list", "feed", "--json"]].concat());
        let mut rule = json!({
            "id": 1, "kind": "resource", "target": "shop.example/adm/*", "match": "prefix",
            "conditions": "method=POST anon", "action": "deny 403", "expires_at_s": 4_102_444_800_u32, "list": "feed",
            "reason": "a\"b", "created_at_s": change["rules"][0]["created_at_s"], "created_by": "me",
        });
        assert!(rule["created_at_s"].as_u64().unwrap() > 1_700_000_000);
        assert_eq!(
            change,
            json!({"status": "success", "enforcement": "in_force", "revision": 1, "rules": [rule]})
        );
        assert_eq!(home.json(&["list", "--json", "--list", "feed", "--kind", "resource"]), rule);
        assert_eq!(home.run(&["list", "--list", "manual"]), done(0, ""));
        rule["part"] = "conditional".into();
        let explained = home.json(&["explain", "https://shop.example/adm/x", "--json"]);
        rule["left_s"] = explained["rules"][0]["left_s"].clone();
        assert!(rule["left_s"].as_u64().unwrap() < 4_102_444_800, "{rule}");
        let answer = json!({"subject": "shop.example/adm/x", "verdict": "depends on the request", "code": -1, "rules": [rule]});
        assert_eq!(explained, answer);
        std::fs::remove_file(home.socket()).unwrap();
        let change = home.json(&["unblock", "shop.example/adm/*", "--if", "anon method=POST", "--json"]);
        assert_eq!((&change["enforcement"], &change["revision"]), (&json!("stored_not_enforced"), &json!(2)));
        assert!(change["reason"].as_str().unwrap().contains("No such file"), "{change}");
    }
}

#[test]
fn rules_end_and_are_cleared() {
    for home in Home::both() {
        let (_, out, _) = home.run(&["block", "192.0.2.1", "--ttl", "1ms"]);
        assert!(out.starts_with("rule 1: block 192.0.2.1: deny 403, "), "{out}");
        edge_e2e::eventually("its end", || home.run(&["list"]).1.is_empty().then_some(()));
        assert_eq!(
            home.run(&["list", "--ended"]),
            done(0, "rule 1: block 192.0.2.1: deny 403, ended, manual\n")
        );
        assert_eq!(home.run(&["clear-expired"]), done(0, "1 rules\n"));
        assert_eq!(home.run(&["list", "--ended"]), done(0, ""));
    }
}

#[test]
fn commands_at_the_same_time_wait_for_each_other() {
    for home in Home::both() {
        let children: Vec<_> = (0..4)
            .map(|n| home.command(&["block", &format!("192.0.2.{n}")]).stdin(Stdio::null()).spawn().unwrap())
            .collect();
        for child in children {
            let (code, out, error) = said(child.wait_with_output().unwrap());
            assert_eq!(code, 3, "{out}{error}");
        }
        assert_eq!(home.run(&["list"]).1.lines().count(), 4);
    }
}

#[test]
fn what_was_done_counts_though_nobody_reads_of_it() {
    for home in Home::both() {
        let mut child = home.command(&["block", "192.0.2.1"]).spawn().unwrap();
        drop((child.stdin.take(), child.stdout.take()));
        assert_eq!(child.wait().unwrap().code(), Some(3));
        assert_eq!(home.run(&["list"]).1.lines().count(), 1);
    }
}

#[test]
fn who_is_asked_to_change_rules_is_the_one_who_has_them() {
    let home = Home::serving();
    home.run(&["block", "192.0.2.1", "--by", "me"]);
    let rule = home.json(&["list", "--json"]);
    assert_eq!(rule["created_by"], "me");
    let socket = home.0.path().join("rules.db.sock");
    assert!(socket.exists());
    drop(home.1);
    // Nobody listens there any more.
    assert!(socket.exists(), "it was killed");
    let home = Home(home.0, None);
    let (code, out, error) = home.run(&["unblock", "192.0.2.1"]);
    assert_eq!((code, out.lines().count()), (3, 2), "{out}{error}");
}

#[test]
fn a_socket_that_does_not_answer_is_told() {
    let home = Home::new();
    let socket = home.0.path().join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let thread = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let (code, out, error) = home.run(&["block", "192.0.2.1", "--control", socket.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (4, ""), "{error}");
    assert!(error.starts_with("edge-manager: `edge-manager serve`: "), "{error}");
    thread.join().unwrap();
}

#[test]
fn what_cannot_be_used_is_told() {
    let home = Home::new();
    let missing = home.0.path().join("rules.db");
    assert_eq!(
        home.run(&["list"]),
        failed(4, &format!("{}: there is no record of rules", missing.display()))
    );
    std::fs::write(&missing, "something else, and longer than nothing").unwrap();
    let foreign = failed(4, &format!("{}: not a record of Edge Filter", missing.display()));
    assert_eq!(home.run(&["list"]), foreign);
    assert_eq!(home.run(&["block", "192.0.2.1"]), foreign);
}

#[test]
fn a_directory_that_another_process_writes_is_told() {
    let home = Home::new();
    home.run(&["block", "192.0.2.1"]);
    let _writer = RulesWriter::open(&home.state(), 1).unwrap();
    let error = "the state directory: rules.lock: another process writes the rules of this directory; `edge-manager serve` or \
                 another command may be at work";
    assert_eq!(home.run(&["block", "192.0.2.2"]), failed(4, error));
    assert_eq!(home.run(&["list"]).1.lines().count(), 1, "reading needs no lock");
}

#[test]
fn a_variable_that_is_empty_is_none_that_is_set() {
    let (_, help, _) = Home::new().run(&["serve", "--help"]);
    let names = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    let empty: Vec<_> = names.map(|name| (name.to_owned(), "".into())).collect();
    assert!(empty.len() > 20, "{help}");
    let home = Home::serving_with(empty);
    assert_eq!(home.run(&["list"]), done(0, ""));
}

#[test]
fn a_resource_is_made_and_removed_by_the_text_that_is_printed() {
    for home in Home::both() {
        home.answer();
        for text in ["http://192.0.2.1/24", "/a%2Ab", "/a/%2A", "http://192.168.1/24", "shop.example/a/*"] {
            let (code, out, error) = home.run(&["block", text]);
            assert!(code == 0 && out.contains(&format!(" {text}: ")), "{text}: {out}{error}");
            let (_, listed, _) = home.run(&["list", "--json"]);
            assert!(listed.contains(&format!(r#""target":"{text}""#)), "{listed}");
            let (code, out, error) = home.run(&["unblock", text]);
            assert_eq!(code, 0, "{text}: {out}{error}");
        }
        assert_eq!(home.run(&["list"]), done(0, ""));
    }
}
