//! The figures of one case.

/// What one operation takes, on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) instructions: f64,
    /// Accesses that the caches of the first level do not hold.
    pub(crate) l1_misses: f64,
    /// Those that the last level does not hold either.
    pub(crate) ll_misses: f64,
}

impl Figures {
    /// Of a file of callgrind, with the counts of so many operations in all.
    pub(crate) fn of(text: &str, operations: u32) -> Option<Self> {
        let line = |key| text.lines().find_map(|line: &str| line.strip_prefix(key));
        let events: Vec<&str> = line("events: ")?.split_whitespace().collect();
        // Zeros at the end are left out. Its `summary` would be wrong where instrumentation was switched on and off.
        let counts: Vec<f64> = line("totals: ")?.split_whitespace().map_while(|n| n.parse().ok()).collect();
        let of = |event| {
            let at = events.iter().position(|name| *name == event)?;
            Some(counts.get(at).copied().unwrap_or(0.0) / f64::from(operations))
        };
        Some(Self {
            instructions: of("Ir").filter(|instructions| *instructions > 0.0)?,
            l1_misses: of("I1mr")? + of("D1mr")? + of("D1mw")?,
            ll_misses: of("ILmr")? + of("DLmr")? + of("DLmw")?,
        })
    }

    /// As KCachegrind estimates them.
    pub(crate) fn estimated_cycles(self) -> f64 {
        self.instructions + 10.0 * self.l1_misses + 100.0 * self.ll_misses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_of_all_kinds_are_summed_and_zeros_at_the_end_may_be_missing() {
        let text = "events: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw\ntotals: 1000 300 200 2 30 8 1 9\n";
        let figures = Figures::of(text, 10).unwrap();
        assert_eq!(figures, Figures { instructions: 100.0, l1_misses: 4.0, ll_misses: 1.0 });
        assert_eq!(figures.estimated_cycles(), 240.0);
    }

    #[test]
    fn a_case_without_instructions_was_not_counted() {
        assert_eq!(Figures::of("events: Ir\ntotals: 0\n", 10), None);
        assert_eq!(Figures::of("events: Ir\n", 10), None);
    }
}
