//! The Prometheus text format, version 0.0.4.

use std::fmt::{Display, Write};

/// A page of metrics under construction.
#[derive(Default)]
pub(crate) struct Page(String);

/// The two kinds of metric in use.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A metric of the page, to add samples to.
pub(crate) struct Metric<'a> {
    page: &'a mut String,
    name: &'static str,
}

impl Page {
    /// Begins a metric. `help` is one line without backslashes.
    pub(crate) fn metric(&mut self, name: &'static str, kind: Kind, help: &str) -> Metric<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        write(&mut self.0, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Metric { page: &mut self.0, name }
    }

    /// The finished page.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

impl Metric<'_> {
    /// The sample without labels.
    pub(crate) fn value(self, value: impl Display) {
        write(self.page, format_args!("{} {value}\n", self.name));
    }

    /// Samples with one label.
    pub(crate) fn samples<V: Display>(
        mut self,
        label: &str,
        samples: impl IntoIterator<Item = (&'static str, V)>,
    ) {
        for (text, value) in samples {
            self.sample(&[(label, text)], value);
        }
    }

    /// A sample with labels.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.page.push_str(self.name);
        for (n, (label, text)) in labels.iter().enumerate() {
            let open = if n == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write(self.page, format_args!("{open}{label}=\"{text}\""));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        write(self.page, format_args!("{close} {value}\n"));
        self
    }
}

fn write(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = page.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_help_type_and_escaped_labels() {
        let mut page = Page::default();
        page.metric("edge_a", Kind::Gauge, "What a is.").value(1.5);
        page.metric("edge_b_total", Kind::Counter, "What b is.")
            .sample(&[("list", "a\\b\"c\nd"), ("x", "y")], 2)
            .sample(&[], 3);
        let wanted = "\
# HELP edge_a What a is.
# TYPE edge_a gauge
edge_a 1.5
# HELP edge_b_total What b is.
# TYPE edge_b_total counter
edge_b_total{list=\"a\\\\b\\\"c\\nd\",x=\"y\"} 2
edge_b_total 3
";
        assert_eq!(page.finish(), wanted);
    }
}
