//! The demo to try out: it stands until Ctrl-C.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use edge_e2e::ServeProcess;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::managed::{Grounds, start_manager};
use crate::stage::{home_dir, refuse_taken, run_dir, start_backend};

const API_PORT: u16 = 8000;
const WEB_PORT: u16 = 8080;
const BACKEND_PORT: u16 = 8081;
const METRICS_PORT: u16 = 8404;

/// Long enough to see the edge answer, short enough to see it end.
const TTL_S: u32 = 30;

const PAUSE: Duration = Duration::from_millis(100);

/// Options of `edge-demo backend`.
pub(crate) struct Options {
    listen: SocketAddr,
    ttl_s: u32,
}

impl Options {
    pub(crate) fn read(arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self { listen: loopback(BACKEND_PORT), ttl_s: TTL_S };
        for option in arguments.chunks(2) {
            match *option {
                ["--listen", addr] => options.listen = addr.parse().map_err(|_| not(addr, "ADDR:PORT"))?,
                ["--ttl", ttl] => options.ttl_s = ttl.parse().map_err(|_| not(ttl, "a number of seconds"))?,
                _ => return Err(not(option[0], "an option with its value: --listen ADDR:PORT or --ttl N")),
            }
        }
        Ok(options)
    }
}

fn not(text: &str, wanted: &str) -> String {
    format!("{text:?} is not {wanted}")
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The manager, HAProxy below it, and the backend, on the ports that people know.
pub(crate) fn run() -> Result<(), String> {
    let stop = stop_flag()?;
    let (run_dir, home) = (run_dir()?, home_dir()?);
    for port in [API_PORT, WEB_PORT, METRICS_PORT] {
        refuse_taken(loopback(port))?;
    }
    let backend = start_backend(loopback(BACKEND_PORT), TTL_S)?;
    let grounds = Grounds {
        api: loopback(API_PORT),
        web: loopback(WEB_PORT),
        metrics: loopback(METRICS_PORT),
        run_dir: run_dir.path().to_owned(),
        home: home.clone(),
        log: None,
    };
    let (mut manager, _) = start_manager(&grounds, &backend)?;
    let (web, api) = (format!("http://localhost:{WEB_PORT}"), format!("http://localhost:{API_PORT}"));
    println!(
        "
HAProxy with Edge Filter on {web}, its manager on {api}, backend on 127.0.0.1:{BACKEND_PORT}. Try:

  curl -i {web}/yolo     200 from the backend (see X-Answered-By)
  curl -i {web}/yeet     404 from the backend, which tells the edge: false; ttl={TTL_S}
  curl -i {web}/yeet     404 from the edge, for {TTL_S} seconds: the backend is not asked
  curl -i --path-as-is {web}/a/..//%79eet     the same resource
  curl -i -H 'X-Forwarded-For: 203.0.113.50' {web}/yolo     403, a blocked network
  curl -i -H 'X-Forwarded-For: 203.0.113.7' {web}/yolo      200, allowed inside it

  curl -X POST {api}/api/blocked-ips -d '{{\"ip_address\":\"198.51.100.7\",\"reason\":\"scans\"}}' -H 'Content-Type: application/json'
  curl -i -H 'X-Forwarded-For: 198.51.100.7' {web}/yolo     403, from the answer on
  curl {api}/api/blocked-ips
  curl '{api}/api/explain?ip=198.51.100.7'
  curl -X DELETE {api}/api/blocked-ips -d '{{\"ip_address\":\"198.51.100.7\"}}' -H 'Content-Type: application/json'
  curl http://127.0.0.1:{METRICS_PORT}/metrics; curl {api}/metrics

{api} in a browser is the manager's page: all of this, and more.

The record, what the edge has learned and the configuration of HAProxy are kept in {}, so they outlive this.
Below are the logs of the manager and of HAProxy. Ctrl-C stops all three.
",
        home.display()
    );
    wait(&stop, &mut manager)?;
    let status = manager.stop().map_err(|e| e.to_string())?;
    if status.success() {
        println!("Stopped.");
        Ok(())
    } else {
        Err(format!("The manager ended with {status}."))
    }
}

/// The backend alone.
pub(crate) fn backend(options: &Options) -> Result<(), String> {
    let stop = stop_flag()?;
    let backend = start_backend(options.listen, options.ttl_s)?;
    println!("The demo backend listens on {}.", backend.addr());
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Becomes true on Ctrl-C and on SIGTERM.
fn stop_flag() -> Result<Arc<AtomicBool>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|e| e.to_string())?;
    }
    Ok(stop)
}

fn wait(stop: &AtomicBool, manager: &mut ServeProcess) -> Result<(), String> {
    while !stop.load(Ordering::Relaxed) {
        if let Some(status) = manager.ended().map_err(|e| e.to_string())? {
            return Err(format!("The manager ended by itself, with {status}."));
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}
