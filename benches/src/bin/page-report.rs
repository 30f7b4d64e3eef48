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
const ROUNDS: usize = 100;

/// What all but the slowest in a hundred answers of a page may take.
const BOUND: Duration = Duration::from_millis(200);

/// Pages beside those of clients.
const OTHERS: [&str; 3] = ["/", "/resources?origin=manual", "/audit"];

/// What each page of clients is asked for with: a kind that many and one that few have, all lists, one that many are of and one
/// that few are of.
const KINDS: [&str; 2] = ["block", "allow"];
const LISTS: [&str; 3] = ["", "many", "few"];

/// The ways to look at clients: each order from its begin and from its midst, what begins with a text, what takes in an
/// address or a network, and what has ended too.
const WAYS: [&str; 12] = [
    "order=newest",
    "order=newest&after=500000",
    "order=oldest",
    "order=oldest&after=500000",
    "order=address",
    "order=address&after=10.7.0.0",
    "order=ending",
    "order=newest&ended=with",
    "q=1",
    "q=192.",
    "q=10.7.7.7",
    "q=10.7.0.0/16",
];

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    let program = std::env::current_exe()?;
    let manager = start(&program);
    let mut client = KeepAlive::new(manager.addr());
    let began = Instant::now();
    for first in (0..CLIENTS).step_by(BULK as usize) {
        let ttl = |n: u32| if n.is_multiple_of(10) { r#","ttl":864000"# } else { "" };
        let rule = |n: u32| {
            format!(r#"{{"ip":"10.{}.{}.{}","list":"many"{}}}"#, n >> 16, n >> 8 & 255, n & 255, ttl(n))
        };
        make(&mut client, manager.addr(), (first..first + BULK).map(rule))?;
    }
    let took = began.elapsed();
    let rule = |n: u32| format!(r#"{{"target":"shop-{}.example/page/{n}"}}"#, n % 100);
    make(&mut client, manager.addr(), (0..RESOURCES).map(rule))?;
    let few = |n: u32| format!(r#"{{"ip":"192.0.2.{n}","list":"few"}}"#);
    make(&mut client, manager.addr(), (0..60).map(few))?;
    let allowed = |n: u32| format!(r#"{{"ip":"198.51.100.{n}","kind":"allow","list":"few"}}"#);
    make(&mut client, manager.addr(), (0..60).map(allowed))?;

    println!(
        "Rendering a page with {CLIENTS} blocked clients and {RESOURCES} rules on resources, milliseconds; without a \
         HAProxy\n"
    );
    println!("Making the clients, {BULK} at a time: {took:.1?}\n");
    println!("{:<64} {:>8} {:>8} {:>8} {:>8}", "", "first", "p50", "p99", "max");
    let mut slow = Vec::new();
    for path in pages() {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let request = Request::get(&path).host(&manager.addr().to_string());
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
        let at = |percent: usize| times[ROUNDS * percent / 100 - 1];
        let (p50, p99, most) = (at(50), at(99), times[ROUNDS - 1]);
        println!("{path:<64} {:>8.1} {:>8.1} {:>8.1} {:>8.1}", ms(first), ms(p50), ms(p99), ms(most));
        if p99 > BOUND {
            slow.push(path);
        }
    }
    if slow.is_empty() { Ok(()) } else { Err(format!("more than {BOUND:?}: {slow:?}").into()) }
}

/// What is asked for.
fn pages() -> Vec<String> {
    let mut pages: Vec<_> = OTHERS.map(str::to_owned).into();
    for kind in KINDS {
        for list in LISTS {
            pages.extend(WAYS.map(|way| format!("/clients?kind={kind}&list={list}&{way}")));
        }
    }
    pages
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
