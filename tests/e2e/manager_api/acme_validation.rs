//! ACME validation passes HAProxy, whatever is blocked; no other request does with it, and the manager's listener for it answers
//! nothing else.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use edge_e2e::{Http2, Pending, Port, Request, Response, eventually, tell};
use nix::unistd::Uid;
use serde_json::json;

use super::Supervised;

const CLIENT: &str = "203.0.113.7";
const TOKEN: &str = "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";

/// Whether the listener gave this answer: it has no order for a token, and no words for anybody.
fn is_not_found(answer: &Response) -> bool {
    (answer.status, answer.header("content-length"), answer.body.as_str()) == (404, Some("0"), "")
}

#[track_caller]
fn assert_validates(served: &Supervised) {
    let answer = served.manager.send(&Request::get(TOKEN).host("www.example"));
    assert!(is_not_found(&answer), "no order needs this token: {answer:?}");
}

#[test]
fn it_passes_whatever_is_blocked_and_nothing_else_does() {
    let served = Supervised::start();
    let mut api = served.manager.api();
    assert_eq!(api.post("/api/blocked-ips", &json!({"ip_address": CLIENT}).to_string()).status, 200);
    let rule = json!({"target": "www.example/.well-known/*"});
    assert_eq!(api.post("/api/rules", &rule.to_string()).status, 200);
    let send = |request: Request| served.manager.send(&request.host("www.example").forwarded_for(CLIENT));
    assert!(is_not_found(&send(Request::get(TOKEN))));
    for path in [
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge/a/b",
        "/.well-known/acme-challenge/../../api/rules",
        "/.well-known/acme-challenge/%2e%2e",
        "/.well-known/acme-challenge/a%62",
        "/.well-known/acme-challenge/a.b",
        "/.well-known/acme-challenge/a?b",
        "/.well-known/acme-challenge/a?",
        "//.well-known/acme-challenge/a",
        "/./.well-known/acme-challenge/a",
        "/.well-known//acme-challenge/a",
        "/.well-known/acme-challenges/a",
        "/.Well-Known/acme-challenge/a",
        "/a/.well-known/acme-challenge/a",
    ] {
        assert_eq!(send(Request::get(path)).status, 403, "{path}");
    }
    let absolute = send(Request::get("http://www.example/.well-known/acme-challenge/a"));
    assert!([400, 403].contains(&absolute.status), "{absolute:?}");
    for method in ["POST", "HEAD", "PUT", "OPTIONS", "get"] {
        assert_eq!(send(Request::new(method, TOKEN)).status, 403, "{method}");
    }
    let mut http2 = Http2::connect(served.manager.web_addr()).unwrap();
    let client = [("x-forwarded-for", CLIENT)];
    for (path, status) in [(TOKEN, 404), ("/.well-known/acme-challenge/a?b", 403), ("//.well-known/x", 403)] {
        http2.get("www.example", path, &client, true).unwrap();
        assert_eq!(http2.answer().unwrap().1, status, "{path}");
    }
}

/// Where HAProxy's path and a server's are two: `?` in the authority.
#[test]
fn no_form_of_a_target_leads_to_the_manager() {
    let served = Supervised::start();
    let paths = ["", "/api/blocked-ips", "/api/site", "/metrics", "/openapi.json"];
    for path in paths {
        for authority in ["127.0.0.1", "localhost"] {
            let target = format!("http://{authority}{path}?x@localhost{TOKEN}");
            for request in [Request::get(&target).without_host(), Request::get(&target).host("localhost")] {
                let answer = served.manager.send(&request);
                let told = answer.body.to_ascii_lowercase();
                assert!(answer.status >= 400 && !told.contains("edge"), "{request:?}: {answer:?}");
                assert!(!is_not_found(&answer), "HAProxy took it for validation: {request:?}");
            }
        }
    }
    let mut http2 = Http2::connect(served.manager.web_addr()).unwrap();
    for authority in ["127.0.0.1?x@www.example", "127.0.0.1#x", "x@127.0.0.1", "127.0.0.1/a"] {
        http2.get(authority, TOKEN, &[("host", authority)], true).unwrap();
        assert_ne!(http2.answer().unwrap().1, 200, "{authority}");
    }
}

