//! Many clients at once.

use std::collections::BTreeSet;
use std::thread;

use edge_e2e::Response;

use super::{Beside, Supervised, blocked};

const CLIENTS: u32 = 200;
/// Blocks of each; every third is taken back.
const BLOCKS: u32 = 6;

fn address(client: u32, block: u32) -> String {
    format!("10.{block}.{}.{}", client / 250, client % 250)
}

#[track_caller]
fn no_trouble(answer: &Response) {
    assert!(answer.status < 500 && !answer.body.contains("is locked"), "{answer:?}");
}

#[test]
fn two_hundred_clients_change_and_read_and_lose_nothing() {
    let served = Beside::start();
    // All of them want the same one; one gets it.
    let winners: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let mut api = served.manager.api();
                scope.spawn(move || {
                    let shared = api.post("/api/blocked-ips", r#"{"ip_address":"192.0.2.1"}"#);
                    assert!([200, 409].contains(&shared.status), "{shared:?}");
                    for block in 0..BLOCKS {
                        let body = format!(r#"{{"ip_address":"{}"}}"#, address(client, block));
                        let answer = api.post("/api/blocked-ips", &body);
                        no_trouble(&answer);
                        assert_eq!(answer.status, 200, "{answer:?}");
                        assert!(!answer.body.contains("not yet enforced"), "{answer:?}");
                        no_trouble(&api.get("/api/domains"));
                        if block % 3 == 0 {
                            let answer = api.delete("/api/blocked-ips", &body);
                            assert_eq!(answer.status, 200, "{answer:?}");
                            assert_eq!(api.delete("/api/blocked-ips", &body).status, 404);
                        }
                    }
                    // What it has been told, it sees.
                    let mine: Vec<_> =
                        (0..BLOCKS).filter(|n| n % 3 != 0).map(|n| address(client, n)).collect();
                    let seen: BTreeSet<_> = blocked(&mut api).into_iter().collect();
                    assert!(mine.iter().all(|address| seen.contains(address)), "{client} misses some");
                    usize::from(shared.status == 200)
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("a client without complaints")).sum()
    });
    assert_eq!(winners, 1);
    let expected: BTreeSet<String> = (0..CLIENTS)
        .flat_map(|client| (0..BLOCKS).filter(|n| n % 3 != 0).map(move |n| address(client, n)))
        .chain(["192.0.2.1".to_owned()])
        .collect();
    let listed = blocked(&mut served.manager.api());
    assert_eq!(listed.len(), expected.len(), "an address twice, or none");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), expected);
    for client in [0, 1, 99, 100, CLIENTS - 1] {
        assert!(served.is_refused(&address(client, 1)) && !served.is_refused(&address(client, 0)));
    }
}

/// Each domain has HAProxy read its configuration anew; blocks and reads do not wait for that.
#[test]
fn clients_that_change_the_site_at_once_wait_for_their_turn_and_lose_nothing() {
    const DOMAINS: usize = 20;
    let served = Supervised::start();
    thread::scope(|scope| {
        for n in 0..DOMAINS {
            let mut api = served.manager.api();
            let served = &served;
            scope.spawn(move || {
                let domain = served.domain(&format!("shop-{n}.example"), "shop").to_string();
                let answer = api.post("/api/domain", &domain);
                assert_eq!(answer.status, 200, "{answer:?}");
                assert!(!answer.body.contains("not yet enforced"), "{answer:?}");
            });
            let mut api = served.manager.api();
            scope.spawn(move || {
                let block = format!(r#"{{"ip_address":"192.0.2.{n}"}}"#);
                let answer = api.post("/api/blocked-ips", &block);
                assert_eq!(answer.status, 200, "{answer:?}");
                no_trouble(&api.get("/api/domains"));
            });
        }
    });
    let mut api = served.manager.api();
    let listed = api.get("/api/domains").body;
    for n in 0..DOMAINS {
        assert!(listed.contains(&format!("\"shop-{n}.example\"")), "{n} is lost: {listed}");
        assert!(served.is_served(&format!("shop-{n}.example")), "{n} is not served");
    }
    assert_eq!(blocked(&mut api).len(), DOMAINS);
}
