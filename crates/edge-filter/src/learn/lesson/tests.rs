use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

mod what_teaches;

const NOW_US: u64 = 1_700_000_000_000_001;
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const LESSON: Lesson<'_> = Lesson {
    header: b"false",
    header_count: 1,
    status: 404,
    backend: b"shop",
    server: b"s1",
    unique_id: b"id-7",
    is_partial: false,
    request: Request {
        host: b"shop.example:8080",
        path: b"/x/yeet",
        query: b"id=%61&x=1",
        method: b"GET",
        anonymous: true,
        client: Some(CLIENT),
    },
};

fn authorities() -> Authorities {
    let text = "shop hosts=shop.example max-ttl=600 prefix client\nplain\nfree prefix client";
    Authorities::parse(text).unwrap()
}

fn learn(lesson: &Lesson<'_>) -> Result<Taught, Cause> {
    super::learn(lesson, &authorities(), &Settings::default(), NOW_US, NOW_US + 7, &mut Scratch::new())
        .map_err(|refusal| refusal.cause)
}

fn learn_header(header: &str) -> Result<Taught, Cause> {
    learn(&Lesson { header: header.as_bytes(), ..LESSON })
}

fn rule(taught: Result<Taught, Cause>) -> Rule {
    match taught {
        Ok(Taught { operation: Operation::Put(rule), .. }) => rule,
        other => panic!("no rule: {other:?}"),
    }
}

fn resource_of(rule: &Rule) -> (String, &Conditions) {
    match &rule.target {
        Target::Resource(resource, conditions) => (resource.to_string(), conditions),
        Target::Client(..) => panic!("no resource: {rule:?}"),
    }
}

#[test]
fn a_plain_false_blocks_the_path_on_its_host() {
    let rule = rule(learn(&LESSON));
    assert_eq!(resource_of(&rule), ("shop.example/x/yeet".to_owned(), &Conditions::default()));
    assert_eq!(rule.action, Action::Deny(Status::new(404).unwrap()));
    assert_eq!(rule.expires_at_s, 1_700_000_000 + 300 + 1, "rounded up");
    assert_eq!(&*rule.reason, "");
    let Origin::Learned(from) = &rule.origin else { panic!("{:?}", rule.origin) };
    assert_eq!(
        **from,
        Provenance {
            backend: "shop".to_owned(),
            server: "s1".to_owned(),
            unique_id: "id-7".to_owned(),
            request: "GET shop.example/x/yeet".to_owned(),
            learned_at_us: NOW_US + 7,
            client_network: Some(ClientNet::of_client(CLIENT)),
        }
    );
}