#[test]
fn the_listener_answers_nothing_but_validation_and_the_api_none() {
    let served = Supervised::start();
    let socket = served.manager.dir().join("state/acme-validation.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o666);
    let absolute = format!("http://127.0.0.1:8000/api/rules?x@y{TOKEN}");
    let at_root = format!("http://127.0.0.1?x@localhost{TOKEN}");
    for target in ["/", "/health", "/api/rules", "/metrics", "/openapi.json", "*", TOKEN, &absolute, &at_root]
    {
        for method in ["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "PRI"] {
            let request = Request::new(method, target).host("127.0.0.1:8000");
            for request in
                [request.clone(), request.header("Expect", "100-continue").header("Content-Length", "7")]
            {
                let answer = request.send_to_socket(&socket).unwrap();
                assert!(is_not_found(&answer), "{request:?}: {answer:?}");
            }
        }
    }
    let answer = served.manager.api().get(TOKEN);
    assert_eq!((answer.status, answer.header("content-type")), (404, Some("application/json")), "{answer:?}");
}

#[test]
fn requests_whose_body_never_comes_are_in_nobodys_way() {
    let served = Supervised::start();
    let mut pending = Pending::default();
    let heads = [("Content-Length", "10"), ("Transfer-Encoding", "chunked"), ("Expect", "100-continue")];
    for i in 0..200 {
        let (name, value) = heads[i % heads.len()];
        let request = Request::get(TOKEN).host("www.example").header(name, value);
        pending.send(&request, served.manager.web_addr()).unwrap();
    }
    assert_validates(&served);
    eventually("answers to requests with a body", || (pending.answered().len() == 200).then_some(()));
    assert!(pending.answered().iter().all(|status| *status == 400), "{:?}", pending.answered());

    // HTTP/2 need not say that there is a body.
    let mut http2: Vec<Http2> = (0..4).map(|_| Http2::connect(served.manager.web_addr()).unwrap()).collect();
    for connection in &mut http2 {
        for _ in 0..50 {
            connection.get("www.example", TOKEN, &[("x-forwarded-for", CLIENT)], false).unwrap();
        }
        let sent = connection.get("www.example", TOKEN, &[("x-forwarded-for", CLIENT)], false).unwrap();
        connection.data(sent, b"body").unwrap();
    }
    assert_validates(&served);
    for connection in &mut http2 {
        for _ in 0..51 {
            let (_, status) = connection.answer().unwrap();
            assert!([400, 408, 429].contains(&status), "{status}");
        }
    }
    assert_validates(&served);
}

#[test]
fn a_manager_that_was_killed_listens_again_without_a_reload() {
    let mut served = Supervised::start();
    assert_validates(&served);
    let haproxy = served.manager.haproxy();
    served.manager.kill_9_alone();
    assert!(served.manager.dir().join("state/acme-validation.sock").exists(), "a stale socket");
    served.manager.start_again();
    assert_validates(&served);
    assert_eq!(served.manager.haproxy(), haproxy, "the same processes");
}

#[test]
fn a_socket_that_somebody_removes_is_there_again() {
    let served = Supervised::start_with(|manager| manager.env("EDGE_CERT_CHECK_EVERY", "100ms"));
    let socket = served.manager.dir().join("state/acme-validation.sock");
    fs::remove_file(&socket).unwrap();
    // The file may be there a moment before anybody listens.
    eventually("another socket", || {
        let answer = served.manager.send(&Request::get(TOKEN).host("www.example"));
        (socket.exists() && is_not_found(&answer)).then_some(())
    });
}

#[test]
fn it_is_answered_from_within_a_chroot() {
    if !Uid::effective().is_root() {
        tell("NOT TESTED: ACME validation from within a chroot, which takes root");
        return;
    }
    let served = Supervised::start_with(|manager| {
        let jail = manager.dir().join("jail");
        fs::create_dir(&jail).unwrap();
        fs::set_permissions(&jail, Permissions::from_mode(0o755)).unwrap();
        manager.global(|global| global["chroot"] = json!(jail))
    });
    assert_validates(&served);
    let socket = served.manager.dir().join("jail/edge/acme-validation.sock");
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
    let directory = fs::metadata(socket.parent().unwrap()).unwrap();
    assert_eq!(directory.permissions().mode() & 0o777, 0o755);
    assert!(!served.manager.dir().join("state/acme-validation.sock").exists());
}

#[test]
fn an_operator_may_name_a_port_of_its_own_or_another_server() {
    // The reservation is for 127.0.0.1, so that nobody has the port at all addresses, and nobody else uses this one.
    let port = Port::reserve().unwrap();
    let address = SocketAddr::from(([127, 14, 8, 7], port.addr().port()));
    let served =
        Supervised::start_with(|manager| manager.env("EDGE_ACME_VALIDATION_LISTEN", address.to_string()));
    assert_validates(&served);
    assert!(is_not_found(&Request::get("/health").send(address).unwrap()));
    let named = json!(served.backend.addr().to_string());
    // By its former name.
    let served =
        Supervised::start_with(|manager| manager.global(|global| global["challenge_server"] = named));
    assert!(served.manager.send(&Request::get(TOKEN).host("www.example")).is_from_backend());
}
