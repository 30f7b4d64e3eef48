//! Foreign text made fit for a log line or a record.

/// At most `max_bytes` of `bytes` as text without control characters, cut at a character; `U+FFFD` stands for
/// each control character and for what is not UTF-8. O(`max_bytes`), however long `bytes` is.
pub(crate) fn printable(bytes: &[u8], max_bytes: usize) -> String {
    let mut text = String::new();
    // No more than `max_bytes` bytes can be shown, and four more finish a character that begins among them.
    for c in String::from_utf8_lossy(&bytes[..bytes.len().min(max_bytes + 4)]).chars() {
        let c = if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        if text.len() + c.len_utf8() > max_bytes {
            break;
        }
        text.push(c);
    }
    text
}

/// The longest beginning of `text` of at most `max_bytes` that ends at a character.
pub(crate) fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn text_is_cut_at_a_character_and_holds_no_control_characters() {
        assert_eq!(printable(b"shop", 8), "shop");
        assert_eq!(printable(b"shop", 3), "sho");
        assert_eq!(printable("aé".as_bytes(), 2), "a");
        assert_eq!(printable("aé".as_bytes(), 3), "aé");
        assert_eq!(printable("ééé€".as_bytes(), 8), "ééé");
        assert_eq!(printable(b"a\n\x1b[0m\xff", 99), "a\u{fffd}\u{fffd}[0m\u{fffd}");
        assert_eq!(printable("\u{85}".as_bytes(), 9), "\u{fffd}");
        assert_eq!(printable(&[b'x'; 100_000], 5), "xxxxx");
        assert_eq!(printable(b"", 5), "");
    }
}
