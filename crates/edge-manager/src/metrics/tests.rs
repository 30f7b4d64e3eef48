use super::*;

fn text(metrics: &Metrics) -> String {
    let state = State {
        rules: RuleCounts { allow: 1, block: 20, resource: 3 },
        revision: 7,
        listeners: 2,
        problems: vec![Kind::Rules],
        expiries: vec![("a.example".to_owned(), 9)],
    };
    metrics.text(&state).unwrap()
}

#[test]
fn all_that_is_counted_is_told() {
    let metrics = Metrics::new(5_000_000);
    metrics.count_request("GET", "/api/rules", 200);
    metrics.count_request("GET", "/api/rules", 200);
    metrics.count_request("BREW", "none", 404);
    metrics.count_rules(3, 1);
    metrics.count_enforcement(&Enforcement::InForce, Duration::from_millis(20));
    let not_enforced = Enforcement::StoredNotEnforced { reason: "gone".to_owned() };
    metrics.count_rules(1, 0);
    metrics.count_enforcement(&not_enforced, Duration::from_secs(5));
    metrics.count_repair();
    metrics.count_reload(true);
    metrics.count_reload(false);
    metrics.count_certificate(true);
    metrics.count_expiry_warning(14);
    let text = text(&metrics);
    for line in [
        r#"edge_manager_requests_total{method="GET",route="/api/rules",status="200"} 2"#,
        r#"edge_manager_requests_total{method="other",route="none",status="404"} 1"#,
        r#"edge_manager_rule_changes_total{change="made"} 4"#,
        r#"edge_manager_rule_changes_total{change="removed"} 1"#,
        r#"edge_manager_enforcement_seconds_bucket{le="0.01"} 0"#,
        r#"edge_manager_enforcement_seconds_bucket{le="0.025"} 1"#,
        "edge_manager_enforcement_seconds_count 1",
        "edge_manager_not_enforced_total 1",
        r#"edge_manager_reloads_total{result="done"} 1"#,
        r#"edge_manager_reloads_total{result="failed"} 1"#,
        r#"edge_manager_rules{kind="block"} 20"#,
        r#"edge_manager_certificate_orders_total{result="done"} 1"#,
        r#"edge_manager_certificate_warnings_total{days="14"} 1"#,
        r#"edge_manager_certificate_expiry_time_seconds{certificate="a.example"} 9"#,
        r#"edge_manager_degraded{about="rules"} 1"#,
        r#"edge_manager_degraded{about="haproxy"} 0"#,
        "edge_manager_rules_repairs_total 1",
        "edge_manager_revision 7",
        "edge_manager_event_listeners 2",
        "edge_manager_process_start_time_seconds 5",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}
