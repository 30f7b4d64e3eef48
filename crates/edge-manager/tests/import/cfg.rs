//! The form `acl is_blocked src ...`.

use serde_json::json;

use crate::home::Home;

#[test]
fn addresses_of_the_old_form_are_taken_and_its_limit_is_told() {
    let home = Home::new();
    let many: Vec<_> = (1..=66).map(|n| format!("192.0.2.{n}")).collect();
    let cfg = format!(
        "frontend web\n  bind :80\n  acl is_admin src 10.0.0.0/8\n  acl is_blocked src {}\n  acl is_blocked src -f /etc/blocked.lst \
         198.51.100.0/24 # rest\n  http-request deny if is_blocked\n",
        many.join(" ")
    );
    let cfg = home.file("haproxy.cfg", cfg);
    let summary = home.json(&["import", "cfg", &cfg, "--json"]);
    assert_eq!(summary["rules"], json!({"added": 67, "present": 0}));
    let advice: Vec<_> =
        summary["advice"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(advice.len(), 2, "{advice:?}");
    let limit = format!(
        "{cfg}, line 4: `acl is_blocked src` has 69 words and HAProxy reads 64 of a line: 5 addresses from 192.0.2.62 on were \
         never in force"
    );
    assert!(advice[0].starts_with(&limit), "{}", advice[0]);
    assert!(advice[1].ends_with(
        "names the file /etc/blocked.lst, which is not read: edge-manager import acl /etc/blocked.lst"
    ));
    assert!(home.rules().contains(&"block 192.0.2.66 deny 403".to_owned()));
}

#[test]
fn a_line_at_the_limit_is_warned_of() {
    let home = Home::new();
    for (addresses, is_told) in [(60, false), (61, true)] {
        let many: Vec<_> = (1..=addresses).map(|n| format!("192.0.2.{n}")).collect();
        let cfg = home.file("haproxy.cfg", format!("acl is_blocked src {}\n", many.join(" ")));
        let summary = home.json(&["import", "cfg", &cfg, "--json", "--dry-run"]);
        assert_eq!(!summary["advice"].as_array().unwrap().is_empty(), is_told, "{summary}");
    }
}

#[test]
fn another_name_is_pointed_at() {
    let home = Home::new();
    let cfg =
        home.file("haproxy.cfg", "acl bad src 192.0.2.1\nacl bad src 192.0.2.2\nacl path path_beg /x\n");
    let (code, out, error) = home.run(&["import", "cfg", &cfg]);
    let told = format!(
        "edge-manager: {cfg}: no line `acl is_blocked src ...`; there are those of bad, which --acl would take\n"
    );
    assert_eq!((code, out.as_str(), error), (4, "", told));
    home.run(&["import", "cfg", &cfg, "--acl", "bad"]);
    assert_eq!(home.rules().len(), 2);
}

#[test]
fn lines_of_any_number_are_taken_and_the_first_advice_is_told() {
    let home = Home::new();
    let lines: String = (0..12_000)
        .map(|n| format!("acl is_blocked src -f {n}.lst 10.{}.{}.{}\n", n >> 16, n >> 8 & 255, n & 255))
        .collect();
    let cfg = home.file("haproxy.cfg", lines);
    let summary = home.json(&["import", "cfg", &cfg, "--json", "--dry-run"]);
    assert_eq!(summary["rules"]["added"], 12_000);
    assert_eq!(summary["advice"].as_array().unwrap().len(), 100);
    assert_eq!(summary["more_advice"], 11_900);
    let (_, _, error) = home.run(&["import", "cfg", &cfg, "--dry-run"]);
    assert!(error.ends_with("edge-manager: and so for 11900 more\n"), "{error}");
}

#[test]
fn a_long_line_is_taken_and_one_that_is_too_long_is_named() {
    let home = Home::new();
    // Longer than a line of any other file may be.
    let many: String = (0..10_000).map(|n| format!(" 10.0.{}.{}", n / 250, n % 250)).collect();
    let cfg = home.file("haproxy.cfg", format!("acl is_blocked src{many}\n"));
    assert_eq!(home.json(&["import", "cfg", &cfg, "--json", "--dry-run"])["rules"]["added"], 10_000);
    let endless = "x".repeat(16 << 20);
    let cfg =
        home.file("haproxy.cfg", format!("acl is_blocked src 192.0.2.1\nacl is_blocked src {endless}\n"));
    let (code, out, error) = home.run(&["import", "cfg", &cfg]);
    assert_eq!((code, out.as_str()), (2, "nothing has changed: 1 cannot be taken\n"));
    assert_eq!(error, format!("edge-manager: {cfg}, line 2: longer than 16777216 bytes\n"));
    assert_eq!(home.run(&["import", "cfg", &cfg, "--skip-invalid"]).0, 3);
    assert_eq!(home.rules(), ["block 192.0.2.1 deny 403"]);
}
