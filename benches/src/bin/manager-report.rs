//! What passes from an order to the manager's API until a client is refused: its own HTTP, the record on disk, the state
//! directory, HAProxy's word that the rule is in force, and one more request of the client, all on loopback.

use std::error::Error;
use std::time::{Duration, Instant};

use edge_e2e::{Api, Backend, KeepAlive, ManagerServer, Request};

/// Blocks of one address each.
const BLOCKS: u32 = 1000;

/// Addresses of one bulk, and how many bulks there are.
const BULK: u32 = 10_000;
const BULKS: u32 = 10;

/// Rules that are there beforehand in the second part.
const RULES: u32 = 100_000;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// What is promised of one block: at the 99th percentile, milliseconds.
const PROMISED_MS: f64 = 50.0;

fn main() -> Fallible<()> {
    if cfg!(debug_assertions) {
        return Err("a build without optimisations is not what is promised: cargo run --release".into());
    }
    let backend = Backend::start();
    let manager = ManagerServer::beside(&std::env::current_exe()?).supervising().start();
    let mut api = manager.api();
    let server = backend.addr();
    let domain = format!(
        r#"{{"domain":"www.example","backend_name":"site","servers":[{{"name":"s1","address":"{}","port":{}}}]}}"#,
        server.ip(),
        server.port()
    );
    done(&mut api, "/api/domain", &domain)?;
    let mut client = KeepAlive::new(manager.web_addr());

    println!("From sending an order to the API until the client is refused, milliseconds\n");
    println!("{:<44} {:>8} {:>8} {:>8} {:>8} {:>8}", "", "orders", "p50", "p90", "p99", "max");
    let ones = (0..BLOCKS).map(|n| one(&mut api, &mut client, n)).collect::<Fallible<Vec<_>>>()?;
    let alone_ms = tell("one address", ones);
    let bulks = (0..BULKS).map(|n| bulk(&mut api, &mut client, n)).collect::<Fallible<Vec<_>>>()?;
    tell("10,000 addresses in one request", bulks);
    for first in (BULKS * BULK..BULKS * BULK + RULES).step_by(BULK as usize) {
        order(&mut api, first)?;
    }
    let ones = (BLOCKS..2 * BLOCKS).map(|n| one(&mut api, &mut client, n)).collect::<Fallible<Vec<_>>>()?;
    let beside_ms = tell("one address, beside 200,000 others", ones);
    let worst_ms = alone_ms.max(beside_ms);
    println!("\n{worst_ms:.2} ms at the 99th percentile; {PROMISED_MS} ms are promised");
    if worst_ms > PROMISED_MS { Err("it is late".into()) } else { Ok(()) }
}

/// Blocks one address.
fn one(api: &mut Api, client: &mut KeepAlive, n: u32) -> Fallible<Duration> {
    let addr = format!("198.18.{}.{}", n / 256, n % 256);
    until_refused(client, &addr, || done(api, "/api/blocked-ips", &format!(r#"{{"ip_address":"{addr}"}}"#)))
}

/// Blocks many addresses at once.
fn bulk(api: &mut Api, client: &mut KeepAlive, n: u32) -> Fallible<Duration> {
    let last = address((n + 1) * BULK - 1);
    until_refused(client, &last, || order(api, n * BULK))
}

fn order(api: &mut Api, first: u32) -> Fallible<()> {
    let rules: Vec<_> = (first..first + BULK).map(|n| format!(r#"{{"target":"{}"}}"#, address(n))).collect();
    done(api, "/api/rules/bulk", &format!("[{}]", rules.join(",")))
}

fn address(n: u32) -> String {
    format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255)
}

fn until_refused(
    client: &mut KeepAlive,
    addr: &str,
    order: impl FnOnce() -> Fallible<()>,
) -> Fallible<Duration> {
    let request = Request::get("/yolo").forwarded_for(addr);
    if !client.send(&request)?.is_from_backend() {
        return Err(format!("{addr} is refused before it is blocked").into());
    }
    let start = Instant::now();
    order()?;
    let answer = client.send(&request)?;
    let took = start.elapsed();
    if answer.is_from_backend() { Err(format!("{addr} is blocked, and served").into()) } else { Ok(took) }
}

/// An order that is done, and in force.
fn done(api: &mut Api, target: &str, body: &str) -> Fallible<()> {
    let answer = api.try_call("POST", target, body)?;
    let is_done = matches!(answer.status, 200 | 201)
        && !answer.body.contains("not_enforced")
        && !answer.body.contains("not yet");
    if is_done { Ok(()) } else { Err(format!("POST {target}: {} {}", answer.status, answer.body).into()) }
}

/// Prints a row; the 99th percentile, milliseconds.
fn tell(what: &str, mut times: Vec<Duration>) -> f64 {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1].as_secs_f64() * 1e3;
    let count = times.len();
    println!("{what:<44} {count:>8} {:>8.2} {:>8.2} {:>8.2} {:>8.2}", at(50), at(90), at(99), at(100));
    at(99)
}
