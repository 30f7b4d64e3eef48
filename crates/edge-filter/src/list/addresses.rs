//! Lists of client addresses.

use super::lines::{BadLine, lines};
use crate::{ClientNet, InvalidNet};

/// Reads one address or CIDR a line. `#` and `;` begin a comment anywhere. What follows the first column (ended by space, tab
/// or comma) is passed over, so HAProxy map files (`192.0.2.1 1`) and most published lists work as they are. A line of a map
/// whose value says that it does not block (`192.0.2.1 0`) is no rule. A line whose next column would make something else of the
/// first one is a bad one: the end of a range, a netmask, or a name as in a hosts file.
///
/// `contents` are whole lines of a file, the first of which is its line `first_line`, counted from 1.
pub fn addresses(contents: &[u8], first_line: usize) -> impl Iterator<Item = Result<ClientNet, BadLine>> {
    lines(contents, first_line).filter_map(|(number, line)| {
        address(line).map_err(|reason| BadLine::new(number, line, reason)).transpose()
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
}

/// `None` for a line without a rule.
fn address(line: &[u8]) -> Result<Option<ClientNet>, Reason> {
    let end = line.iter().position(|b| matches!(b, b'#' | b';')).unwrap_or(line.len());
    let line = line[..end].trim_ascii_end();
    if line.is_empty() {
        return Ok(None);
    }
    let end = line.iter().position(|b| matches!(b, b' ' | b'\t' | b',')).unwrap_or(line.len());
    let (column, rest) = line.split_at(end);
    let net = str::from_utf8(column).map_err(|_| InvalidNet::NoNet)?.parse()?;
    let is_value = !rest.contains(&b',');
    let mut columns = rest
        .split(|b| matches!(b, b' ' | b'\t' | b','))
        .filter(|column| !column.is_empty() && *column != b"-");
    let (next, is_last) = (columns.next(), columns.next().is_none());
    match next.map(str::from_utf8) {
        Some(Ok(next)) if next.trim_start_matches('-').parse::<ClientNet>().is_ok() => Err(Reason::Range),
        Some(Ok(value)) if is_value && is_last && is_off(value) => Ok(None),
        Some(Ok(name)) if is_value && is_host_name(name) => Err(Reason::Hosts),
        _ => Ok(Some(net)),
    }
}

/// Whether the value of a map says that its key is not blocked.
fn is_off(value: &str) -> bool {
    ["0", "false", "no", "off", "allow", "pass"].iter().any(|off| value.eq_ignore_ascii_case(off))
}

/// Whether a hosts file would have this name beside an address: one with a dot, or one of the machine itself.
fn is_host_name(text: &str) -> bool {
    let is_of_machine = ["localhost", "broadcasthost"].contains(&text) || text.starts_with("ip6-");
    let last = text.rsplit_once('.').map(|(_, last)| last);
    is_of_machine || last.is_some_and(|last| last.len() > 1 && last.bytes().all(|b| b.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(contents: &[u8]) -> Vec<Result<String, usize>> {
        addresses(contents, 1).map(|net| net.map(|net| net.to_string()).map_err(|bad| bad.line)).collect()
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
            "2001:db8::\t2001:db8::ffff",
            "127.0.0.1 localhost",
            "0.0.0.0 ads.example.com # x",
            "::1 ip6-loopback ip6-localhost",
            "20.1.0.0-20.1.0.255",
            "::ffff:10.0.0.0/8",
        ] {
            let read = read(line.as_bytes());
            assert_eq!(read, [Err(1)], "{line}");
        }
    }

    #[test]
    fn a_value_that_does_not_block_is_no_rule() {
        for value in ["0", "false", "FALSE", "no", "off", "allow", "0 # was 1", "\tpass"] {
            assert_eq!(read(format!("20.24.0.0/24 {value}").as_bytes()), [], "{value}");
        }
        for value in ["1", "true", "deny", "403", "0,1", "2024-01-31", "v1.2", "SBL1 listed on 1.2.2024"] {
            assert_eq!(
                read(format!("20.24.0.0/24 {value}").as_bytes()),
                [Ok("20.24.0.0/24".to_owned())],
                "{value}"
            );
        }
    }

    #[test]
    fn a_bad_line_is_named_and_skipped() {
        let contents = b"192.0.2.1\nshop.example 1\n\n192.0.2.256\n\xff\n,192.0.2.1\n192.0.2.2";
        let ok = |net: &str| Ok(net.to_owned());
        assert_eq!(read(contents), [ok("192.0.2.1"), Err(2), Err(4), Err(5), Err(6), ok("192.0.2.2")]);
        let bad = addresses(contents, 1).find_map(Result::err).unwrap();
        assert_eq!(bad.to_string(), "line 2: \"shop.example 1\": not an IPv4 or IPv6 address or CIDR");
    }

    #[test]
    fn lines_in_the_middle_of_a_file_are_counted_from_its_beginning() {
        let later = "\u{feff}192.0.2.1\n192.0.2.2\n\nbad";
        let read =
            |first_line| addresses(later.as_bytes(), first_line).map(|net| net.map_err(|bad| bad.line));
        let ok = Ok(ClientNet::V4(0xC000_0202, 32));
        // A byte order mark is one at the beginning alone.
        assert_eq!(read(8).collect::<Vec<_>>(), [Err(8), ok, Err(11)]);
        assert_eq!(read(1).collect::<Vec<_>>(), [Ok(ClientNet::V4(0xC000_0201, 32)), ok, Err(4)]);
    }

    #[test]
    fn the_text_of_a_bad_line_is_short_and_printable() {
        let contents = [b"\x1b[2J\0".to_vec(), vec![b'x'; 10_000]].concat();
        let bad = addresses(&contents, 1).find_map(Result::err).unwrap();
        assert!(bad.text.len() <= 80 && !bad.text.chars().any(char::is_control), "{bad}");
    }
}
