//! What the filter counts, as `/metrics` gives it.

/// One reading of `/metrics` (Prometheus text format).
#[derive(Clone, Debug)]
pub struct Metrics(Vec<Sample>);

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// Outcomes of `edge_filter_learn_total` that changed a rule.
const LEARN_SUCCESSES: [&str; 3] = ["learned", "clipped", "taken_back"];

impl Metrics {
    /// # Panics
    /// A line is neither a comment nor `name{label="value",...} number`.
    pub fn parse(text: &str) -> Self {
        Self(
            text.lines()
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(|line| sample(line).unwrap_or_else(|| panic!("no metric: {line:?}")))
                .collect(),
        )
    }

    /// The sum of all samples of this name that have all of these labels.
    ///
    /// # Panics
    /// There is no sample of this name at all: a test would pass for a misspelt name.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut named = self.0.iter().filter(|s| s.name == name).peekable();
        assert!(named.peek().is_some(), "/metrics has no {name}");
        named.filter(|s| labels.iter().all(|want| s.has(want))).map(|s| s.value).sum()
    }

    /// How many `X-Edge-Resource` headers were refused, for whatever reason.
    ///
    /// # Panics
    /// As [`Metrics::sum`].
    pub fn refused_headers(&self) -> f64 {
        let name = "edge_filter_learn_total";
        let took: f64 = LEARN_SUCCESSES.iter().map(|result| self.sum(name, &[("result", result)])).sum();
        self.sum(name, &[]) - took
    }

    /// How many rules were learned and are held.
    ///
    /// # Panics
    /// As [`Metrics::sum`].
    pub fn learned_rules(&self) -> f64 {
        self.sum("edge_filter_learned_rules", &[])
    }
}

impl Sample {
    fn has(&self, &(name, value): &(&str, &str)) -> bool {
        self.labels.iter().any(|(n, v)| n == name && v == value)
    }
}

/// Label values of the filter hold no comma, quote or brace, so splitting is enough.
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}')?),
        None => (series, ""),
    };
    let labels = labels
        .split(',')
        .filter(|label| !label.is_empty())
        .map(|label| {
            let (name, value) = label.split_once('=')?;
            Some((name.to_owned(), value.strip_prefix('"')?.strip_suffix('"')?.to_owned()))
        })
        .collect::<Option<_>>()?;
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_their_labels() {
        let metrics =
            Metrics::parse("# HELP x y\nhits{table=\"a\",kind=\"p\"} 2\nhits{table=\"b\"} 3\nup 1\n");
        assert_eq!(metrics.sum("hits", &[]), 5.0);
        assert_eq!(metrics.sum("hits", &[("table", "a")]), 2.0);
        assert_eq!(metrics.sum("hits", &[("table", "c")]), 0.0);
        assert_eq!(metrics.sum("up", &[]), 1.0);
    }

    #[test]
    #[should_panic(expected = "/metrics has no miss")]
    fn a_missing_metric_is_not_zero() {
        Metrics::parse("hits 2\n").sum("miss", &[]);
    }
}
