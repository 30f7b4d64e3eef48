//! Lists of client addresses.

use std::net::IpAddr;

use super::lines::{BadLine, lines};
use crate::{ClientNet, InvalidNet, List};

/// Reads one address or CIDR a line. `#` and `;` begin a comment anywhere. What follows the first column (ended by space, tab
/// or comma) is passed over, so HAProxy map files (`192.0.2.1 1`) and most published lists work as they are. A line is bad if its
/// next column changes what the first one means: the end of a range, a netmask, a name as in a hosts file, or a value of a map
/// that contradicts the list (`192.0.2.1 0`).
///
/// `contents` are whole lines of a file, the first of which is its line `first_line`, counted from 1; `list` is what the file is.
pub fn addresses(
    contents: &[u8],
    first_line: usize,
    list: List,
) -> impl Iterator<Item = Result<ClientNet, BadLine>> {
    lines(contents, first_line).filter_map(move |(number, line)| {
        address(line, list).map_err(|reason| BadLine::new(number, line, reason)).transpose()
    })
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error(transparent)]
    Net(#[from] InvalidNet),
    #[error("a range of addresses, or an address with a netmask: write it as CIDR, such as 192.0.2.0/24")]
    Range,
    #[error("an address with a name, as in a hosts file")]
    Hosts,
    #[error("a value that may mean that the address is not on the list: leave the line out, or the value")]
    Off,
}

/// `None` for a line without a rule.
fn address(line: &[u8], list: List) -> Result<Option<ClientNet>, Reason> {
    let end = line.iter().position(|b| matches!(b, b'#' | b';')).unwrap_or(line.len());
    let line = line[..end].trim_ascii_end();
    if line.is_empty() {
        return Ok(None);
    }
    let end = line.iter().position(|b| matches!(b, b' ' | b'\t' | b',')).unwrap_or(line.len());
    let (column, rest) = line.split_at(end);
    let net = str::from_utf8(column).map_err(|_| InvalidNet::NoNet)?.parse()?;
    let is_value = !rest.contains(&b',');
    let is_address = !column.contains(&b'/');
    let mut columns = rest
        .split(|b| matches!(b, b' ' | b'\t' | b','))
        .filter(|column| !column.is_empty() && *column != b"-");
    let (next, is_last) = (columns.next(), columns.next().is_none());
    match next.map(str::from_utf8) {
        Some(Ok(end)) if is_address && end.trim_start_matches('-').parse::<IpAddr>().is_ok() => {
            Err(Reason::Range)
        }
        Some(Ok(value)) if is_value && is_last && is_off(value, list) => Err(Reason::Off),
        Some(Ok(name)) if is_value && is_of_hosts_file(net, name) => Err(Reason::Hosts),
        _ => Ok(Some(net)),
    }
}

/// Whether the value of a map says that its key is not on this list.
fn is_off(value: &str, list: List) -> bool {
    let is_one = |all: &[&str]| all.iter().any(|off| value.eq_ignore_ascii_case(off));
    is_one(&["0", "false", "off"]) || (list == List::Block && is_one(&["allow"]))
}

