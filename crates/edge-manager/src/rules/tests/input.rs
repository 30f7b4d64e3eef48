use edge_filter::{InvalidNet, InvalidResource};

use crate::rules::{End, Input};

/// 1,000.5 s after the epoch.
const NOW_US: u64 = 1_000_500_000;

fn read(input: Input<'_>) -> String {
    match input.parse(NOW_US) {
        Ok(new) => format!("{}; by {}", new.rule.line(1000), new.by),
        Err(invalid) => invalid.to_string(),
    }
}

#[test]
fn what_is_not_said_has_its_default() {
    let input = Input { target: "192.0.2.1", ..Input::default() };
    assert_eq!(read(input), "block 192.0.2.1: deny 403, no end, manual; by ");
    assert_eq!(read(Input { allows: true, ..input }), "allow 192.0.2.1: no end, manual; by ");
}

#[test]
fn everything_that_is_said_is_kept_in_canonical_form() {
    let input = Input {
        target: "Shop.Example:80//%61dm/../x/*",
        conditions: "anon method=POST",
        action: "deny 404",
        end: End::At(1600),
        reason: "why",
        list: "feed-1",
        by: "me",
        allows: false,
    };
    let expected = "shop.example/x/* method=POST anon: deny 404, 600 s left, feed-1, reason: why; by me";
    assert_eq!(read(input), expected);
    let net = Input { target: "10.1.2.3/255.255.0.0", action: "tarpit", ..Input::default() };
    assert_eq!(read(net), "block 10.1.0.0/16: tarpit, no end, manual; by ");
}

#[test]
fn a_ttl_is_never_cut_short() {
    let input = |ttl_s| Input { target: "192.0.2.1", end: End::Ttl(ttl_s), ..Input::default() };
    assert_eq!(input(10).parse(NOW_US).unwrap().rule.expires_at_s, 1011);
    assert_eq!(input(10).parse(1_000_000_000).unwrap().rule.expires_at_s, 1010);
}

#[test]
fn a_url_is_its_host_and_path() {
    assert_eq!(
        read(Input { target: "https://Shop.Example:8443/a", ..Input::default() }),
        "shop.example/a: deny 403, no end, manual; by "
    );
    let input = Input { target: "http://192.0.2.1/24", ..Input::default() };
    assert_eq!(read(input), "http://192.0.2.1/24: deny 403, no end, manual; by ");
}

#[test]
fn a_bad_value_is_named_with_its_field() {
    let client = Input { target: "192.0.2.1", ..Input::default() };
    let page = Input { target: "/page", ..Input::default() };
    let long = "x".repeat(2000);
    let shown = &long[..80];
    let cases = [
        (Input { target: "", ..client }, r#"target: "": not an IPv4 or IPv6 address or CIDR, nor /path or host/path"#.to_owned()),
        (Input { target: "nonsense", ..client }, r#"target: "nonsense": not an IPv4 or IPv6 address or CIDR, nor /path or host/path"#.into()),
        // No path 33 on the host 192.0.2.1.
        (Input { target: "192.0.2.1/33", ..client }, r#"target: "192.0.2.1/33": not an IPv4 or IPv6 address or CIDR"#.into()),
        (Input { target: "::1/", ..client }, r#"target: "::1/": not an IPv4 or IPv6 address or CIDR"#.into()),
        (Input { target: "ftp://a/b", ..client }, r#"target: "ftp://a/b": a URL that is neither http:// nor https://"#.into()),
        (Input { target: "10.0.0.0/8,", ..client }, format!(r#"target: "10.0.0.0/8,": {}"#, InvalidResource::Address)),
        (Input { target: "192.168.1/24", ..client }, format!(r#"target: "192.168.1/24": {}"#, InvalidResource::Address)),
        (Input { target: "::ffff:10.0.0.0/8", ..client }, format!(r#"target: "::ffff:10.0.0.0/8": {}"#, InvalidNet::Mapped)),
        (Input { target: "/wp-*", ..client }, format!(r#"target: "/wp-*": {}"#, InvalidResource::Star)),
        (Input { target: "bücher.example/a", ..client }, r#"target: "bücher.example/a": hosts are written in ASCII: xn--bcher-kva.example/a"#.into()),
        (Input { target: "https://Bücher.example/a", ..client }, r#"target: "https://Bücher.example/a": hosts are written in ASCII: xn--bcher-kva.example/a"#.into()),
        (Input { target: "/a?b", ..client }, r#"target: "/a?b": a path holds no ? or #"#.into()),
        (Input { target: "/page", allows: true, ..client }, r#"target: "/page": not an IPv4 or IPv6 address or CIDR"#.into()),
        (Input { conditions: "anon", ..client }, r#"conditions: "anon": conditions go with a resource, not with a client"#.into()),
        (Input { conditions: "anon anon", ..page }, r#"conditions: "anon anon": conditions are method=, query=, param:NAME=VALUE, anon and src=ADDRESS, each once at most"#.into()),
        (Input { action: "reject", ..client }, r#"action: "reject": an action is deny, deny with a status from 400 to 599, tarpit, drop or observe"#.into()),
        (Input { end: End::Ttl(0), ..client }, r#"ttl: "0": 1 s at least, and to the year 2105 at most"#.into()),
        (Input { end: End::Ttl(u64::MAX), ..client }, r#"ttl: "18446744073709551615": 1 s at least, and to the year 2105 at most"#.into()),
        (Input { end: End::Ttl(u64::from(u32::MAX) - 1001), ..client }, r#"ttl: "4294966294": 1 s at least, and to the year 2105 at most"#.into()),
        (Input { end: End::At(1000), ..client }, r#"expires_at: "1000": is in the past"#.into()),
        (Input { end: End::At(u64::from(u32::MAX)), ..client }, r#"expires_at: "4294967295": 1 s at least, and to the year 2105 at most"#.into()),
        (Input { reason: &long, ..client }, format!("reason: {shown:?}: longer than 1024 bytes")),
        (Input { reason: "a\nb", ..client }, r#"reason: "a\nb": control characters"#.into()),
        (Input { by: &long, ..client }, format!("by: {shown:?}: longer than 128 bytes")),
        (Input { list: "A", ..client }, r#"list: "A": a list's name is 1 to 64 of a-z 0-9 . _ -"#.into()),
    ];
    for (input, expected) in cases {
        assert_eq!(read(input), expected);
    }
}
