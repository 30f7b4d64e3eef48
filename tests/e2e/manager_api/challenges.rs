//! Proofs of control for certificates pass HAProxy, whatever is blocked, and nothing else does with them.

use edge_e2e::Request;
use serde_json::json;

use super::{Supervised, refused};

const CLIENT: &str = "203.0.113.7";

#[test]
fn a_proof_is_asked_of_the_manager_whatever_is_blocked() {
    let served = Supervised::start();
    let mut api = served.manager.api();
    assert_eq!(api.post("/api/blocked-ips", &json!({"ip_address": CLIENT}).to_string()).status, 200);
    let rule = json!({"target": "www.example/.well-known/*"});
    assert_eq!(api.post("/api/rules", &rule.to_string()).status, 200);
    let send = |request: Request| served.manager.send(&request.host("www.example").forwarded_for(CLIENT));
    let token = "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
    let answer = send(Request::get(token));
    assert_eq!(refused(&answer, 404), "no order needs a proof of this token");
    for path in [
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge/a/b",
        "/.well-known/acme-challenge/../../api/rules",
        "/.well-known/acme-challenge/%2e%2e",
        "/.well-known/acme-challenge/a.b",
        "/.well-known/acme-challenges/a",
        "/a/.well-known/acme-challenge/a",
    ] {
        assert_eq!(send(Request::get(path)).status, 403, "{path}");
    }
    assert_eq!(send(Request::new("POST", token)).status, 403);
}
