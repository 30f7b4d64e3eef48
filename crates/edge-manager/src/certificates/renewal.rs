//! When a certificate is renewed, and when its end is warned of.

use super::Leaf;

/// Days before the end of a certificate at which it is warned of, the fewest last.
pub const WARN_DAYS: [u32; 5] = [30, 14, 7, 3, 1];

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// The first wait after a failure, and the longest one, seconds.
const FIRST_WAIT_S: u64 = 60;
const LONGEST_WAIT_S: u64 = 86_400;

/// When to renew where the server does not say: one third of the life before the end, and up to a tenth of that third
/// earlier, so that what was issued together is not renewed together. `random` is any number.
pub(super) fn renew_at_s(leaf: &Leaf, random: u32) -> u64 {
    if leaf.is_self_signed {
        return leaf.not_before_s;
    }
    let third = leaf.life_s() / 3;
    leaf.not_after_s.saturating_sub(third + spread(third / 10, random))
}

/// A moment of the window that the server suggests (RFC 9773, section 4.2). `random` is any number.
pub(super) fn within(from_s: u64, to_s: u64, random: u32) -> u64 {
    from_s + spread(to_s.saturating_sub(from_s), random)
}

/// The latest time of a renewal, whatever the server suggests: a tenth of the life is left for what may go wrong.
pub(super) fn latest_s(leaf: &Leaf) -> u64 {
    leaf.not_after_s.saturating_sub(leaf.life_s() / 10)
}

/// For how long a certificate is not renewed by itself once it is there, seconds: a server that suggests times of the past, or
/// a clock that is wrong, must not make one after the other.
pub(super) fn least_stay_s(leaf: &Leaf) -> u64 {
    (leaf.life_s() / 10).min(DAY_S)
}

/// Whether it is time: to renew, and after a failure to try once more.
pub(super) fn is_due(renew_at_s: Option<u64>, retry_at_s: Option<u64>, now_s: u64) -> bool {
    renew_at_s.is_some_and(|at_s| at_s <= now_s) && retry_at_s.is_none_or(|at_s| at_s <= now_s)
}

/// When to try once more after so many failures, one at least: waits double up to a day, and a quarter of them is left to chance. Never
/// before the server's own word.
pub(super) fn retry_at_s(failures: u32, servers: Option<u64>, now_s: u64, random: u32) -> u64 {
    let doubled = 1u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    let wait = FIRST_WAIT_S.saturating_mul(doubled).min(LONGEST_WAIT_S);
    let ours = now_s + wait - spread(wait / 4, random);
    servers.map_or(ours, |at_s| at_s.max(ours))
}

/// The days of the warning that is due, if it was not given yet: `warned_days` is that of the last one. There is none for more
/// than a third of the life: that much is left at each renewal.
pub(super) fn warning(leaf: &Leaf, warned_days: Option<u32>, now_s: u64) -> Option<u32> {
    let left_s = leaf.not_after_s.saturating_sub(now_s);
    let is_met =
        |days: &u32| left_s <= u64::from(*days) * DAY_S && u64::from(*days) * DAY_S <= leaf.life_s() / 3;
    let days = WARN_DAYS.into_iter().rev().find(is_met)?;
    warned_days.is_none_or(|warned| days < warned).then_some(days)
}

fn spread(range: u64, random: u32) -> u64 {
    let part = u128::from(range) * u128::from(random) / u128::from(u32::MAX);
    u64::try_from(part).unwrap_or(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(life_days: u64) -> Leaf {
        Leaf {
            names: Vec::new(),
            not_before_s: 0,
            not_after_s: life_days * DAY_S,
            serial: String::new(),
            issuer: String::new(),
            is_self_signed: false,
            ari: None,
        }
    }

    #[test]
    fn a_third_of_the_life_is_left_at_the_latest_renewal() {
        assert_eq!(renew_at_s(&leaf(90), 0), 60 * DAY_S);
        assert_eq!(renew_at_s(&leaf(90), u32::MAX), 57 * DAY_S);
        let some = renew_at_s(&leaf(90), u32::MAX / 2);
        assert!((57 * DAY_S..60 * DAY_S).contains(&some));
    }

    #[test]
    fn a_tenth_of_the_life_is_left_whatever_is_suggested_and_no_certificate_goes_on_its_first_day() {
        assert_eq!((latest_s(&leaf(90)), least_stay_s(&leaf(90))), (81 * DAY_S, DAY_S));
        assert_eq!(least_stay_s(&leaf(5)), DAY_S / 2);
    }

    #[test]
    fn a_stand_in_is_due_at_once() {
        let stand_in = Leaf { not_before_s: 7, is_self_signed: true, ..leaf(90) };
        assert_eq!(renew_at_s(&stand_in, 5), 7);
        assert!(is_due(Some(7), None, 7) && !is_due(Some(8), None, 7) && !is_due(None, None, 7));
    }

    #[test]
    fn waits_double_up_to_a_day_and_the_server_has_the_last_word() {
        let wait = |failures| retry_at_s(failures, None, 1000, 0) - 1000;
        assert_eq!([1, 2, 3, 11, 12, 64, 1000].map(wait), [60, 120, 240, 61_440, DAY_S, DAY_S, DAY_S]);
        assert_eq!(retry_at_s(1, None, 1000, u32::MAX), 1045);
        assert_eq!(retry_at_s(1, Some(5000), 1000, 0), 5000);
        assert_eq!(retry_at_s(1, Some(1001), 1000, 0), 1060);
    }

    #[test]
    fn each_warning_is_given_once_and_the_latest_only() {
        let year = leaf(365);
        let at = |left_days: u64, warned| warning(&year, warned, (365 - left_days) * DAY_S);
        assert_eq!(at(31, None), None);
        assert_eq!(at(30, None), Some(30));
        assert_eq!(at(29, Some(30)), None);
        assert_eq!(at(14, Some(30)), Some(14));
        // After a time in which nobody looked.
        assert_eq!(at(2, Some(30)), Some(3));
        assert_eq!(at(0, Some(3)), Some(1));
        assert_eq!(warning(&year, Some(1), 400 * DAY_S), None);
    }

    #[test]
    fn short_lives_are_not_warned_of_from_their_beginning() {
        assert_eq!(warning(&leaf(6), None, 0), None);
        assert_eq!(warning(&leaf(6), None, 5 * DAY_S), Some(1));
        assert_eq!(warning(&leaf(90), None, 60 * DAY_S), Some(30));
    }

    #[test]
    fn a_window_is_used_as_a_whole() {
        assert_eq!((within(10, 20, 0), within(10, 20, u32::MAX), within(20, 10, 9)), (10, 20, 20));
    }
}
