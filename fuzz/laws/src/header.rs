//! The grammar of `X-Edge-Resource`, and what responses teach.

use edge_filter::{
    Authorities, CanonicalPath, Directive, HeaderError, Lesson, MAX_CONFIRM, Operation, Request, Rule,
    Scratch, Settings, Target, Taught, learn,
};

pub(crate) const WORDS: &[&str] = &[
    "false",
    "true",
    "?0",
    "?1",
    ";ttl=",
    ";ttl=60",
    ";match=",
    "exact",
    "prefix",
    ";path=\"/x/\"",
    ";path=\"/\"",
    ";method",
    ";method=any",
    ";confirm=",
    ";confirm=2",
    ";query",
    ";anon",
    ";src",
    ";param=\"id\"",
    ";scope=",
    "client",
    "resource",
    ";status=404",
    ";action=",
    "deny",
    "tarpit",
    "drop",
    "observe",
    ";reason=\"",
    "\"",
    "\\",
    ";",
    "=",
    ",",
    " ",
    "-",
    "1.5",
    "999999999999999",
    ":aGk=:",
    "@1",
    "%\"a\"",
    "(",
    ")",
];

const NOW_US: u64 = 1_700_000_000_500_000;

const REQUEST: Request<'_> = Request {
    host: b"shop.example:443",
    path: b"/x/yeet/",
    query: b"id=%61&debug",
    method: b"GET",
    anonymous: true,
    client: Some(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))),
};

/// A value is understood or refused whatever is around it, and whatever it teaches holds for the request that
/// it was taught by and ends in time.
pub fn header(data: &[u8]) {
    let settings = Settings::default();
    let max_bytes = settings.max_header_bytes;
    let directive = Directive::parse(data, max_bytes);
    assert_eq!(matches!(directive, Err(HeaderError::TooLong(_))), data.len() > max_bytes);
    match &directive {
        Err(error) => assert!(!error.to_string().chars().any(char::is_control)),
        Ok(directive) => {
            assert_ne!(directive.ttl_s, Some(0));
            let padded = [b" ", data, b" "].concat();
            assert_eq!(Directive::parse(&padded, padded.len()).as_ref(), Ok(directive), "padded");
            let twice = [data, b", ", data].concat();
            assert_eq!(Directive::parse(&twice, twice.len()), Err(HeaderError::SeveralValues));
            let unknown = [data.trim_ascii_end(), b";*"].concat();
            let refused = Err(HeaderError::UnknownParameter("*".to_owned()));
            assert_eq!(Directive::parse(&unknown, unknown.len()), refused);
        }
    }
    lesson(data, directive, &settings);
}

fn lesson(data: &[u8], directive: Result<Directive, HeaderError>, settings: &Settings) {
    let authorities = Authorities::parse("free prefix client").unwrap();
    let lesson = Lesson {
        header: data,
        header_count: 1,
        status: 404,
        backend: b"free",
        server: b"s",
        unique_id: data,
        is_partial: false,
        request: REQUEST,
    };
    let mut scratch = Scratch::new();
    let taught = learn(&lesson, &authorities, settings, NOW_US, NOW_US, &mut scratch);
    assert!(directive.is_ok() || taught.is_err(), "a header that is not understood teaches nothing");
    match taught {
        Ok(taught) => {
            operation_fits(&taught.operation, settings);
            assert!(taught.confirm.is_none_or(|confirm| (2..=MAX_CONFIRM).contains(&confirm.networks)));
            let twice = Lesson { header_count: 2, ..lesson };
            let partial = Lesson { is_partial: true, ..lesson };
            let not_modified = Lesson { status: 304, ..lesson };
            let elsewhere = Lesson { request: Request { path: b"/y/../x/yeet/", ..REQUEST }, ..lesson };
            for other in [twice, partial, not_modified, elsewhere] {
                assert!(
                    learn(&other, &authorities, settings, NOW_US, NOW_US, &mut scratch).is_err(),
                    "{other:?}"
                );
            }
            // Whatever the header says, a HEAD teaches for HEAD alone.
            let head = Lesson { request: Request { method: b"HEAD", ..REQUEST }, ..lesson };
            let taught = learn(&head, &authorities, settings, NOW_US, NOW_US, &mut scratch);
            if let Ok(Taught {
                operation: Operation::Put(Rule { target: Target::Resource(_, of), .. }),
                ..
            }) = taught
            {
                assert_eq!(of.method.as_deref(), Some("HEAD"));
            }
        }
        Err(refusal) => assert!(!refusal.to_string().chars().any(char::is_control), "{refusal}"),
    }
}

fn operation_fits(operation: &Operation, settings: &Settings) {
    match operation {
        Operation::Put(rule) => rule_fits(rule, settings),
        Operation::Forget(target) => target_fits(target, settings),
        Operation::ForgetResource(resource) => {
            assert_eq!(resource.host.as_ref().map(|host| host.as_str()), Some("shop.example"));
        }
        other => panic!("not for a backend to do: {other:?}"),
    }
}

fn rule_fits(rule: &Rule, settings: &Settings) {
    target_fits(&rule.target, settings);
    let lives_s = rule.expires_at_s - (NOW_US / 1_000_000) as u32;
    assert!((1..=settings.max_ttl_s + 1).contains(&lives_s), "{lives_s}");
    assert!(rule.reason.len() <= settings.max_reason_bytes);
    assert!(!rule.action.to_string().is_empty());
}

fn target_fits(target: &Target, settings: &Settings) {
    match target {
        Target::Client(_, net) => assert_eq!(net.to_string(), "192.0.2.1"),
        Target::Resource(resource, conditions) => {
            let path = CanonicalPath::parse(REQUEST.path, settings.parameter_segments, 99).unwrap();
            assert_eq!(resource.host.as_ref().map(|host| host.as_str()), Some("shop.example"));
            assert!(resource.covers_path(&path), "{resource}");
            assert_eq!(conditions.hold(&REQUEST, &Scratch::new().query(REQUEST.query)), Some(true));
        }
    }
}
