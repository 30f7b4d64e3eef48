//! Lists of client addresses.

use super::lines::{BadLine, lines};
use crate::{ClientNet, InvalidNet};

/// Reads one address or CIDR a line. `#` and `;` begin a comment anywhere. What follows the first column
/// (ended by space, tab or comma) is ignored, so HAProxy map files (`192.0.2.1 1`) and most published lists
/// work as they are.
///
/// `contents` are whole lines of a file, the first of which is its line `first_line`, counted from 1.
pub fn addresses(contents: &[u8], first_line: usize) -> impl Iterator<Item = Result<ClientNet, BadLine>> {
    lines(contents, first_line).filter_map(|(number, line)| {
        let end = line.iter().position(|b| matches!(b, b' ' | b'\t' | b',' | b'#' | b';'));
        let column = &line[..end.unwrap_or(line.len())];
        if column.is_empty() && matches!(line[0], b'#' | b';') {
            return None;
        }
        let net = str::from_utf8(column).map_err(|_| InvalidNet).and_then(str::parse);
        Some(net.map_err(|reason| BadLine::new(number, line, reason)))
    })
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