/// Whether this is a line of a hosts file: those block names, by addresses that lead nowhere, and name the machine itself.
fn is_of_hosts_file(net: ClientNet, name: &str) -> bool {
    let leads_nowhere = match net {
        ClientNet::V4(bits, _) => bits == 0 || bits >> 24 == 127,
        ClientNet::V6(bits, _) => bits <= 1 || bits >> 118 == 0xfe80 >> 6 || bits >> 120 == 0xff,
    };
    let is_name = name.bytes().any(|b| b.is_ascii_alphabetic());
    (leads_nowhere && is_name) || name == "localhost" || name.starts_with("ip6-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(contents: &[u8]) -> Vec<Result<String, usize>> {
        addresses(contents, 1, List::Block)
            .map(|net| net.map(|net| net.to_string()).map_err(|bad| bad.line))
            .collect()
    }

    #[test]
    fn every_usual_form_of_a_list_is_read() {
        let contents = "\u{feff}192.0.2.1\r\n# comment\r\n; comment\n\n  \t\n 198.51.100.7/24 ; SBL1\n\
            2001:db8::1#x\n192.0.2.2 1\n192.0.2.3,bot,2024\n192.0.2.4\tx\n10.0.0.0/255.0.0.0 n\n::ffff:192.0.2.5";
        assert_eq!(
            read(contents.as_bytes()),
            [
                "192.0.2.1",
                "198.51.100.0/24",
                "2001:db8::1",
                "192.0.2.2",
                "192.0.2.3",
                "192.0.2.4",
                "10.0.0.0/8",
                "192.0.2.5"
            ]
            .map(|net| Ok(net.to_owned()))
        );
        assert_eq!(read(b""), []);
        assert_eq!(read(b"\n#\n;"), []);
    }

    #[test]
    fn what_makes_something_else_of_an_address_is_a_bad_line() {
        for line in [
            "20.1.0.0\t20.1.0.255\t24",
            "20.1.0.0 20.1.0.255",
            "20.1.0.0,20.1.0.255,US",
            "20.4.0.0 - 20.4.0.255 , 000 , x",
            "20.4.0.0 -20.4.0.255",
            "10.0.0.0 255.0.0.0",
            "20.4.0.0 20.4.0.255",
            "2001:db8::\t2001:db8::ffff",
            "127.0.0.1 localhost",
            "0.0.0.0 ads.example.com # x",
            "::1 ip6-loopback ip6-localhost",
            "127.0.1.1 myhost",
            "fe80::1%lo0 localhost",
            "ff02::1 ip6-allnodes",
            "20.24.0.0/24 0",
            "20.24.0.0/24 false",
            "20.24.0.0/24\tallow # was 1",
            "20.24.0.0/24 off",
            "20.1.0.0-20.1.0.255",
            "::ffff:10.0.0.0/8",
        ] {
            let read = read(line.as_bytes());
            assert_eq!(read, [Err(1)], "{line}");
        }
    }

    #[test]
    fn what_stands_behind_an_address_for_people_does_not_matter() {
        for line in [
            "20.24.0.1 1",
            "20.24.0.1 true",
            "20.24.0.1 deny",
            "20.24.0.1 403",
            "20.24.0.1 NO",
            "20.24.0.1,0,1",
            "20.24.0.1 2024-01-31",
            "20.24.0.1 SBL1 listed on 1.2.2024",
            "20.24.0.1 hello.data.scanner.example",
            "20.24.0.1 wp-login.php attempts",
            "20.24.0.1 0 reports",
        ] {
            assert_eq!(read(line.as_bytes()), [Ok("20.24.0.1".to_owned())], "{line}");
        }
        let allowed = addresses(b"20.24.0.1 allow\n20.24.0.2 0", 1, List::Allow);
        assert_eq!(allowed.map(|net| net.is_ok()).collect::<Vec<_>>(), [true, false]);
        assert_eq!(read(b"20.24.0.0/24 203.0.113.1 AS64500"), [Ok("20.24.0.0/24".to_owned())], "a next hop");
    }

    #[test]
    fn a_bad_line_is_named_and_skipped() {
        let contents = b"192.0.2.1\nshop.example 1\n\n192.0.2.256\n\xff\n,192.0.2.1\n192.0.2.2";
        let ok = |net: &str| Ok(net.to_owned());
        assert_eq!(read(contents), [ok("192.0.2.1"), Err(2), Err(4), Err(5), Err(6), ok("192.0.2.2")]);
        let bad = addresses(contents, 1, List::Block).find_map(Result::err).unwrap();
        assert_eq!(bad.to_string(), "line 2: \"shop.example 1\": not an IPv4 or IPv6 address or CIDR");
    }

    #[test]
    fn lines_in_the_middle_of_a_file_are_counted_from_its_beginning() {
        let later = "\u{feff}192.0.2.1\n192.0.2.2\n\nbad";
        let read = |first_line| {
            addresses(later.as_bytes(), first_line, List::Block).map(|net| net.map_err(|bad| bad.line))
        };
        let ok = Ok(ClientNet::V4(0xC000_0202, 32));
        // A byte order mark is one at the beginning alone.
        assert_eq!(read(8).collect::<Vec<_>>(), [Err(8), ok, Err(11)]);
        assert_eq!(read(1).collect::<Vec<_>>(), [Ok(ClientNet::V4(0xC000_0201, 32)), ok, Err(4)]);
    }

    #[test]
    fn the_text_of_a_bad_line_is_short_and_printable() {
        let contents = [b"\x1b[2J\0".to_vec(), vec![b'x'; 10_000]].concat();
        let bad = addresses(&contents, 1, List::Block).find_map(Result::err).unwrap();
        assert!(bad.text.len() <= 80 && !bad.text.chars().any(char::is_control), "{bad}");
    }
}
