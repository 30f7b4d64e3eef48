//! How long to wait before HAProxy is started again.

use std::time::Duration;

/// How often HAProxy is started again.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The wait after the first end, about: up to a quarter less, so that many machines do not do the same at once.
    pub first: Duration,
    /// The longest wait, about.
    pub longest: Duration,
    /// Who ran so long is taken for sound: the next wait is the first one again.
    pub stable: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(30),
            stable: Duration::from_secs(60),
        }
    }
}

/// Waits that double.
#[derive(Debug)]
pub(super) struct Backoff {
    pace: Pace,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, next: pace.first }
    }

    /// The wait after an end; `random` is any number.
    pub(super) fn after(&mut self, ran: Duration, random: u32) -> Duration {
        if ran >= self.pace.stable {
            self.reset();
        }
        let wait = self.next;
        self.next = (wait * 2).min(self.pace.longest);
        wait - (wait / 4).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// Begins anew.
    pub(super) fn reset(&mut self) {
        self.next = self.pace.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn waits(backoff: &mut Backoff, ran: Duration, random: u32) -> [Duration; 4] {
        [(); 4].map(|()| backoff.after(ran, random))
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Pace { first: ms(100), longest: ms(500), stable: ms(1000) });
        assert_eq!(waits(&mut backoff, ms(999), 0), [ms(100), ms(200), ms(400), ms(500)]);
        assert_eq!(backoff.after(ms(0), 0), ms(500));
    }

    #[test]
    fn who_ran_for_long_begins_anew() {
        let mut backoff = Backoff::new(Pace { first: ms(100), longest: ms(500), stable: ms(1000) });
        waits(&mut backoff, ms(0), 0);
        assert_eq!(backoff.after(ms(1000), 0), ms(100));
        assert_eq!(backoff.after(ms(0), 0), ms(200));
    }

    #[test]
    fn chance_takes_a_quarter_at_most() {
        let mut backoff = Backoff::new(Pace { first: ms(100), longest: ms(100), stable: ms(1000) });
        assert_eq!(backoff.after(ms(0), u32::MAX), ms(75));
        let some = backoff.after(ms(0), u32::MAX / 2);
        assert!(some > ms(75) && some < ms(100), "{some:?}");
    }
}
