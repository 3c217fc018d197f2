//! A picture: how long contributors and free riders took in each scenario, and what became of the goals.

use std::{collections::BTreeMap, path::Path};

use anyhow::anyhow;
use plotters::prelude::*;
use potluck_sim::{Outcome, goals::Finding};

/// Pixels.
const WIDTH: u32 = 1_000;
const PANEL_HEIGHT: u32 = 260;
const ROW_HEIGHT: u32 = 24;

const CONTRIBUTORS: RGBColor = RGBColor(0x1b, 0x6c, 0xa8);
const FREE_RIDERS: RGBColor = RGBColor(0xd1, 0x49, 0x5b);
const MET: RGBColor = RGBColor(0x3c, 0x91, 0x5e);
const GROUND: RGBColor = RGBColor(0xe8, 0xe8, 0xe8);

/// Bars of a goal end at this multiple of their bound.
const BAR_MAX: f64 = 2.5;
/// Where bars begin, and how long one of exactly the bound is, in pixels.
const BAR_LEFT: i32 = 400;
const BAR_UNIT: f64 = 210.0;

/// The download times of one scenario over all seeds, in seconds.
#[derive(Debug, Default)]
struct Times {
    contributors: Vec<f64>,
    free_riders: Vec<f64>,
}

/// The download times of every scenario.
#[derive(Debug, Default)]
pub(crate) struct Distributions(BTreeMap<String, Times>);

impl Distributions {
    pub(crate) fn add(&mut self, scenario: &str, outcome: &Outcome) {
        let times = self.0.entry(scenario.to_owned()).or_default();
        times.contributors.extend(&outcome.contributors_s);
        times.free_riders.extend(&outcome.free_riders_s);
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Draws a panel for each scenario that has free riders (or for each, when none has), and a bar for each goal.
pub(crate) fn draw(path: &Path, distributions: &Distributions, findings: &[Finding]) -> anyhow::Result<()> {
    let with_riders = distributions.0.iter().filter(|(_, times)| !times.free_riders.is_empty());
    let mut panels: Vec<_> = with_riders.collect();
    if panels.is_empty() {
        panels = distributions.0.iter().collect();
    }
    let bars: Vec<_> = findings.iter().filter(|finding| finding.goal.scenario != "*").collect();
    let rows = panels.len().div_ceil(2) as u32;
    let bars_height = if bars.is_empty() { 0 } else { (bars.len() as u32 + 3) * ROW_HEIGHT };
    let root = SVGBackend::new(path, (WIDTH, rows * PANEL_HEIGHT + bars_height)).into_drawing_area();
    root.fill(&WHITE).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let (upper, lower) = root.split_vertically(rows * PANEL_HEIGHT);
    for (area, (name, times)) in upper.split_evenly((rows as usize, 2)).iter().zip(panels) {
        draw_times(area, name, times).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    }
    draw_goals(&lower, &bars).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    root.present().map_err(|error| anyhow!("{}: {error}", path.display()))
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// What part of each group was done by when.
fn draw_times(area: &Area<'_>, name: &str, times: &Times) -> Drawn {
    let last = times.contributors.iter().chain(&times.free_riders).copied().fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{name}: part that is done, by seconds"), ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(36)
        .build_cartesian_2d(0.0..last * 1.02, 0.0..1.4)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_labels(6)
        .y_labels(4)
        .x_label_formatter(&|at| format!("{at:.0}"))
        .draw()?;
    for (label, colour, times) in [
        ("contributors", CONTRIBUTORS, &times.contributors),
        ("free riders", FREE_RIDERS, &times.free_riders),
    ] {
        if times.is_empty() {
            continue;
        }
        let series = LineSeries::new(steps(times, last), colour.stroke_width(2));
        let legend = move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2));
        chart.draw_series(series)?.label(label).legend(legend);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .border_style(GROUND)
        .background_style(WHITE)
        .draw()?;
    Ok(())
}

/// The distribution function of these times, up to `last`.
fn steps(times: &[f64], last: f64) -> Vec<(f64, f64)> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let mut points = vec![(0.0, 0.0)];
    for (place, time) in sorted.into_iter().enumerate() {
        points.push((time, place as f64 / count));
        points.push((time, (place + 1) as f64 / count));
    }
    points.push((last, 1.0));
    points
}

/// A bar for each goal, in multiples of its bound, which is the line.
fn draw_goals(area: &Area<'_>, bars: &[&Finding]) -> Drawn {
    if bars.is_empty() {
        return Ok(());
    }
    let (heading, text) = (("sans-serif", 15).into_font(), ("sans-serif", 13).into_font());
    let caption = "goals: the figure over all seeds in multiples of its bound, which is the line";
    area.draw(&Text::new(caption, (12, 4), heading))?;
    let row = |place: usize| ROW_HEIGHT.cast_signed() * (place as u32 + 2).cast_signed();
    for (place, finding) in bars.iter().enumerate() {
        let bound = finding.goal.least.or(finding.goal.most).unwrap_or(1.0);
        let length = (finding.value.unwrap_or(0.0) / bound).clamp(0.0, BAR_MAX);
        let end = BAR_LEFT + (length * BAR_UNIT) as i32;
        let colour = if finding.is_met() { MET } else { FREE_RIDERS };
        let value = finding.value.map_or("missing".to_owned(), |value| format!("{value:.2}"));
        area.draw(&Text::new(label(finding), (12, row(place)), text.clone()))?;
        area.draw(&Rectangle::new([(BAR_LEFT, row(place)), (end, row(place) + 16)], colour.filled()))?;
        area.draw(&Text::new(value, (end + 6, row(place)), text.clone()))?;
    }
    let line = BAR_LEFT + BAR_UNIT as i32;
    area.draw(&PathElement::new(vec![(line, row(0) - 6), (line, row(bars.len()))], BLACK))?;
    Ok(())
}

fn label(finding: &Finding) -> String {
    let goal = &finding.goal;
    let bound = match (goal.least, goal.most) {
        (Some(least), _) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => String::new(),
    };
    format!("{} {} {bound}", finding.scenario, goal.metric)
}
