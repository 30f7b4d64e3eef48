//! The demo to try out: it stands until Ctrl-C.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use edge_e2e::Haproxy;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::stage::{Places, refuse_taken, run_dir, start_backend, start_haproxy, state_dir};

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

/// HAProxy and the backend, on the ports that haproxy.cfg names.
pub(crate) fn run() -> Result<(), String> {
    let stop = stop_flag()?;
    let places_dir = run_dir()?;
    let state_dir = state_dir()?;
    for port in [WEB_PORT, METRICS_PORT] {
        refuse_taken(loopback(port))?;
    }
    let backend = start_backend(loopback(BACKEND_PORT), TTL_S)?;
    let places = Places {
        web: loopback(WEB_PORT),
        metrics: loopback(METRICS_PORT),
        run_dir: places_dir.path().to_owned(),
        state_dir: Some(state_dir.clone()),
        output_dir: None,
    };
    let mut haproxy = start_haproxy(places, backend.addr())?;
    let socket = places_dir.path().join("edge.sock");
    println!(
        "
HAProxy with Edge Filter on http://127.0.0.1:{WEB_PORT}, backend on 127.0.0.1:{BACKEND_PORT}. Try:

  curl -i http://127.0.0.1:{WEB_PORT}/yolo     200 from the backend (see X-Answered-By)
  curl -i http://127.0.0.1:{WEB_PORT}/yeet     404 from the backend, which tells the edge: false; ttl={TTL_S}
  curl -i http://127.0.0.1:{WEB_PORT}/yeet     404 from the edge, for {TTL_S} seconds: the backend is not asked
  curl -i --path-as-is http://127.0.0.1:{WEB_PORT}/a/..//%79eet     the same resource
  curl -i -H 'X-Forwarded-For: 203.0.113.50' http://127.0.0.1:{WEB_PORT}/yolo     403, a blocked network
  curl -i -H 'X-Forwarded-For: 203.0.113.7' http://127.0.0.1:{WEB_PORT}/yolo      200, allowed inside it
  curl http://127.0.0.1:{METRICS_PORT}/metrics
  echo 'get edge 127.0.0.1:{WEB_PORT}/yeet' | socat - UNIX-CONNECT:{}

What the edge has learned is kept in {}, so it outlives this.
Below is the access log of HAProxy. Ctrl-C stops both.
",
        socket.display(),
        state_dir.display()
    );
    wait(&stop, &mut haproxy)?;
    // A client that holds on to its connection is not waited for: then HAProxy is killed.
    let gently = haproxy.stop().is_ok_and(|status| status.success());
    println!("Stopped{}.", if gently { "" } else { ", HAProxy by force" });
    Ok(())
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

fn wait(stop: &AtomicBool, haproxy: &mut Haproxy) -> Result<(), String> {
    while !stop.load(Ordering::Relaxed) {
        if let Some(status) = haproxy.ended().map_err(|e| e.to_string())? {
            return Err(format!("HAProxy ended by itself, with {status}."));
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}
