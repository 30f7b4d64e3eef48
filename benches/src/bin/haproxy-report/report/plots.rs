//! Plots of what grows with the list.

use std::path::Path;

use plotters::prelude::*;

use super::table::size;
use crate::contender::{Contender, Subject};
use crate::estimate::Estimate;
use crate::figures::{At, Case, Record};
use crate::problem::Fallible;

const PIXELS: (u32, u32) = (760, 420);

/// A line of a plot: a figure for each number of keys.
struct Line {
    who: Contender,
    points: Vec<(f64, Estimate)>,
}

/// Draws them, and gives the Markdown that shows them.
pub(super) fn draw(dir: &Path, series: &str, record: &Record) -> Fallible<Vec<String>> {
    let mut shown = Vec::new();
    for (name, subject, noun) in
        [("addresses", Subject::Addresses, "addresses"), ("resources", Subject::Resources, "resources")]
    {
        let Some(case) = record.cases.get(name) else { continue };
        for what in ["miss", "hit"] {
            let lines = lines(case, what);
            if lines.iter().all(|line| line.points.len() < 2) {
                continue;
            }
            let file = format!("benchmarks-{series}-{name}-{what}.svg");
            let title = format!("HAProxy {series}: added processor time for a request, {noun}, {what}");
            plot(&dir.join(&file), &title, subject, &lines)?;
            shown.push(format!("\n![{title}]({file})\n"));
        }
    }
    Ok(shown)
}

fn lines(case: &Case, what: &str) -> Vec<Line> {
    let sizes = case.sizes();
    // An empty list has no place on a logarithmic scale.
    let sizes = sizes.iter().filter(|&&entries| entries > 0);
    let point = |who, entries| {
        let price = Estimate::of(&case.price_us(At { who, entries, threads: 1, what }))?;
        Some((entries as f64, price))
    };
    let line = |who| Line { who, points: sizes.clone().filter_map(|&entries| point(who, entries)).collect() };
    Contender::ALL.into_iter().filter(|who| who.is_filter()).map(line).collect()
}

fn plot(file: &Path, title: &str, subject: Subject, lines: &[Line]) -> Fallible<()> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NEG_INFINITY, f64::max);
    let keys = least(&mut points().map(|point| point.0))..most(&mut points().map(|point| point.0));
    let bottom = least(&mut points().map(|point| point.1.low)).min(0.0);
    // Room for the names above the lines.
    let top = most(&mut points().map(|point| point.1.high)) * 1.5;
    let area = SVGBackend::new(file, PIXELS).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(55)
        .margin_right(25)
        .build_cartesian_2d(keys.log_scale(), bottom..top)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("listed keys")
        .y_desc("microseconds")
        .x_label_formatter(&|keys| size(keys.round() as usize))
        .y_label_formatter(&|us| format!("{us:.1}"))
        .draw()?;
    for Line { who, points } in lines.iter().filter(|line| !line.points.is_empty()) {
        let (r, g, b) = who.colour();
        let width = if who.is_ours() { 3 } else { 1 };
        let style = RGBColor(r, g, b).stroke_width(width);
        chart
            .draw_series(
                LineSeries::new(points.iter().map(|&(keys, us)| (keys, us.value)), style).point_size(3),
            )?
            .label(who.name(subject).replace('`', ""))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        let interval = |&(keys, us): &(f64, Estimate)| {
            PathElement::new([(keys, us.low), (keys, us.high)], style.stroke_width(1))
        };
        chart.draw_series(points.iter().map(interval))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}
