//! The demo that walks by itself: each step says what is expected, who answered, and whether that is right.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use edge_e2e::{Backend, Port, Request, Response, ServeProcess};

use crate::managed::{ALLOWED, Grounds, start_manager};
use crate::stage::{Places, run_dir, start_backend, start_haproxy};

/// Long enough for the steps before its end on a busy machine.
const TTL_S: u32 = 10;

/// The TTL has ended by then, and the backend has to be asked at last.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Backend,
    Edge,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Backend => "the backend",
            Self::Edge => "the edge",
        }
    }
}

/// Walks through what the filter does, with the shipped haproxy.cfg, and then below the manager.
pub(crate) fn walk() -> Result<(), String> {
    let backend = start_backend((Ipv4Addr::LOCALHOST, 0).into(), TTL_S)?;
    through_the_filter(&backend)?;
    println!();
    through_the_manager(&backend)?;
    println!("\nAll as expected.");
    Ok(())
}

fn reserve() -> Result<Port, String> {
    Port::reserve().map_err(|e| format!("no free port: {e}"))
}

fn as_client(addr: &str) -> Request {
    Request::get("/yolo").forwarded_for(addr)
}

fn through_the_filter(backend: &Backend) -> Result<(), String> {
    let dir = run_dir()?;
    let (web, metrics) = (reserve()?, reserve()?);
    let places = Places { web: web.addr(), metrics: metrics.addr(), run_dir: dir.path().to_owned() };
    let haproxy = start_haproxy(places, backend.addr())?;
    println!("HAProxy with haproxy/haproxy.cfg on {}, backend on {}\n", web.addr(), backend.addr());

    let mut walk = Walk { web: web.addr(), backend, wrong: 0 };
    let yolo = Request::get("/yolo");
    let yeet = Request::get("/yeet");
    walk.step("a page that exists", "GET /yolo", &yolo, 200, By::Backend);
    walk.step("a page that does not, the backend says so", "GET /yeet", &yeet, 404, By::Backend);
    walk.step("the edge has learned", "GET /yeet", &yeet, 404, By::Edge);
    walk.step("however it is spelled", "GET /a/..//%79eet", &Request::get("/a/..//%79eet"), 404, By::Edge);
    walk.step("only that resource", "GET /yeetish", &Request::get("/yeetish"), 200, By::Backend);
    println!("  ... {TTL_S} seconds pass, the TTL ends");
    walk.await_backend("the backend is asked again", "GET /yeet", &yeet, 404);
    let asks = |addr: &str| format!("GET /yolo as {addr}");
    walk.step("203.0.113.0/24 is blocked", &asks("203.0.113.50"), &as_client("203.0.113.50"), 403, By::Edge);
    walk.step("203.0.113.7 is allowed", &asks(ALLOWED), &as_client(ALLOWED), 200, By::Backend);
    walk.step("its neighbour is not", &asks("203.0.113.8"), &as_client("203.0.113.8"), 403, By::Edge);
    walk.end(&haproxy.log())
}

fn through_the_manager(backend: &Backend) -> Result<(), String> {
    let (run_dir, next_run_dir, home) = (run_dir()?, run_dir()?, run_dir()?);
    let (web, metrics) = (reserve()?, reserve()?);
    let log = run_dir.path().join("log");
    let grounds = Grounds {
        api: (Ipv4Addr::LOCALHOST, 0).into(),
        web: web.addr(),
        metrics: metrics.addr(),
        run_dir: run_dir.path().to_owned(),
        home: home.path().to_owned(),
        log: Some(log.clone()),
    };
    let (mut manager, mut api) = start_manager(&grounds, backend)?;
    println!("The manager with HAProxy on {}\n", web.addr());

    let mut walk = Walk { web: web.addr(), backend, wrong: 0 };
    let (client, request) = (as_client("198.51.100.7"), "GET /yolo as 198.51.100.7");
    let body = r#"{"ip_address":"198.51.100.7","reason":"scans"}"#;
    walk.step("a client like any other", request, &client, 200, By::Backend);
    let answer = api.try_call("POST", "/api/blocked-ips", body);
    walk.hold(
        "the API blocks it",
        "POST /api/blocked-ips",
        answer,
        r#""message":"IP 198.51.100.7 has been blocked"}"#,
    );
    walk.step("it is refused from the answer on", request, &client, 403, By::Edge);
    let answer = api.try_call("GET", "/api/blocked-ips", "");
    walk.hold(
        "the record knows it",
        "GET /api/blocked-ips",
        answer,
        r#""ip_address":"198.51.100.7","reason":"scans""#,
    );
    let answer = api.try_call("DELETE", "/api/blocked-ips", body);
    walk.hold("the API unblocks it", "DELETE /api/blocked-ips", answer, "has been unblocked\"}");
    walk.step("it is served again", request, &client, 200, By::Backend);
    let asks = |addr: &str| format!("GET /yolo as {addr}");
    walk.step("a blocked network", &asks("203.0.113.50"), &as_client("203.0.113.50"), 403, By::Edge);
    walk.step("a client in it that is allowed", &asks(ALLOWED), &as_client(ALLOWED), 200, By::Backend);
    let answer = api.try_call("POST", "/api/config/reload", "");
    walk.hold("HAProxy is reloaded", "POST /api/config/reload", answer, "reloaded safely\"}");
    walk.step("nothing of it is lost", &asks("203.0.113.50"), &as_client("203.0.113.50"), 403, By::Edge);
    walk.stop(&mut manager)?;
    let mut said = fs::read_to_string(log).unwrap_or_default();
    // Of the run before only the record and what lies beside it are there.
    drop(run_dir);
    let log = next_run_dir.path().join("log");
    let run_dir = next_run_dir.path().to_owned();
    let (mut manager, _) = start_manager(&Grounds { run_dir, log: Some(log.clone()), ..grounds }, backend)?;
    let (title, client) = ("all starts again on its record", "203.0.113.50");
    walk.step(title, &asks(client), &as_client(client), 403, By::Edge);
    walk.stop(&mut manager)?;
    said.push_str(&fs::read_to_string(log).unwrap_or_default());
    walk.end(&said)
}

