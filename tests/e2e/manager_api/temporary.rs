//! Blocks that end, and what is left of them.

use std::time::{SystemTime, UNIX_EPOCH};

use edge_e2e::eventually;

use super::{Beside, alone, blocked, refused};

#[test]
fn a_temporary_block_is_in_force_and_has_an_end() {
    let served = Beside::start();
    let mut api = served.manager.api();
    let body = r#"{"ip_address":"198.51.100.7","duration_minutes":5,"reason":"too many logins"}"#;
    let answer = api.post("/api/security/temporary-block", body);
    assert_eq!((answer.status, &answer.json()["status"]), (200, &"success".into()), "{answer:?}");
    assert!(served.is_refused("198.51.100.7"));
    assert_eq!(blocked(&mut api), ["198.51.100.7"]);
    let row = &api.get("/api/blocked-ips").json()[0];
    assert_eq!(row["reason"], "too many logins", "{row}");
    // Its end is in the record: what the command line lists is that.
    let listed = served.manager.command(&["list", "--json"]);
    let rule: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let end_s = rule["expires_at_s"].as_u64().expect("an end");
    assert!((now_s..=now_s + 301).contains(&end_s), "{rule} at {now_s}");
    // Of the defaults.
    let body = r#"{"ip_address":"198.51.100.8"}"#;
    assert_eq!(api.post("/api/security/temporary-block", body).status, 200);
    assert!(served.is_refused("198.51.100.8"));
}

#[test]
fn a_temporary_block_that_makes_no_sense_is_refused() {
    let manager = alone().start();
    let mut api = manager.api();
    for body in [
        "{}",
        "",
        "[1]",
        r#"{"ip_address":"nowhere","duration_minutes":5}"#,
        r#"{"ip_address":"198.51.100.7","duration_minutes":0}"#,
        r#"{"ip_address":"198.51.100.7","duration_minutes":-1}"#,
        r#"{"ip_address":"198.51.100.7","duration_minutes":"soon"}"#,
        r#"{"ip_address":"198.51.100.7","duration_minutes":99999999999999999999}"#,
        r#"{"ip_address":"198.51.100.7","duration_minutes":18446744073709551615}"#,
        r#"{"ip_address":"198.51.100.7","duration_minutes":1e30}"#,
    ] {
        refused(&api.post("/api/security/temporary-block", body), 400);
    }
    assert_eq!(blocked(&mut api), Vec::<String>::new());
}

#[test]
fn what_has_ended_is_not_listed_and_can_be_cleared() {
    let served = Beside::start();
    let (manager, mut api) = (&served.manager, served.manager.api());
    let answer = api.post("/api/security/clear-expired", "");
    assert_eq!((answer.status, &answer.json()["status"]), (200, &"success".into()), "{answer:?}");
    let said = manager.command(&["block", "198.51.100.7", "--ttl", "1s"]);
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    let said = manager.command(&["block", "198.51.100.8"]);
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    eventually("its end", || (blocked(&mut api) == ["198.51.100.8"]).then_some(()));
    eventually("its end at the edge", || (!served.is_refused("198.51.100.7")).then_some(()));
    let ended = || manager.command(&["list", "--ended"]).stdout.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(ended(), 2);
    let answer = api.post("/api/security/clear-expired", "");
    assert_eq!((answer.status, &answer.json()["status"]), (200, &"success".into()), "{answer:?}");
    assert_eq!(ended(), 1);
    assert_eq!(blocked(&mut api), ["198.51.100.8"]);
}
