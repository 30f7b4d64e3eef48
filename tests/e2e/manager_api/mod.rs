//! The manager's API, as clients call it, and what HAProxy does then.

mod access;
mod acme_validation;
mod blocks;
mod bodies;
mod commands;
mod crowd;
mod damaged;
mod domains;
mod enforcement;
mod health;
mod hung;
mod life;
mod local;
mod rolled_back;
mod secrets;
mod temporary;

use std::path::Path;

use edge_e2e::{Api, Backend, Edge, ManagerServer, ManagerServerBuilder, Mode, Request, Response, StateHome};
use serde_json::{Value, json};

/// A manager on its own: no HAProxy is there.
fn alone() -> ManagerServerBuilder {
    ManagerServer::beside(Path::new(env!("CARGO_BIN_EXE_edge-rules-writer")))
}

/// A manager beside an HAProxy that only follows its rules.
struct Beside {
    manager: ManagerServer,
    edge: Edge,
    _home: StateHome,
    _backend: Backend,
}

impl Beside {
    fn start() -> Self {
        Self::start_with(|builder| builder)
    }

    fn start_with(change: impl FnOnce(ManagerServerBuilder) -> ManagerServerBuilder) -> Self {
        let (backend, home) = (Backend::start(), StateHome::new(Mode::WORKER));
        let edge = Edge::before(&backend, Mode::WORKER).state(&home).start();
        let manager = change(alone().beside_edge(&edge, &home)).start();
        Self { manager, edge, _home: home, _backend: backend }
    }

    fn is_refused(&self, addr: &str) -> bool {
        self.edge.refuses(&Request::get("/yolo").forwarded_for(addr))
    }
}

/// A manager that supervises HAProxy, which serves `www.example` from a backend of ours.
struct Supervised {
    manager: ManagerServer,
    backend: Backend,
}

impl Supervised {
    fn start() -> Self {
        Self::start_with(|builder| builder)
    }

    /// With an admin's key, which its client sends.
    fn start_with(change: impl FnOnce(ManagerServerBuilder) -> ManagerServerBuilder) -> Self {
        Self::of(change(alone().supervising().key("a-key-of-the-tests")))
    }

    /// Without any key.
    fn without_key() -> Self {
        Self::of(alone().supervising())
    }

    fn of(manager: ManagerServerBuilder) -> Self {
        let backend = Backend::start();
        let manager = manager.start();
        let served = Self { manager, backend };
        let answer =
            served.manager.api().post("/api/domain", &served.domain("www.example", "site").to_string());
        assert_eq!(answer.body, r#"{"status":"success","domain_id":1}"#, "{answer:?}");
        served
    }

    /// What makes HAProxy serve a domain from our backend.
    fn domain(&self, domain: &str, backend_name: &str) -> Value {
        let (ip, port) = (self.backend.addr().ip(), self.backend.addr().port());
        json!({
            "domain": domain,
            "backend_name": backend_name,
            "servers": [{"name": "s1", "address": ip, "port": port, "options": ""}],
        })
    }

    fn is_refused(&self, addr: &str) -> bool {
        !self.manager.send(&Request::get("/yolo").forwarded_for(addr)).is_from_backend()
    }

    fn is_served(&self, host: &str) -> bool {
        self.manager.send(&Request::get("/").host(host)).is_from_backend()
    }
}

/// Asserts a status, and a body byte for byte.
#[track_caller]
fn is(answer: &Response, status: u16, body: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, body), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
}

/// Asserts an error of this status, in the one form that errors have; its message.
#[track_caller]
fn refused(answer: &Response, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
    let whole = format!(r#"{{"status":"error","message":{}}}"#, Value::from(message.as_str()));
    assert_eq!(answer.body, whole, "not the form of errors");
    assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
    message
}

/// The addresses that `GET /api/blocked-ips` lists.
fn blocked(api: &mut Api) -> Vec<String> {
    let answer = api.get("/api/blocked-ips");
    assert_eq!(answer.status, 200, "{answer:?}");
    let rows = answer.json();
    let rows = rows.as_array().expect("an array");
    rows.iter().map(|row| row["ip_address"].as_str().expect("a text").to_owned()).collect()
}