struct Walk<'a> {
    web: SocketAddr,
    backend: &'a Backend,
    wrong: u32,
}

impl Walk<'_> {
    fn stop(&mut self, manager: &mut ServeProcess) -> Result<(), String> {
        let status = manager.stop().map_err(|e| e.to_string())?;
        if !status.success() {
            self.wrong += 1;
            println!("  WRONG  the manager ended with {status}");
        }
        Ok(())
    }

    fn step(&mut self, title: &str, request: &str, sent: &Request, status: u16, by: By) {
        let seen = self.ask(sent);
        self.judge(title, request, &seen, status, by);
    }

    /// As [`Walk::step`], but the answer of the backend may be a while in coming.
    fn await_backend(&mut self, title: &str, request: &str, sent: &Request, status: u16) {
        let mut seen = self.ask(sent);
        let mut waited = Duration::ZERO;
        while !matches!(seen, Ok((_, By::Backend))) && waited < PATIENCE {
            thread::sleep(PAUSE);
            waited += PAUSE;
            seen = self.ask(sent);
        }
        self.judge(title, request, &seen, status, By::Backend);
    }

    /// The answer, and who gave it: by what the backend was asked, not by what the answer says.
    fn ask(&self, sent: &Request) -> Result<(Response, By), String> {
        let before = self.backend.asked_in_all();
        let answer = sent.send(self.web).map_err(|e| e.to_string())?;
        let by = if self.backend.asked_in_all() > before { By::Backend } else { By::Edge };
        Ok((answer, by))
    }

    /// An answer of the API, which must have this in it.
    fn hold(&mut self, title: &str, request: &str, answer: io::Result<Response>, wanted: &str) {
        let said = match answer {
            Ok(answer) if answer.status == 200 && answer.body.contains(wanted) => {
                println!("  ok     {request:<27} {:<22} {title}", "200 from the manager");
                return;
            }
            Ok(answer) => format!("{} {}", answer.status, answer.body),
            Err(e) => format!("no answer: {e}"),
        };
        self.wrong += 1;
        println!("  WRONG  {request:<27} {said} {title}: expected {wanted}");
    }

    fn end(&self, log: &str) -> Result<(), String> {
        match self.wrong {
            0 => Ok(()),
            wrong => Err(format!("\n{wrong} steps were wrong. What was logged:\n{log}")),
        }
    }

    fn judge(
        &mut self,
        title: &str,
        request: &str,
        seen: &Result<(Response, By), String>,
        status: u16,
        by: By,
    ) {
        let (right, said) = match seen {
            Ok((answer, who)) => {
                let hidden = answer.header("x-edge-resource").is_none();
                (
                    answer.status == status && *who == by && hidden,
                    format!("{} from {}", answer.status, who.name()),
                )
            }
            Err(e) => (false, format!("no answer: {e}")),
        };
        if right {
            println!("  ok     {request:<27} {said:<22} {title}");
        } else {
            self.wrong += 1;
            println!("  WRONG  {request:<27} {said:<22} {title}: expected {status} from {}", by.name());
        }
    }
}
