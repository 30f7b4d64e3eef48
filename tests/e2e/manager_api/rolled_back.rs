//! Whoever goes back to an earlier configuration stays there.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{Supervised, alone};

/// A manager that went back to before `fault.example` was served.
fn rolled_back() -> Supervised {
    let served = Supervised::start();
    let mut api = served.manager.api();
    let list = api.get("/api/configuration/history");
    let current = list.json().as_array().unwrap()[0]["set"].as_u64().unwrap();
    assert_eq!(api.post("/api/domain", &served.domain("fault.example", "fault").to_string()).status, 200);
    assert!(served.is_served("fault.example"));
    let answer = api.post("/api/configuration/rollback", &json!({"set": current}).to_string());
    assert_eq!((answer.status, &answer.json()["enforcement"]), (200, &json!("in_force")), "{answer:?}");
    is_rolled_back(&served);
    served
}

#[track_caller]
fn is_rolled_back(served: &Supervised) {
    assert!(served.is_served("www.example") && !served.is_served("fault.example"));
}

#[test]
fn the_next_change_of_a_domain_does_not_bring_the_fault_back() {
    let mut served = rolled_back();
    let mut api = served.manager.api();
    assert_eq!(api.post("/api/domain", &served.domain("next.example", "next").to_string()).status, 200);
    is_rolled_back(&served);
    assert!(served.is_served("next.example"));
    let domains = api.get("/api/domains").body;
    assert!(!domains.contains("fault.example") && domains.contains("next.example"), "{domains}");
    served.manager.kill_9();
    served.manager.start_again();
    is_rolled_back(&served);
    assert!(served.is_served("next.example"));
}

#[test]
fn a_kill_before_the_record_has_the_next_change_does_not_bring_the_fault_back() {
    let mut served = rolled_back();
    let (record, before) = (served.manager.dir().join("record"), served.manager.dir().join("before"));
    served.manager.kill_9();
    copy(&record, &before);
    served.manager.start_again();
    is_rolled_back(&served);
    let answer = served.manager.api().post("/api/domain", &served.domain("next.example", "next").to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    served.manager.kill_9();
    // As if it had been killed after HAProxy had got the change, and before the record had.
    fs::remove_dir_all(&record).unwrap();
    copy(&before, &record);
    served.manager.start_again();
    is_rolled_back(&served);
    assert!(!served.is_served("next.example"), "it was never acknowledged");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

#[test]
fn a_text_of_the_environment_that_cannot_be_taken_ends_the_start_with_its_name() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let not_utf8 = OsString::from_vec(b"a\xff".to_vec());
    for name in
        ["HAPROXY_DEFAULT_PAGE_TITLE", "HAPROXY_DEFAULT_MAIN_MESSAGE", "HAPROXY_DEFAULT_SECONDARY_MESSAGE"]
    {
        for bad in ["a\u{1}b".into(), "x".repeat(100_000).into(), not_utf8.clone()] {
            let failure = alone().env(name, bad).try_start().unwrap_err();
            assert!(failure.status.is_some_and(|status| !status.success()), "{failure:?}");
            assert!(failure.log.contains(name), "{name}: {}", failure.log);
        }
    }
}
