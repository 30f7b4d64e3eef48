//! When rules end, as it is typed.

use crate::rules::End;

/// How long, such as `30min`, `12h` or `7d`; nothing for no end.
///
/// # Errors
/// It is none, in one line for whoever typed it.
pub(super) fn end(text: &str) -> Result<End, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(End::Never);
    }
    match humantime::parse_duration(text) {
        Ok(length) if length.as_secs() > 0 => Ok(End::Ttl(length.as_secs())),
        Ok(_) => Err(format!("for how long: {text:?}: a second at least")),
        Err(_) => {
            Err(format!("for how long: {text:?}: write it as 30min, 12h or 7d, or leave it empty for no end"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_typed_in_words_or_left_out() {
        assert_eq!(end(" "), Ok(End::Never));
        for (text, ttl_s) in [("30min", 1800), ("12h", 43_200), (" 7d ", 604_800), ("1h 30m", 5400)] {
            assert_eq!(end(text), Ok(End::Ttl(ttl_s)), "{text}");
        }
        for bad in ["0s", "5", "soon", "-1h", "1ms"] {
            assert!(end(bad).is_err(), "{bad}");
        }
    }
}
