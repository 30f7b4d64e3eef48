//! Late answers, which hold connections, in haproxy.cfg as shipped: few for one client, some for all.

use edge_e2e::{Answer, Backend, Edge, EdgeBuilder, Http2, Mode, Pending, Request, eventually};

/// So long that no answer of a tarpit comes during a test.
const LATE: (&str, &str) = ("timeout tarpit 10s", "timeout tarpit 300s");

/// The edge, which was taught to answer `/slow` late.
fn start(change: impl FnOnce(EdgeBuilder) -> EdgeBuilder) -> (Backend, Edge) {
    let backend = Backend::start();
    let edge = change(Edge::before(&backend, Mode::WORKER).edit(LATE.0, LATE.1)).start();
    backend.answer("/slow", Answer::teaching("false; action=tarpit"));
    assert!(edge.get("/slow").is_from_backend());
    (backend, edge)
}

/// Sends so many requests for `/slow` of a client, and waits until all but `held` are answered: with 403.
fn assert_held(edge: &Edge, pending: &mut Pending, client: &str, count: usize, held: usize) {
    let (before, refused) = (pending.waiting(), pending.answered().len());
    for _ in 0..count {
        let request = Request::get("/slow").forwarded_for(client);
        pending.send(&request, edge.web_addr()).unwrap();
    }
    eventually("answers at once", || (pending.answered().len() >= refused + count - held).then_some(()));
    assert!(pending.answered()[refused..].iter().all(|status| *status == 403), "{client}");
    assert_eq!(pending.waiting(), before + held, "{client}");
}

#[test]
fn a_client_with_thousands_of_late_answers_leaves_room_for_others() {
    let (_backend, edge) = start(|edge| edge.edit("maxconn 4000 ", "maxconn 60 "));
    let mut pending = Pending::default();
    assert_held(&edge, &mut pending, "100.64.0.1", 300, 5);
    assert_held(&edge, &mut pending, "100.64.0.1", 3, 0);
    assert_held(&edge, &mut pending, "100.64.0.2", 7, 5);
    assert!(edge.send(&Request::get("/").forwarded_for("100.64.0.1")).is_from_backend());
    assert!(edge.send(&Request::get("/").forwarded_for("100.64.0.3")).is_from_backend());
}

/// HAProxy 2.6 keeps a late answer until it is due, whether or not its client waits for it.
#[test]
fn a_place_is_free_again_after_its_answer() {
    let backend = Backend::start();
    let edge = Edge::before(&backend, Mode::WORKER).edit(LATE.0, "timeout tarpit 100ms").start();
    backend.answer("/slow", Answer::teaching("false; action=tarpit"));
    assert!(edge.get("/slow").is_from_backend());
    for _ in 0..8 {
        assert_eq!(edge.get("/slow").status, 403);
    }
    // HAProxy's termination state: the proxy refused, in the tarpit.
    eventually("eight late answers", || (edge.haproxy().log().matches(" PT id=").count() == 8).then_some(()));
}

#[test]
fn an_ipv6_network_of_one_client_is_one_client() {
    let (_backend, edge) = start(|edge| edge);
    let mut pending = Pending::default();
    for host in 0..5 {
        assert_held(&edge, &mut pending, &format!("2001:db8:0:1::{host:x}"), 1, 1);
    }
    assert_held(&edge, &mut pending, "2001:db8:0:1:ffff::1", 1, 0);
    assert_held(&edge, &mut pending, "2001:db8:0:2::1", 1, 1);
    // The same IPv4 address in both its forms, and another one.
    assert_held(&edge, &mut pending, "100.64.0.1", 3, 3);
    assert_held(&edge, &mut pending, "::ffff:100.64.0.1", 3, 2);
    assert_held(&edge, &mut pending, "::ffff:100.64.0.2", 1, 1);
}

#[test]
fn all_clients_together_have_an_end_too() {
    let (_backend, edge) = start(|edge| edge);
    let mut pending = Pending::default();
    for client in 1..=40 {
        assert_held(&edge, &mut pending, &format!("100.64.0.{client}"), 5, 5);
    }
    assert_eq!(pending.waiting(), 200);
    assert_held(&edge, &mut pending, "100.64.1.1", 5, 0);
    assert!(edge.get("/").is_from_backend());
}

#[test]
fn each_stream_of_one_connection_counts() {
    let (_backend, edge) = start(|edge| edge);
    let mut client = Http2::connect(edge.web_addr()).unwrap();
    let headers = [("x-forwarded-for", "100.64.0.1")];
    for _ in 0..50 {
        client.get("www.example", "/slow", &headers, true).unwrap();
    }
    let answered: Vec<(u32, u16)> = (0..45).map(|_| client.answer().unwrap()).collect();
    assert!(answered.iter().all(|(_, status)| *status == 403), "{answered:?}");
    assert_held(&edge, &mut Pending::default(), "100.64.0.1", 1, 0);
}