#[test]
fn conditions_are_bound_to_the_values_of_the_request() {
    let rule = rule(learn_header(r#"false;method;query;anon;src;param="%69d""#));
    let expected = Conditions {
        method: Some("GET".into()),
        query: Some("id=a&x=1".into()),
        parameter: Some(("id".into(), "a".into())),
        anonymous: true,
        client: Some(CLIENT),
    };
    assert_eq!(resource_of(&rule).1, &expected);
}

#[test]
fn the_path_must_cover_the_request() {
    let path = |header: &str| learn_header(header).map(|taught| resource_of(&rule(Ok(taught))).0);
    assert_eq!(path(r#"false;match=prefix;path="/x/""#), Ok("shop.example/x/*".to_owned()));
    assert_eq!(path("false;match=prefix"), Ok("shop.example/x/yeet/*".to_owned()));
    assert_eq!(path(r#"false;match=prefix;path="/""#), Ok("shop.example/*".to_owned()));
    assert_eq!(path(r#"false;path="/x//%79eet""#), Ok("shop.example/x/yeet".to_owned()));
    assert_eq!(path(r#"false;path="/x""#), Err(Cause::NotCovered));
    assert_eq!(path(r#"false;match=prefix;path="/x/ye""#), Err(Cause::NotCovered));
    assert_eq!(path(r#"false;path="x""#), Err(Cause::Path(InvalidPath::NoSlash)));
    assert_eq!(path(r#"false;path="/x/yeet?a""#), Err(Cause::Path(InvalidPath::QueryOrFragment)));
}

#[test]
fn a_prefix_has_32_segments_at_most_and_an_exact_path_any_number() {
    let of_depth = |segments: usize, header: &'static [u8]| {
        let path = "/a".repeat(segments);
        let request = Request { path: path.as_bytes(), ..LESSON.request };
        learn(&Lesson { header, request, ..LESSON }).map(|_| ())
    };
    assert_eq!(of_depth(32, b"false;match=prefix"), Ok(()));
    assert_eq!(of_depth(33, b"false;match=prefix"), Err(Cause::PrefixTooDeep));
    assert_eq!(of_depth(33, b"false"), Ok(()));
}

#[test]
fn nothing_is_learned_of_a_request_without_a_path() {
    let request = Request { path: b"", ..LESSON.request };
    assert_eq!(learn(&Lesson { request, ..LESSON }), Err(Cause::RequestPath(InvalidPath::NoSlash)));
}

#[test]
fn the_ttl_is_refused_above_the_backends_own_and_clipped_above_the_general_one() {
    assert_eq!(learn_header("false;ttl=601"), Err(Cause::TtlNotAllowed { ttl_s: 601, max_ttl_s: 600 }));
    assert!(!learn_header("false;ttl=600").unwrap().clipped);
    let free = Lesson { backend: b"free", header: b"false;ttl=86401", ..LESSON };
    assert!(learn(&free).unwrap().clipped);
    assert_eq!(rule(learn(&free)).expires_at_s, 1_700_000_001 + 86_400);

    let authorities = Authorities::parse("* max-ttl=60").unwrap();
    let settings = Settings::default();
    let taught = super::learn(&LESSON, &authorities, &settings, 0, 0, &mut Scratch::new()).unwrap();
    assert!(!taught.clipped);
    assert_eq!(rule(Ok(taught)).expires_at_s, 60, "a default above the backend's limit is no offence");
}

#[test]
fn a_learned_rule_always_ends() {
    assert_eq!(expiry(999_999, 1), 2);
    assert_eq!(expiry(1_000_000, 1), 2);
    assert_eq!(expiry(1_700_000_000_000_000, u32::MAX), NEVER - 1);
    assert_eq!(expiry(u64::MAX, u32::MAX), NEVER - 1);
}

#[test]
fn the_status_is_the_headers_then_a_4xx_of_the_backend_then_the_default() {
    let status = |header: &[u8], status| rule(learn(&Lesson { header, status, ..LESSON })).action;
    let deny = |code| Action::Deny(Status::new(code).unwrap());
    assert_eq!(status(b"false;status=503", 404), deny(503));
    assert_eq!(status(b"false", 451), deny(451));
    assert_eq!(status(b"false", 200), deny(403));
    assert_eq!(status(b"false", 500), deny(403));
    assert_eq!(status(b"false;action=tarpit", 404), Action::Tarpit);
    assert_eq!(status(b"false;action=drop", 404), Action::Drop);
    assert_eq!(status(b"false;action=observe", 404), Action::Observe);
}

#[test]
fn client_scope_blocks_the_address_itself() {
    let mapped = Request { client: "::ffff:192.0.2.1".parse().ok(), ..LESSON.request };
    let header = b"false;scope=client;reason=\"scan\"";
    let rule = rule(learn(&Lesson { header, request: mapped, ..LESSON }));
    assert_eq!(rule.target, Target::Client(List::Block, ClientNet::host(CLIENT)));
    assert_eq!(&*rule.reason, "scan");
    let taken_back = learn_header("true;scope=client").unwrap().operation;
    assert_eq!(taken_back, Operation::Forget(rule.target));
}

#[test]
fn a_block_is_taken_back_as_it_was_made() {
    let Target::Resource(resource, _) = rule(learn(&LESSON)).target else { panic!() };
    assert_eq!(learn_header("true").unwrap().operation, Operation::ForgetResource(resource));
    let target = rule(learn_header("false;method")).target;
    assert_eq!(learn_header("true;method;ttl=99999").unwrap().operation, Operation::Forget(target));
}

#[test]
fn a_backend_may_only_what_it_was_granted() {
    let other = Request { host: b"other.example", ..LESSON.request };
    for header in [&b"false"[..], b"true", b"false;scope=client", b"true;scope=client"] {
        let lesson = Lesson { header, request: other, ..LESSON };
        assert_eq!(learn(&lesson), Err(Cause::HostNotAllowed));
    }
    for (header, cause) in [
        (&b"false;match=prefix"[..], Cause::PrefixNotAllowed),
        (b"true;match=prefix", Cause::PrefixNotAllowed),
        (b"false;scope=client", Cause::ClientNotAllowed),
        (b"true;scope=client", Cause::ClientNotAllowed),
    ] {
        assert_eq!(learn(&Lesson { backend: b"plain", header, ..LESSON }), Err(cause));
    }
    assert!(learn(&Lesson { backend: b"plain", request: other, ..LESSON }).is_ok());
}

#[test]
fn what_the_request_lacks_cannot_be_bound() {
    let request = |header: &'static [u8], request| learn(&Lesson { header, request, ..LESSON }).err();
    let no_client = Request { client: None, ..LESSON.request };
    assert_eq!(request(b"false;src", no_client), Some(Cause::NoClient));
    assert_eq!(request(b"false;scope=client", no_client), Some(Cause::NoClient));
    assert_eq!(request(b"false;param=\"y\"", LESSON.request), Some(Cause::NoParameter));
    let twice = Request { query: b"id=1&id=2", ..LESSON.request };
    assert_eq!(request(b"false;param=\"id\"", twice), Some(Cause::AmbiguousParameter));
    let same = Request { query: b"id=1&id=%31", ..LESSON.request };
    assert_eq!(request(b"false;param=\"id\"", same), None);
    let long = [b'x'; MAX_CONDITION_BYTES + 1];
    let long_query = Request { query: &long, ..LESSON.request };
    assert_eq!(request(b"false;query", long_query), Some(Cause::ConditionTooLong));
    assert_eq!(request(b"false", long_query), None);
    let method = Request { method: b"G ET", ..LESSON.request };
    assert_eq!(request(b"false;method", method), Some(Cause::Method));
}

#[test]
fn a_request_without_host_or_path_teaches_nothing() {
    let cause = |request| learn(&Lesson { backend: b"free", request, ..LESSON }).err();
    for host in [&b""[..], b"a b", b"\xff", &[b'a'; 254]] {
        assert_eq!(cause(Request { host, ..LESSON.request }), Some(Cause::Host(crate::InvalidHost)));
    }
    let star = Request { path: b"*", ..LESSON.request };
    assert_eq!(cause(star), Some(Cause::RequestPath(InvalidPath::NoSlash)));
    let long = [b"/".to_vec(), vec![b'x'; 1024]].concat();
    let long = Request { path: &long, ..LESSON.request };
    assert_eq!(cause(long), Some(Cause::RequestPath(InvalidPath::TooLong(1024))));
}

#[test]
fn two_headers_and_a_malformed_one_teach_nothing() {
    let several = Lesson { header_count: 2, ..LESSON };
    assert_eq!(learn(&several), Err(Cause::Header(HeaderError::SeveralValues)));
    assert_eq!(learn_header("fals"), Err(Cause::Header(HeaderError::UnknownValue)));
}

#[test]
fn a_refusal_is_one_printable_line() {
    let request = Request { host: b"a\nb\x1b", ..LESSON.request };
    let lesson = Lesson { backend: &[b'\n'; 999], request, ..LESSON };
    let refusal =
        super::learn(&lesson, &Authorities::default(), &Settings::default(), 0, 0, &mut Scratch::new())
            .unwrap_err();
    assert!(!refusal.to_string().chars().any(char::is_control), "{refusal:?}");
    assert!(refusal.backend.len() <= 128, "{}", refusal.backend.len());
    let plain = Refusal { backend: "b".to_owned(), host: "h".to_owned(), cause: Cause::NoParameter };
    assert_eq!(
        plain.to_string(),
        "X-Edge-Resource from backend b for host h refused: the request has no such query parameter"
    );
}

#[test]
fn texts_of_a_rule_are_capped() {
    let long = [b'x'; 999];
    let path = [&b"/"[..], &long].concat();
    let request = Request { path: &path, ..LESSON.request };
    let header = format!("false;reason=\"{}\"", "r".repeat(200));
    let lesson = Lesson { header: header.as_bytes(), server: &long, unique_id: &long, request, ..LESSON };
    let rule = rule(learn(&lesson));
    assert_eq!(rule.reason.len(), 128);
    let Origin::Learned(from) = rule.origin else { panic!() };
    assert_eq!((from.server.len(), from.unique_id.len(), from.request.len()), (128, 128, 256));
}

proptest! {
    #[test]
    fn what_is_learned_matches_the_request_that_taught_it(
        header in r#"false(;method|;query|;anon|;src|;param="(id|x)"|;match=prefix|;path="/x"|;ttl=[1-9]{1,3}){0,4}"#,
        path in "/(x|%78|X)/[a-z./%]{0,6}", method in "GET|POST|HEAD|X", query in "(id=[a-z%]{0,3}&?){0,3}[x#]{0,2}") {
        let (path, method) = (path.as_bytes(), method.as_bytes());
        let request = Request { path, method, query: query.as_bytes(), ..LESSON.request };
        let Ok(taught) = learn(&Lesson { header: header.as_bytes(), request, ..LESSON }) else {
            return Ok(());
        };
        let rule = rule(Ok(taught));
        let Target::Resource(resource, conditions) = &rule.target else { panic!("{rule:?}") };
        let mut scratch = Scratch::new();
        let requested = CanonicalPath::from_canonical(request.path, 1024).unwrap();
        prop_assert!(has_one_reading(request.path, &Settings::default()));
        prop_assert!(resource.covers_path(&requested), "{} {:?}", resource, request);
        prop_assert_eq!(conditions.hold(&request, &scratch.query(request.query)), Some(true), "{:?}", conditions);
    }
}
