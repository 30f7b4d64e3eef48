//! A manager, without its listener.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use edge_manager::api::{App, Peer, Services};
use edge_manager::configuration::{Patience, Settings};
use edge_manager::haproxy::{Control, Program};
use edge_manager::site::GlobalInput;
use edge_manager::sites::Defaults;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

pub(crate) const NOW_US: u64 = 1_700_000_000_000_000;

pub(crate) struct Manager {
    pub(crate) dir: Arc<tempfile::TempDir>,
    pub(crate) app: Arc<App>,
    runtime: tokio::runtime::Runtime,
    router: Router,
}

impl Manager {
    /// One that starts for the first time.
    pub(crate) fn new() -> Self {
        Self::with(Defaults::default())
    }

    pub(crate) fn with(defaults: Defaults) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        std::fs::create_dir(dir.path().join("templates")).unwrap();
        Self::open(dir, defaults, None)
    }

    pub(crate) fn open(dir: Arc<tempfile::TempDir>, defaults: Defaults, global: Option<GlobalInput>) -> Self {
        let place = |name: &str| -> PathBuf { dir.path().join(name) };
        let services = Services {
            database: place("rules.db"),
            state_dir: place("state"),
            sockets: Vec::new(),
            wait: Duration::ZERO,
            environment_key: None,
            is_local: true,
            configuration: Settings {
                dir: place("haproxy"),
                templates: Some(place("templates")),
                program: Program::new("haproxy"),
                control: Control::Nobody,
                patience: Patience::default(),
            },
            defaults,
            certificates: edge_manager::certificates::Settings::of(place("certificates")),
        };
        let app = Arc::new(App::open(services, NOW_US).unwrap());
        app.sites.start(global, NOW_US).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Self { router: edge_manager::web::site(app.clone()), app, dir, runtime }
    }

    /// Closes it, and leaves its files.
    pub(crate) fn close(self) -> Arc<tempfile::TempDir> {
        self.dir.clone()
    }

    /// Status and body of the answer to an admin.
    pub(crate) fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.call_as(Peer::Control("admin".into()), None, method, path, body)
    }

    /// Status and body of the answer to a program of this machine without a key.
    pub(crate) fn call_locally(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.call_as(Peer::Network(([127, 0, 0, 1], 50_000).into()), None, method, path, body)
    }

    /// Status and body of the answer to this caller.
    pub(crate) fn call_as(
        &self,
        peer: Peer,
        key: Option<&str>,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, String) {
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:8000");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(peer);
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        })
    }

    /// The JSON of an answer that is 200.
    pub(crate) fn json(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, text) = self.call(method, path, body);
        assert_eq!(status, 200, "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The message of an answer that has this status.
    pub(crate) fn refused(&self, status: u16, method: &str, path: &str, body: &str) -> String {
        let (found, text) = self.call(method, path, body);
        assert_eq!(found, status, "{method} {path} {body}: {text}");
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["status"], "error", "{text}");
        let message = json["message"].as_str().unwrap().to_owned();
        assert!(!message.contains('\n'), "{message}");
        message
    }

    /// haproxy.cfg in force.
    pub(crate) fn haproxy_cfg(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("haproxy/current/haproxy.cfg")).unwrap()
    }

    /// Every file in force.
    pub(crate) fn files(&self) -> Value {
        self.json("GET", "/api/configuration", "")["files"].clone()
    }
}
