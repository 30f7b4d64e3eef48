//! What it costs HAProxy to learn from a response, each of another resource.

use std::net::{IpAddr, Ipv4Addr};

use rand::seq::SliceRandom;

use super::{CONNECTIONS, lookups};
use crate::contender::{Contender, Lines, module, script};
use crate::figures::{At, Case};
use crate::load::{Client, Pace, Requests};
use crate::options::Plan;
use crate::problem::{Fallible, go_on, problem};
use crate::stand::{Place, Stand};

/// More than are asked for in all rounds: a resource that was learned would be refused the next time.
const RESOURCES: usize = 1_000_000;
/// What haproxy.cfg keeps of a request for the response, as the shipped files do.
const KEEP: &str = "  http-request set-var(txn.edge.base) base\n  http-request set-var-fmt(txn.edge.method) %[method]\n  \
                    http-request set-var(txn.edge.query) query\n  \
                    http-request set-var(txn.edge.partial) bool(true) if { req.fhdr(Range) -m found } || \
                    { req.fhdr(If-Range) -m found } || { req.fhdr(If-Match) -m found } || \
                    { req.fhdr(If-None-Match) -m found } || { req.fhdr(If-Modified-Since) -m found } || \
                    { req.fhdr(If-Unmodified-Since) -m found }\n  \
                    http-request set-var(txn.edge.partial) bool(true) unless { url -m beg / } || { req.ver 2.0 3.0 }\n  \
                    http-request set-var(txn.edge.port) dst_port\n  \
                    http-request set-var(txn.edge.partial) bool(true) unless { req.hdr(host),port_only 0 } || \
                    { req.hdr(host),port_only,sub(txn.edge.port) 0 }\n";
const EDGE_LEARN: &str = "  http-response lua.edge_learn if { res.hdr(X-Edge-Resource) -m found }\n";
const EDGE_REFUSE: &str = "  http-request return status 403 if { base,lua.edge_resource -m int gt 1 }\n";

/// Measures, and adds to `case`.
pub(super) fn measure(case: &mut Case, plan: &Plan) -> Fallible<()> {
    let dir = tempfile::tempdir()?;
    let (map, state) = (dir.path().join("learned.map"), dir.path().join("state"));
    std::fs::write(&map, "")?;
    std::fs::create_dir(&state)?;
    let (map, state) = (map.display().to_string(), state.display().to_string());
    // The backend has the core of the client: HAProxy is what is measured.
    let teacher = Place { haproxy_cpus: vec![1], ..Place::apart() };
    let backend = Stand::launch("the backend", teacher, None, &[], |_| {
        let teach = "  http-request return status 200 hdr X-Edge-Resource \"false; ttl=3600\" if { path_beg /teach/ }\n";
        Ok(Lines { rules: teach.to_owned(), ..Lines::default() })
    })?;
    let passed = "  http-response del-header X-Edge-Resource\n  default_backend site\n";
    let site = format!("backend site\n  http-reuse always\n  server site1 {}\n", backend.addr());
    let edge = |settings: &[(&str, &str)]| Lines {
        global: module(settings),
        rules: format!("{EDGE_REFUSE}{KEEP}{EDGE_LEARN}"),
        ..Lines::default()
    };
    let set_map = Lines {
        global: script("map_learn.lua", &[("BENCH_MAP", &map)]),
        rules: format!(
            "  http-request return status 403 if {{ base,map_str({map}) -m found }}\n  \
             http-request set-var(txn.base) base\n  \
             http-response lua.map_learn if {{ res.hdr(X-Edge-Resource) -m found }}\n"
        ),
        ..Lines::default()
    };
    let contests = [
        (Contender::None, "teach", Lines::default()),
        (Contender::LuaMap, "teach", set_map),
        (Contender::Edge, "teach", edge(&[])),
        (Contender::Edge, "teach, kept", edge(&[("EDGE_STATE_DIR", &state)])),
    ];
    let mut stands = Vec::new();
    for (who, what, lines) in contests.into_iter().filter(|(who, ..)| plan.takes(*who)) {
        let lines = Lines { passed: passed.to_owned(), sections: site.clone(), ..lines };
        let mut stand = Stand::launch("a server that learns", Place::apart(), None, &[], |_| Ok(lines))?;
        prove(who, &stand)?;
        stand.connect(CONNECTIONS)?;
        stands.push((who, what, stand));
    }
    let (teach, plain) = (requests("teach"), requests("plain"));
    for n in 0..plan.rounds {
        if n % lookups::SHOWN == 0 {
            eprintln!("  round {} of {}", n + 1, plan.rounds);
        }
        stands.shuffle(&mut rand::rng());
        for (who, what, stand) in &mut stands {
            go_on()?;
            let mut turn = |requests| stand.turn(requests, Pace::Full, plan.turn);
            let (before, taught, after) = (turn(&plain)?, turn(&teach)?, turn(&plain)?);
            let at = At { who: *who, entries: 0, threads: 1, what };
            lookups::compare(case, at, &taught, [&before, &after]);
        }
    }
    Ok(())
}

/// A resource that was taught is refused the next time, and another is not.
fn prove(who: Contender, stand: &Stand) -> Fallible<()> {
    let mut client = Client::connect(stand.addr(), 1)?;
    let learns = who != Contender::None;
    for (path, is_refused) in
        [("plain/0", false), ("plain/0", false), ("teach/0", false), ("teach/0", learns)]
    {
        let mut requests = Requests::default();
        requests.push(&format!("proof.example/{path}"), IpAddr::V4(Ipv4Addr::LOCALHOST), is_refused);
        let seen =
            client.drive(&requests, Pace::Full, |_, seen| seen.answered + seen.wrong + seen.failed > 0)?;
        if seen.answered == 0 {
            return Err(problem(format!("{who:?} is not measured: wrong answer for {path}")));
        }
    }
    Ok(())
}

/// For so many paths in this directory, on a hundred hosts.
fn requests(dir: &str) -> Requests {
    let mut requests = Requests::default();
    for n in 0..RESOURCES {
        let client = IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0000 + n as u32));
        requests.push(&format!("shop-{}.example/{dir}/{n}", n % 100), client, false);
    }
    requests
}
