//! List files of addresses and resources, and the file of authorities.

use std::fmt::Debug;

use edge_filter::list::{BadLine, Listed, addresses, resources};
use edge_filter::{Authorities, ClientNet, List, Settings};

pub(crate) const WORDS: &[&str] = &[
    "\n",
    "\r\n",
    "\u{feff}",
    "#",
    ";",
    " ",
    "\t",
    ",",
    "/",
    "/*",
    "192.0.2.1",
    "/24",
    "::1",
    "2001:db8::/32",
    "::ffff:1.2.3.4",
    "255.255.255.0",
    "shop.example",
    "POST",
    "404",
    "410",
    "-",
    "*",
    "true",
    "false",
    "hosts=",
    "*.shop.example",
    "max-ttl=60",
    "prefix",
    "client",
    "http://",
    "[::1]",
];

/// No file makes a parser panic, one line never touches another, and each rule that is read reads back.
pub fn lists(data: &[u8]) {
    let settings = Settings::default();
    let read_addresses =
        |file: &[u8], first_line| addresses(file, first_line, List::Block).collect::<Vec<_>>();
    let read_resources = |file: &[u8], first_line| resources(file, first_line, &settings).collect::<Vec<_>>();
    lines_are_apart(data, read_addresses);
    lines_are_apart(data, read_resources);

    for net in addresses(data, 1, List::Block).flatten() {
        assert_eq!(net.to_string().parse::<ClientNet>(), Ok(net));
        assert_eq!(read_addresses(net.to_string().as_bytes(), 1), [Ok(net)]);
    }
    for listed in resources(data, 1, &settings).flatten() {
        let again = Listed { conditions: edge_filter::Conditions::default(), status: None, ..listed.clone() };
        assert_eq!(read_resources(listed.resource.to_string().as_bytes(), 1), [Ok(again)]);
    }
    if let Ok(text) = str::from_utf8(data)
        && let Err(error) = Authorities::parse(text)
    {
        assert!((1..=text.lines().count()).contains(&error.line), "{error}");
        assert!(!error.to_string().chars().any(char::is_control), "{error}");
    }
}

fn lines_are_apart<T: Clone + Debug + PartialEq>(
    file: &[u8],
    read: impl Fn(&[u8], usize) -> Vec<Result<T, BadLine>>,
) {
    let all = read(file, 1);
    let lines = file.split(|&b| b == b'\n').count();
    let bad: Vec<&BadLine> = all.iter().filter_map(|line| line.as_ref().err()).collect();
    assert!(all.len() <= lines);
    assert!(
        bad.is_sorted_by(|a, b| a.line < b.line) && bad.iter().all(|bad| (1..=lines).contains(&bad.line))
    );
    for bad in bad {
        assert!(bad.text.len() <= 80 && !bad.to_string().chars().any(char::is_control), "{bad:?}");
    }
    let cut = file.iter().skip(file.len() / 2).position(|&b| b == b'\n').map(|at| file.len() / 2 + at);
    if let Some(cut) = cut {
        let (first, rest) = file.split_at(cut + 1);
        let lines_before = first.split(|&b| b == b'\n').count() - 1;
        let parts = [read(first, 1), read(rest, lines_before + 1)].concat();
        assert_eq!(all, parts, "cut at {cut}");
    }
}
