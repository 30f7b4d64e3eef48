//! How long the manager takes to render a page, with a million rules in its record: from the request to the last byte of
//! the answer, on loopback, without a HAProxy.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use edge_e2e::{KeepAlive, ManagerServer, Request};

/// Blocked clients, and rules on resources beside them.
const CLIENTS: u32 = 1_000_000;
const RESOURCES: u32 = 50_000;

/// Rules of one change.
const BULK: u32 = 100_000;

/// Times that each page is asked for.
const ROUNDS: usize = 30;

/// What each page may take.
const BOUND: Duration = Duration::from_millis(200);

/// What is asked for.
const PAGES: [(&str, &str); 12] = [
    ("overview", "/"),
    ("clients, the newest", "/clients"),
    ("clients, deep in the list", "/clients?order=oldest&after=500000"),
    ("clients, by address", "/clients?order=address&after=10.7.0.0"),
    ("clients, ending first", "/clients?order=ending"),
    ("clients, of a list of few", "/clients?list=few"),
    ("clients, of a list of many", "/clients?list=many&order=oldest&after=400000"),
    ("clients, that begin with 1", "/clients?q=1"),
    ("clients, is it blocked", "/clients?q=10.7.7.7"),
    ("clients, allowed: none", "/clients?kind=allow"),
    ("resources", "/resources?origin=manual"),
    ("audit", "/audit"),
];

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    let program = std::env::current_exe()?;
    let manager = start(&program);
    let mut client = KeepAlive::new(manager.addr());
    for first in (0..CLIENTS).step_by(BULK as usize) {
        let ttl = |n: u32| if n.is_multiple_of(10) { r#","ttl":864000"# } else { "" };
        let rule = |n: u32| {
            format!(r#"{{"ip":"10.{}.{}.{}","list":"many"{}}}"#, n >> 16, n >> 8 & 255, n & 255, ttl(n))
        };
        make(&mut client, manager.addr(), (first..first + BULK).map(rule))?;
    }
    let rule = |n: u32| format!(r#"{{"target":"shop-{}.example/page/{n}"}}"#, n % 100);
    make(&mut client, manager.addr(), (0..RESOURCES).map(rule))?;
    let few = |n: u32| format!(r#"{{"ip":"192.0.2.{n}","list":"few"}}"#);
    make(&mut client, manager.addr(), (0..60).map(few))?;

    println!(
        "Rendering a page with {CLIENTS} blocked clients and {RESOURCES} rules on resources, milliseconds\n"
    );
    println!("{:<32} {:>8} {:>8} {:>8}", "", "first", "p50", "max");
    let mut is_slow = false;
    for (name, path) in PAGES {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let request = Request::get(path).host(&manager.addr().to_string());
            let began = Instant::now();
            let answer = client.send(&request)?;
            times.push(began.elapsed());
            if answer.status != 200 {
                return Err(format!("{path}: {answer:?}").into());
            }
        }
        let first = times[0];
        times.sort();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "{name:<32} {:>8.1} {:>8.1} {:>8.1}",
            ms(first),
            ms(times[ROUNDS / 2]),
            ms(times[ROUNDS - 1])
        );
        is_slow |= times[ROUNDS / 2] > BOUND;
    }
    if is_slow { Err(format!("a page takes more than {BOUND:?}").into()) } else { Ok(()) }
}

fn start(program: &Path) -> ManagerServer {
    ManagerServer::beside(program).start()
}

fn make(client: &mut KeepAlive, to: SocketAddr, rules: impl Iterator<Item = String>) -> Fallible<()> {
    let lines = rules.collect::<Vec<_>>().join("\n");
    let request = Request::new("POST", "/api/rules/bulk").host(&to.to_string());
    let answer = client.send(&request.header("Content-Type", "application/x-ndjson").body(&lines))?;
    if answer.status == 200 { Ok(()) } else { Err(format!("{} {}", answer.status, answer.body).into()) }
}
