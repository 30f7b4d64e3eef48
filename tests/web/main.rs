//! The page in a real browser, before the real manager and the real HAProxy.

mod accessible;
mod certificates;
mod changes;
mod explained;
mod forms;
mod looks;
mod pebble;
mod safety;
mod served;
mod shots;
mod states;
mod tls;

use std::path::Path;

use edge_e2e::{Backend, Browser, Look, ManagerServer, ManagerServerBuilder, Request};
use serde_json::json;
use tempfile::TempDir;

/// What is used as `HAPROXY_API_KEY`.
const KEY: &str = "correct-horse-battery-staple";

/// A manager that supervises HAProxy before a backend of ours, and somebody who looks at its page.
struct Site {
    manager: ManagerServer,
    backend: Backend,
    browser: Browser,
    /// Where its templates are, of which there are none at first.
    templates: TempDir,
}

impl Site {
    /// With `www.example` served, and nobody logged in.
    fn start(look: Look) -> Self {
        Self::start_with(look, |builder| builder)
    }

    fn start_with(look: Look, change: impl FnOnce(ManagerServerBuilder) -> ManagerServerBuilder) -> Self {
        let backend = Backend::start();
        let builder = ManagerServer::beside(Path::new(env!("CARGO_BIN_EXE_edge-rules-writer"))).supervising();
        let templates = tempfile::tempdir().expect("a directory");
        let manager = change(builder.key(KEY).env("EDGE_TEMPLATE_DIR", templates.path())).start();
        let (ip, port) = (backend.addr().ip(), backend.addr().port());
        let domain = json!({
            "domain": "www.example",
            "backend_name": "site",
            "servers": [{"name": "s1", "address": ip, "port": port, "options": "check"}],
        });
        let answer = manager.api().post("/api/domain", &domain.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        Self { manager, backend, browser: Browser::start(look), templates }
    }

    /// With an admin logged in.
    fn with_admin(look: Look) -> Self {
        let site = Self::start(look);
        site.log_in(KEY);
        site
    }

    fn log_in(&self, key: &str) {
        self.open("/login");
        self.browser.fill("#key", key);
        self.browser.click("main button");
        self.browser.text_of("nav[aria-label=Pages]");
    }

    /// A key of this role.
    fn key(&self, role: &str) -> String {
        let output = self.manager.command(&["key", "add", role, "--role", role]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// Has `www.example` served by TLS.
    fn have_certificate(&self, certificate: &str, key: &str) {
        let body = json!({"domain": "www.example", "certificate": certificate, "key": key});
        let answer = self.manager.api().post("/api/certificates/upload", &body.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    fn open(&self, path: &str) {
        self.browser.open(&format!("http://{}{path}", self.manager.addr()));
    }

    /// Whether HAProxy refuses this client.
    fn refuses(&self, client: &str) -> bool {
        !self.manager.send(&Request::get("/yolo").forwarded_for(client)).is_from_backend()
    }

    /// Whether HAProxy serves this request.
    fn serves(&self, host: &str, path: &str) -> bool {
        self.manager.send(&Request::get(path).host(host)).is_from_backend()
    }
}
