//! Tables of Markdown, and figures as text.

use crate::estimate::Estimate;

/// Rows of cells, the first one the head.
pub(super) struct Table(Vec<Vec<String>>);

impl Table {
    /// With these heads.
    pub(super) fn new<T: Into<String>>(heads: impl IntoIterator<Item = T>) -> Self {
        Self(vec![heads.into_iter().map(Into::into).collect()])
    }

    /// One more row, unless it has nothing but its name.
    pub(super) fn row(&mut self, name: &str, cells: Vec<Option<String>>) {
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(Option::unwrap_or_default);
            self.0.push(std::iter::once(name.to_owned()).chain(cells).collect());
        }
    }

    /// Under this title; nothing where there are no rows.
    pub(super) fn under(&self, title: &str) -> String {
        let [head, rows @ ..] = &self.0[..] else { return String::new() };
        if rows.is_empty() {
            return String::new();
        }
        let line = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rule = "|---".repeat(head.len());
        format!("\n{title}\n\n{}{rule}|\n{}", line(head), rows.iter().map(line).collect::<String>())
    }
}

/// Three digits that count.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if text.trim_start_matches('-').parse() == Ok(0.0) { "0".to_owned() } else { text }
}

/// A figure, and its interval in parentheses where it has one.
pub(super) fn cell(estimate: Estimate) -> String {
    let Estimate { value, low, high } = estimate;
    if low == high {
        number(value)
    } else {
        format!("{} ({} to {})", number(value), number(low), number(high))
    }
}

/// A number of keys: 1k, 5M.
pub(super) fn size(entries: usize) -> String {
    match entries {
        n if n >= 1_000_000 && n % 1_000_000 == 0 => format!("{}M", n / 1_000_000),
        n if n >= 1_000 && n % 1_000 == 0 => format!("{}k", n / 1_000),
        n => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!([0.0123, -0.0001, 1.234, 56.78, 910.1].map(number), ["0.012", "0", "1.23", "56.8", "910"]);
        assert_eq!([0, 12, 100_000, 5_000_000].map(size), ["0", "12", "100k", "5M"]);
    }

    #[test]
    fn a_figure_of_one_round_has_no_interval() {
        assert_eq!(cell(Estimate { value: 2.0, low: 1.0, high: 4.0 }), "2.00 (1.00 to 4.00)");
        assert_eq!(cell(Estimate { value: 2.0, low: 2.0, high: 2.0 }), "2.00");
    }

    #[test]
    fn a_table_without_figures_is_left_out() {
        let mut table = Table::new(["", "us"]);
        table.row("nobody", vec![None]);
        assert_eq!(table.under("Nothing"), "");
        table.row("somebody", vec![Some("1".to_owned())]);
        assert_eq!(table.under("Time"), "\nTime\n\n|  | us |\n|---|---|\n| somebody | 1 |\n");
    }
}
