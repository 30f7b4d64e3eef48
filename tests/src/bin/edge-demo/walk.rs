//! The demo that walks by itself: each step says what is expected, who answered, and whether that is right.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use edge_e2e::{Backend, Port, Request, Response};

use crate::stage::{Places, run_dir, start_backend, start_haproxy};

const TTL_S: u32 = 3;

/// How long after the end of the TTL the backend has to be asked at last.
const PATIENCE: Duration = Duration::from_secs(10);
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

/// Walks through what the filter does.
pub(crate) fn walk() -> Result<(), String> {
    let dir = run_dir()?;
    let reserve = || Port::reserve().map_err(|e| format!("no free port: {e}"));
    let (web, metrics) = (reserve()?, reserve()?);
    let backend = start_backend((Ipv4Addr::LOCALHOST, 0).into(), TTL_S)?;
    let places = Places {
        web: web.addr(),
        metrics: metrics.addr(),
        run_dir: dir.path().to_owned(),
        state_dir: None,
        output_dir: Some(dir.path().to_owned()),
    };
    let haproxy = start_haproxy(places, backend.addr())?;
    println!("HAProxy on {}, backend on {}\n", web.addr(), backend.addr());

    let mut walk = Walk { web: web.addr(), backend: &backend, wrong: 0 };
    let yolo = Request::get("/yolo");
    let yeet = Request::get("/yeet");
    walk.step("a page that exists", "GET /yolo", &yolo, 200, By::Backend);
    walk.step("a page that does not, the backend says so", "GET /yeet", &yeet, 404, By::Backend);
    walk.step("the edge has learned", "GET /yeet", &yeet, 404, By::Edge);
    walk.step("however it is spelled", "GET /a/..//%79eet", &Request::get("/a/..//%79eet"), 404, By::Edge);
    walk.step("only that resource", "GET /yeetish", &Request::get("/yeetish"), 200, By::Backend);
    println!("  ... {TTL_S} seconds pass, the TTL ends");
    thread::sleep(Duration::from_secs(TTL_S.into()) + PAUSE);
    walk.await_backend("the backend is asked again", "GET /yeet", &yeet, 404);
    let client = |addr: &str| Request::get("/yolo").forwarded_for(addr);
    walk.step(
        "203.0.113.0/24 is blocked",
        "GET /yolo as 203.0.113.50",
        &client("203.0.113.50"),
        403,
        By::Edge,
    );
    walk.step("203.0.113.7 is allowed", "GET /yolo as 203.0.113.7", &client("203.0.113.7"), 200, By::Backend);
    walk.step("its neighbour is not", "GET /yolo as 203.0.113.8", &client("203.0.113.8"), 403, By::Edge);

    match walk.wrong {
        0 => {
            println!("\nAll as expected.");
            Ok(())
        }
        wrong => Err(format!("\n{wrong} steps were wrong. HAProxy said:\n{}", haproxy.log())),
    }
}

struct Walk<'a> {
    web: SocketAddr,
    backend: &'a Backend,
    wrong: u32,
}

impl Walk<'_> {
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
