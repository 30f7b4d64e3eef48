//! List files of addresses and resources, and the file of authorities.

use std::fmt::Debug;

use edge_filter::list::{BadLine, Listed, addresses, resources};
use edge_filter::{Authorities, ClientNet, Settings};

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
    let read_addresses = |file: &[u8]| addresses(file).collect::<Vec<_>>();
    let read_resources = |file: &[u8]| resources(file, &settings).collect::<Vec<_>>();
    lines_are_apart(data, read_addresses);
    lines_are_apart(data, read_resources);

    for net in addresses(data).flatten() {
        assert_eq!(net.to_string().parse::<ClientNet>(), Ok(net));
        assert_eq!(read_addresses(net.to_string().as_bytes()), [Ok(net)]);
    }
    for listed in resources(data, &settings).flatten() {
        let again = Listed { conditions: edge_filter::Conditions::default(), status: None, ..listed.clone() };
        assert_eq!(read_resources(listed.resource.to_string().as_bytes()), [Ok(again)]);
    }
    if let Ok(text) = str::from_utf8(data)
        && let Err(error) = Authorities::parse(text)
    {
        assert!((1..=text.lines().count()).contains(&error.line), "{error}");
        assert!(!error.to_string().chars().any(char::is_control), "{error}");
    }
}

fn lines_are_apart<T: Debug + PartialEq>(file: &[u8], read: impl Fn(&[u8]) -> Vec<Result<T, BadLine>>) {
    let all = read(file);
    let lines = file.split(|&b| b == b'\n').count();
    let bad: Vec<&BadLine> = all.iter().filter_map(|line| line.as_ref().err()).collect();
    assert!(all.len() <= lines);
    assert!(
        bad.is_sorted_by(|a, b| a.line < b.line) && bad.iter().all(|bad| (1..=lines).contains(&bad.line))
    );
    for bad in bad {
        assert!(bad.text.len() <= 80 && !bad.to_string().chars().any(char::is_control), "{bad:?}");
    }
    // A byte order mark means something at the start of a file only, so the cut must not make one.
    let cut = file.iter().skip(file.len() / 2).position(|&b| b == b'\n').map(|at| file.len() / 2 + at);
    if let Some(cut) = cut.filter(|cut| !file[cut + 1..].starts_with("\u{feff}".as_bytes())) {
        let lines_before = file[..cut].split(|&b| b == b'\n').count();
        let mut parts = read(&file[..cut]);
        parts.extend(
            read(&file[cut + 1..])
                .into_iter()
                .map(|line| line.map_err(|bad| BadLine { line: bad.line + lines_before, ..bad })),
        );
        assert_eq!(all, parts, "cut at {cut}");
    }
}
