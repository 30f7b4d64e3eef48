use crate::harness::Manager;

#[test]
fn what_is_done_is_counted() {
    let manager = Manager::start().with_haproxy();
    manager.send("POST", "/api/rules", r#"{"ip":"192.0.2.1"}"#);
    manager.send("POST", "/api/rules", r#"{"ip":"192.0.2.1"}"#);
    manager.send("POST", "/api/blocked-ips", r#"{"ip_address":"192.0.2.2"}"#);
    manager.send("POST", "/api/rules", r#"{"url":"/a"}"#);
    manager.send("DELETE", "/api/rules/1", "");
    manager.get("/none/at/all");
    let answer = manager.get("/metrics");
    assert!(
        answer.head.contains("\r\ncontent-type: application/openmetrics-text; version=1.0.0"),
        "{}",
        answer.head
    );
    for line in [
        r#"edge_manager_requests_total{method="POST",route="/api/rules",status="200"} 2"#,
        r#"edge_manager_requests_total{method="POST",route="/api/rules",status="409"} 1"#,
        r#"edge_manager_requests_total{method="DELETE",route="/api/rules/{id}",status="200"} 1"#,
        r#"edge_manager_requests_total{method="GET",route="none",status="404"} 1"#,
        r#"edge_manager_rule_changes_total{change="made"} 3"#,
        r#"edge_manager_rule_changes_total{change="removed"} 1"#,
        "edge_manager_enforcement_seconds_count 4",
        r#"edge_manager_rules{kind="allow"} 0"#,
        r#"edge_manager_rules{kind="block"} 1"#,
        r#"edge_manager_rules{kind="resource"} 1"#,
        "edge_manager_revision 4",
    ] {
        assert!(answer.body.lines().any(|found| found == line), "{line}\n{}", answer.body);
    }
    let help = answer.body.lines().filter(|line| line.starts_with("# TYPE "));
    assert!(help.clone().count() > 5 && help.clone().all(|line| line.starts_with("# TYPE edge_manager_")));
}
