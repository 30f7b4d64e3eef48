//! Numbers, for people.

/// With a thin gap between thousands: `1 234 567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A rate with as many digits as matter: `0.4`, `12.3`, `1 234`.
pub(super) fn rate(a_second: f32) -> String {
    if a_second < 0.05 {
        "0".to_owned()
    } else if a_second < 99.95 {
        format!("{a_second:.1}")
    } else {
        grouped(a_second.round() as u64)
    }
}

/// `1 rule`, `7 rules`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_rates_are_short() {
        let grouped = |number| grouped(number).replace('\u{202f}', " ");
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
        assert_eq!([0.0, 0.04, 0.44, 12.34, 99.9].map(rate), ["0", "0", "0.4", "12.3", "99.9"]);
        assert_eq!(rate(1234.4).replace('\u{202f}', " "), "1 234");
        assert_eq!(
            (counted(1, "rule", "rules"), counted(2, "rule", "rules")),
            ("1 rule".into(), "2 rules".into())
        );
    }
}
