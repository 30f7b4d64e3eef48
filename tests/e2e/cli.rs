//! The commands on the stats socket, and the status page.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use edge_e2e::{Answer, Backend, Edge, Mode, Request, in_every_mode};

in_every_mode!(
    the_status_tells_revision_and_rules,
    rules_are_listed_by_table,
    an_address_is_explained,
    a_url_is_explained,
    sync_answers_with_the_revision,
    odd_commands_are_answered,
    what_is_not_understood_is_no_pass,
    a_long_list_of_rules_comes_whole,
    clients_that_leave_early_do_no_harm,
);

/// Two address rules and an allowed one from files, a resource rule from a file, one learned.
fn start(mode: Mode) -> (Backend, Edge) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode)
        .list("blocked_ips.map", "203.0.113.0/24\n2001:db8:bad::/48\n")
        .list("allowed.lst", "203.0.113.7\n")
        .list("resources.lst", "/.env\n")
        .start();
    backend.answer("/yeet", Answer::teaching("false; reason=\"no such page\""));
    edge.get("/yeet");
    (backend, edge)
}

fn the_status_tells_revision_and_rules(mode: Mode) {
    let (_backend, edge) = start(mode);
    let native = format!("\"native\":{}", mode.runs_native());
    let page = edge.service("/status");
    assert_eq!((page.status, page.header("content-type")), (200, Some("application/json")));
    for text in [page.body, edge.cli("show edge status")] {
        let compact: String = text.split_whitespace().collect();
        assert!(compact.starts_with('{') && compact.ends_with('}'), "{text}");
        assert!(compact.contains("\"revision\":"), "{text}");
        assert!(compact.contains(&native), "{text}");
    }
    let metrics = edge.metrics();
    assert_eq!(metrics.sum("edge_filter_native", &[]), f64::from(u8::from(mode.runs_native())));
    assert_eq!(metrics.sum("edge_filter_rules", &[]), 5.0);
}

fn rules_are_listed_by_table(mode: Mode) {
    let (_backend, edge) = start(mode);
    const ADDRESSES: [&str; 3] = ["203.0.113.0/24", "2001:db8:bad::/48", "203.0.113.7"];
    const RESOURCES: [&str; 2] = ["/.env", "www.example/yeet"];
    let (all, ip, resource) =
        (edge.cli("show edge rules"), edge.cli("show edge rules ip"), edge.cli("show edge rules resource"));
    for rule in ADDRESSES {
        assert!(all.contains(rule) && ip.contains(rule) && !resource.contains(rule), "{rule}: {all}");
    }
    for rule in RESOURCES {
        assert!(all.contains(rule) && !ip.contains(rule) && resource.contains(rule), "{rule}: {all}");
    }
}

fn an_address_is_explained(mode: Mode) {
    let (_backend, edge) = start(mode);
    let blocked = edge.cli("get edge 203.0.113.50");
    assert!(blocked.contains("203.0.113.0/24") && blocked.contains("blocked_ips.map"), "{blocked}");
    let allowed = edge.cli("get edge 203.0.113.7");
    assert!(allowed.contains("203.0.113.7") && allowed.contains("allowed.lst"), "{allowed}");
    let unlisted = edge.cli("get edge 192.0.2.1");
    assert!(!unlisted.contains("blocked_ips.map"), "{unlisted}");
}

fn a_url_is_explained(mode: Mode) {
    let (_backend, edge) = start(mode);
    let learned = edge.cli("get edge www.example//%79eet");
    for word in
        ["www.example/yeet", "learned from site/site1 by GET www.example/yeet id=", "no such page", "404"]
    {
        assert!(learned.contains(word), "{word:?} is not in {learned:?}");
    }
    let listed = edge.cli("get edge http://any.example/.env");
    assert!(listed.contains("resources.lst"), "{listed}");
    assert!(!edge.cli("get edge www.example/yolo").contains("learned from"));
    // Asking is not a request.
    assert_eq!(edge.metrics().sum("edge_filter_verdicts_total", &[]), 0.0);
}

