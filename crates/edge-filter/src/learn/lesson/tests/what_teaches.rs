//! Which requests and responses teach, for which methods, and what waits for other clients.

use super::*;

#[test]
fn a_get_teaches_for_all_methods_and_another_method_for_itself() {
    let method = |header: &str, method: &'static str| {
        let request = Request { method: method.as_bytes(), ..LESSON.request };
        let taught = learn(&Lesson { header: header.as_bytes(), request, ..LESSON });
        let rule = rule(taught);
        resource_of(&rule).1.method.clone()
    };
    for (name, by_default, any) in [
        ("GET", None, None),
        ("POST", Some("POST"), None),
        ("PUT", Some("PUT"), None),
        ("PATCH", Some("PATCH"), None),
        ("DELETE", Some("DELETE"), None),
        ("HEAD", Some("HEAD"), Some("HEAD")),
        ("OPTIONS", Some("OPTIONS"), Some("OPTIONS")),
        ("TRACE", Some("TRACE"), Some("TRACE")),
        ("CONNECT", Some("CONNECT"), Some("CONNECT")),
        ("PROPFIND", Some("PROPFIND"), Some("PROPFIND")),
        ("get", Some("get"), Some("get")),
        ("GETX", Some("GETX"), Some("GETX")),
    ] {
        assert_eq!(method("false", name).as_deref(), by_default, "{name}");
        assert_eq!(method("false;method=?0", name).as_deref(), by_default, "{name}");
        assert_eq!(method("false;method", name).as_deref(), Some(name));
        assert_eq!(method("false;method=any", name).as_deref(), any, "{name}");
    }
}

#[test]
fn a_take_back_reaches_no_further_than_its_method() {
    let operation = |header: &str, method: &'static str| {
        let request = Request { method: method.as_bytes(), ..LESSON.request };
        learn(&Lesson { header: header.as_bytes(), request, ..LESSON }).unwrap().operation
    };
    let Target::Resource(resource, _) = rule(learn(&LESSON)).target else { panic!() };
    let bound = |method: &str| {
        let conditions = Conditions { method: Some(method.into()), ..Conditions::default() };
        Operation::Forget(Target::Resource(resource.clone(), conditions))
    };
    let all = Operation::ForgetResource(resource.clone());
    assert_eq!((operation("true", "GET"), operation("true;method=any", "POST")), (all.clone(), all));
    for (header, method) in
        [("true", "POST"), ("true", "HEAD"), ("true;method=any", "HEAD"), ("true;method", "GET")]
    {
        assert_eq!(operation(header, method), bound(method), "{header} {method}");
    }
}

#[test]
fn a_path_with_another_reading_teaches_nothing() {
    for header in [
        "false",
        "true",
        "false;scope=client",
        "true;scope=client",
        "false;path=\"/x\"",
        "false;match=prefix;path=\"/\"",
    ] {
        for path in [
            "//x",
            "/nope/../x",
            "/nope/%2e%2e/x",
            "/./x",
            "/%78",
            "/x/..%2fx",
            "/x%2Fy",
            "/x/..",
            "/x\n",
            "/x\\",
        ] {
            let request = Request { path: path.as_bytes(), ..LESSON.request };
            let taught = learn(&Lesson { header: header.as_bytes(), request, ..LESSON });
            assert_eq!(taught, Err(Cause::NotPlainPath), "{header} {path}");
        }
    }
}

#[test]
fn a_host_that_is_written_otherwise_teaches_nothing() {
    let learn = |host: &str| {
        let request = Request { host: host.as_bytes(), ..LESSON.request };
        learn(&Lesson { backend: b"free", request, ..LESSON }).map(|_| ())
    };
    for host in ["shop.example", "shop.example:443", "[2001:db8::1]", "[2001:db8::1]:80", "192.0.2.1:80"] {
        assert_eq!(learn(host), Ok(()), "{host}");
    }
    for host in ["Shop.example", "shop.example.", "shop.example.:80", "shop.example:", "[2001:DB8::1]"] {
        assert_eq!(learn(host), Err(Cause::NotPlainHost), "{host}");
    }
}

#[test]
fn a_part_of_a_resource_and_an_interim_response_teach_nothing() {
    for header in [&b"false"[..], b"true", b"false;scope=client"] {
        let partial = Lesson { header, is_partial: true, ..LESSON };
        assert_eq!(learn(&partial), Err(Cause::PartialRequest));
        for status in [100, 101, 103, 199, 206, 304, 412, 416] {
            assert_eq!(learn(&Lesson { header, status, ..LESSON }), Err(Cause::PartialResponse(status)));
        }
        for status in [200, 205, 301, 404, 411, 500] {
            assert!(learn(&Lesson { header, status, ..LESSON }).is_ok(), "{status}");
        }
    }
}

#[test]
fn the_larger_of_two_counts_is_to_be_confirmed_but_not_of_the_client_itself() {
    let authorities = Authorities::parse("two confirm=2 client\nfree client").unwrap();
    let confirm = |backend: &'static [u8], header: &str, client| {
        let request = Request { client, ..LESSON.request };
        let lesson = Lesson { backend, header: header.as_bytes(), request, ..LESSON };
        let taught = crate::learn(&lesson, &authorities, &Settings::default(), 0, 0, &mut Scratch::new());
        taught.map(|taught| taught.confirm.map(|confirm| confirm.networks)).map_err(|refusal| refusal.cause)
    };
    for (backend, header, networks) in [
        (&b"free"[..], "false", None),
        (b"free", "false;confirm=1", None),
        (b"free", "false;confirm=2", Some(2)),
        (b"two", "false", Some(2)),
        (b"two", "false;confirm=1", Some(2)),
        (b"two", "false;confirm=3", Some(3)),
        (b"two", "false;method", Some(2)),
        (b"two", "false;scope=client;confirm=9", None),
        (b"two", "false;src;confirm=9", None),
        (b"two", "true;confirm=9", None),
    ] {
        assert_eq!(confirm(backend, header, Some(CLIENT)), Ok(networks), "{header}");
    }
    assert_eq!(confirm(b"two", "false", None), Err(Cause::NoClient));
    assert_eq!(confirm(b"free", "false", None), Ok(None));
}

#[test]
fn an_address_that_no_backend_may_block_is_not_learned() {
    let mut authorities = authorities();
    authorities.never_block(["192.0.2.0/24".parse().unwrap()]);
    let learn = |header: &str, client: &str| {
        let request = Request { client: client.parse().ok(), ..LESSON.request };
        let lesson = Lesson { header: header.as_bytes(), request, ..LESSON };
        crate::learn(&lesson, &authorities, &Settings::default(), 0, 0, &mut Scratch::new())
            .map(|_| ())
            .map_err(|refusal| refusal.cause)
    };
    for client in ["192.0.2.9", "::ffff:192.0.2.9", "127.0.0.1", "::1"] {
        for header in ["false;scope=client", "false;src"] {
            assert_eq!(learn(header, client), Err(Cause::ProtectedClient), "{header} {client}");
        }
        for header in ["false", "true;scope=client", "true;src"] {
            assert_eq!(learn(header, client), Ok(()), "{header} {client}");
        }
    }
    assert_eq!(learn("false;scope=client", "192.0.3.9"), Ok(()));
}
