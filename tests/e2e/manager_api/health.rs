//! Whether it is well, and who may know.

use edge_e2e::{Api, eventually};

use super::{Beside, Supervised, alone, is};

const HEALTHY: &str = r#"{"status":"healthy","haproxy_status":"running","database":"connected"}"#;

#[test]
fn it_is_healthy_while_haproxy_runs() {
    let mut served = Beside::start_with(|builder| builder.key("the-key"));
    // A load balancer has no key.
    let mut api = Api::new(served.manager.addr());
    is(&api.get("/health"), 200, HEALTHY);
    served.edge.crash();
    let sick =
        eventually("a check that fails", || Some(api.get("/health")).filter(|sick| sick.status != 200));
    assert_eq!(sick.status, 500, "{sick:?}");
    assert!(sick.body.starts_with(r#"{"status":"unhealthy","#), "{sick:?}");
    served.edge.start_again();
    eventually("health again", || (api.get("/health").body == HEALTHY).then_some(()));
}

#[test]
fn it_is_healthy_while_the_haproxy_that_it_supervises_runs() {
    let served = Supervised::start();
    is(&served.manager.api().get("/health"), 200, HEALTHY);
}

#[test]
fn without_haproxy_it_is_not_healthy_but_answers() {
    let manager = alone().start();
    let mut api = manager.api();
    let sick = api.get("/health");
    assert_eq!(sick.status, 500, "{sick:?}");
    let told = sick.json();
    assert_eq!((&told["status"], &told["database"]), (&"unhealthy".into(), &"connected".into()), "{sick:?}");
    is(&api.get("/api/blocked-ips"), 200, "[]");
}