fn sync_answers_with_the_revision(mode: Mode) {
    let (_backend, edge) = start(mode);
    let revision: f64 = edge.metrics().sum("edge_filter_revision", &[]);
    let answer = edge.cli("edge sync");
    assert!(
        answer.split_whitespace().any(|word| word.parse() == Ok(revision)),
        "{revision} is not in {answer:?}"
    );
}

fn odd_commands_are_answered(mode: Mode) {
    let (_backend, edge) = start(mode);
    for command in ["get edge", "get edge :::", "get edge /", "show edge rules everything", "show edge"] {
        assert_ne!(edge.cli(command).trim(), "", "{command}");
    }
    assert!(edge.refuses(&Request::get("/yeet")));
}

fn a_long_list_of_rules_comes_whole(mode: Mode) {
    let backend = Backend::start();
    let list: String = (0..3000).map(|n| format!("10.0.{}.{}\n", n / 256, n % 256)).collect();
    let edge = Edge::before(&backend, mode).list("blocked_ips.map", &list).list("allowed.lst", "").start();
    let rules = edge.cli("show edge rules ip");
    assert_eq!(rules.lines().filter(|line| line.contains("10.0.")).count(), 3000);
}

fn what_is_not_understood_is_no_pass(mode: Mode) {
    let (_backend, edge) = start(mode);
    assert_eq!(edge.cli("get edge 203.0.113.0/24").trim(), "ask for one address, such as 203.0.113.0");
    for text in ["garbage", "999.1.1.1", "http://", "http:///yeet"] {
        assert_eq!(edge.cli(&format!("get edge {text}")).trim(), "say: get edge <ip or url>", "{text}");
    }
}

/// Asks 100 times and reads at most `bytes` of the answer: half of the clients close their side first.
fn ask_and_leave(edge: &Edge, command: &str, bytes: impl Fn(u64) -> u64) -> io::Result<()> {
    for n in 0..100 {
        let socket = edge.cli_socket(command)?;
        if n % 2 == 0 {
            socket.shutdown(Shutdown::Write)?;
        }
        io::copy(&mut socket.take(bytes(n)), &mut io::sink())?;
    }
    Ok(())
}

fn clients_that_leave_early_do_no_harm(mode: Mode) {
    for rules in [3, 20_000] {
        let backend = Backend::start();
        let list: String = (0..rules).map(|n| format!("10.0.{}.{}\n", n / 256, n % 256)).collect();
        let edge =
            Edge::before(&backend, mode).list("blocked_ips.map", &list).list("allowed.lst", "").start();
        let pid = edge.worker_pid();
        let gone = |command: &str, e: io::Error| panic!("{command}, {rules} rules: {e}");
        for command in ["show edge rules", "show edge status", "get edge 10.0.0.1", "edge sync"] {
            // All of it; then nothing, or up to 200 kB.
            ask_and_leave(&edge, command, |n| if n % 2 == 0 { u64::MAX } else { n % 4 / 2 * n * 2000 })
                .unwrap_or_else(|e| gone(command, e));
            ask_and_leave(&edge, command, |n| n % 3 * 50).unwrap_or_else(|e| gone(command, e));
        }
        for n in 0..100 {
            let path = ["/metrics", "/status"][n % 2];
            let mut client = TcpStream::connect(edge.metrics_addr()).unwrap();
            client.write_all(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n").as_bytes()).unwrap();
            if n % 4 < 2 {
                client.shutdown(Shutdown::Write).unwrap();
            }
        }
        assert_eq!(edge.worker_pid(), pid, "{rules} rules");
        assert_eq!(
            edge.cli("show edge rules ip").lines().filter(|line| line.contains("10.0.")).count(),
            rules
        );
    }
}
