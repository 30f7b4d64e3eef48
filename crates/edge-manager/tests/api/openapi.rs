use std::collections::BTreeSet;

use edge_manager::access::Role;
use serde_json::Value;

use crate::harness::Manager;

fn description() -> Value {
    Manager::start().get("/openapi.json").json()
}

#[test]
fn every_route_is_described() {
    let description = description();
    assert_eq!(description["openapi"], "3.1.0");
    let routes: BTreeSet<_> = edge_manager::api::list()
        .into_iter()
        .map(|route| (route.path, route.method.as_str().to_ascii_lowercase(), route.role.is_some()))
        .collect();
    let mut described = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let needs_key = operation["security"][0]["key"].is_array();
            described.insert((path.clone(), method.clone(), needs_key));
        }
    }
    assert_eq!(described, routes);
    assert!(routes.len() >= 16, "{routes:?}");
    assert_eq!(description["components"]["securitySchemes"]["key"]["scheme"], "bearer");
}

#[test]
fn every_answer_is_described() {
    let description = description();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            let mut needed = vec!["200", "500", "503"];
            if operation["security"].is_array() {
                needed.extend(["401", "403"]);
            }
            if operation["requestBody"].is_object() {
                needed.extend(["400", "408", "413", "415"]);
            }
            if operation["parameters"].is_array() && method == "get" && path != "/api/events" {
                needed.push("400");
            }
            for status in needed {
                assert!(responses.contains_key(status), "{place}: {status}");
            }
            for (status, response) in responses {
                let content = response["content"].as_object().unwrap_or_else(|| panic!("{place} {status}"));
                assert!(
                    !content.is_empty() && content.values().all(|of| of["schema"].is_object()),
                    "{place} {status}"
                );
            }
            assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{place}");
        }
    }
}

/// All references, wherever they are.
fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
    let description = description();
    let mut found = BTreeSet::new();
    references(&description, &mut found);
    assert!(found.len() > 5);
    for reference in found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(description.pointer(place).is_some(), "{reference}");
    }
    let mut names = BTreeSet::new();
    for item in description["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{name} is there twice");
        }
    }
}

#[test]
fn the_forms_of_requests_are_exact() {
    let description = description();
    let schemas = &description["components"]["schemas"];
    for name in ["NewRule", "Removal", "Bulk"] {
        assert_eq!(schemas[name]["additionalProperties"], false, "{name} {}", schemas[name]);
        assert_eq!(schemas[name]["required"], Value::Null, "{name}");
    }
    assert_eq!(schemas["NewRule"]["properties"]["ttl"]["minimum"], 1);
    assert_eq!(schemas["Rule"]["properties"]["expires_at_s"]["type"], serde_json::json!(["integer", "null"]));
    assert!(schemas["Rule"]["required"].as_array().unwrap().contains(&"expires_at_s".into()));
    assert!(!schemas["Rule"]["required"].as_array().unwrap().contains(&"conditions".into()));
}

/// Method, path and role of every endpoint of the table in the README.
fn table(readme: &str) -> BTreeSet<(String, String, String)> {
    let mut found = BTreeSet::new();
    let (_, table) = readme.split_once("| endpoint | role | |\n|---|---|---|\n").unwrap();
    for row in table.lines().take_while(|row| row.starts_with('|')) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let roles: Vec<_> = cells[2].split(", ").collect();
        let mut methods = Vec::new();
        for word in cells[1].split([' ', ',', '`']).filter(|word| !word.is_empty()) {
            if word.starts_with('/') {
                for (at, method) in methods.drain(..).enumerate() {
                    let role = roles[at.min(roles.len() - 1)];
                    found.insert((method, word.to_owned(), role.to_owned()));
                }
            } else {
                methods.push(word.to_owned());
            }
        }
    }
    found
}

#[test]
fn the_readme_has_every_route_with_its_role() {
    let readme = include_str!("../../../../README.md");
    let role = |role: Option<Role>| role.map_or("", |role| role.of_keys().name()).to_owned();
    let routes = edge_manager::api::list().into_iter();
    let routes: BTreeSet<_> =
        routes.map(|route| (route.method.to_string(), route.path, role(route.role))).collect();
    let table = table(readme);
    assert_eq!(table, routes);
}
