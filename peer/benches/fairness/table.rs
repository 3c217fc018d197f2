//! The results in short: a table, and whether the goals are met.

use std::fmt::Write as _;

use super::report::{Figures, Report};

/// Free riders wait at least so much longer than contributors where all of these are ours, and where half are.
const FR_OVER_GOOD_OURS: f64 = 1.5;
const FR_OVER_GOOD_HALF: f64 = 1.3;
const MEAN_OVER_BOUND: f64 = 1.05;

/// One swarm in one line.
pub(super) fn in_short(report: &Report) -> String {
    let name = format!("{} (swarm {})", report.kind, report.swarm);
    match (&report.figures, &report.failure) {
        (Some(figures), _) => format!(
            "{name}: FR/good {}{:.2}, mean/bound {:.3}, {:.1} % of what contributors gave went to free riders",
            if figures.is_lower_bound { "≥ " } else { "" },
            figures.fr_over_good,
            figures.mean_over_bound,
            100.0 * figures.leechers_share_to_free_riders
        ),
        (None, Some(failure)) => format!("{name}: FAILED: {failure}"),
        (None, None) => format!("{name}: no figures"),
    }
}

/// The table, and below it what is missed.
pub(super) fn render(reports: &[Report]) -> String {
    let mut text = format!(
        "\n| {:<12} | runs | {:<15} | {:<15} | {:<18} |\n|{}|------|{}|{}|{}|\n",
        "contributors",
        "FR/good",
        "mean/bound",
        "leechers' share FR",
        "-".repeat(14),
        "-".repeat(17),
        "-".repeat(17),
        "-".repeat(20)
    );
    for kind in kinds(reports) {
        let figures = figures(reports, kind);
        let column = |figure: fn(&Figures) -> f64| mean_and_deviation(&figures, figure);
        let _infallible = writeln!(
            text,
            "| {kind:<12} | {:>4} | {:<15} | {:<15} | {:<18} |",
            figures.len(),
            column(|f| f.fr_over_good),
            column(|f| f.mean_over_bound),
            column(|f| f.leechers_share_to_free_riders)
        );
    }
    for missed in missed(reports) {
        let _infallible = writeln!(text, "missed: {missed}");
    }
    text
}

/// Every goal that the reports speak of is met.
pub(super) fn is_good(reports: &[Report]) -> bool {
    missed(reports).is_empty()
}

fn missed(reports: &[Report]) -> Vec<String> {
    let mut missed: Vec<String> = reports
        .iter()
        .filter(|report| report.figures.is_none())
        .map(|report| format!("every swarm counts: {}", in_short(report)))
        .collect();
    let baseline = kinds(reports)
        .into_iter()
        .filter(|kind| kind.starts_with("libtorrent"))
        .filter_map(|kind| mean(&figures(reports, kind), |f| f.fr_over_good))
        .fold(0.0, f64::max);
    for kind in kinds(reports).into_iter().filter(|kind| !kind.starts_with("libtorrent")) {
        let least = if kind == "ours" { FR_OVER_GOOD_OURS.max(baseline) } else { FR_OVER_GOOD_HALF };
        let figures = figures(reports, kind);
        if let Some(ratio) = mean(&figures, |f| f.fr_over_good).filter(|ratio| *ratio < least) {
            missed.push(format!("{kind}: FR/good {ratio:.3}, not {least:.2}"));
        }
        if let Some(ratio) = mean(&figures, |f| f.mean_over_bound).filter(|ratio| *ratio > MEAN_OVER_BOUND) {
            missed.push(format!("{kind}: mean/bound {ratio:.3}, not {MEAN_OVER_BOUND:.2}"));
        }
    }
    missed
}

/// The kinds there are, in the order of their first report.
fn kinds(reports: &[Report]) -> Vec<&str> {
    let mut kinds = Vec::new();
    for report in reports {
        if !kinds.contains(&report.kind.as_str()) {
            kinds.push(report.kind.as_str());
        }
    }
    kinds
}

fn figures(reports: &[Report], kind: &str) -> Vec<Figures> {
    reports.iter().filter(|report| report.kind == kind).filter_map(|report| report.figures).collect()
}

fn mean(figures: &[Figures], figure: fn(&Figures) -> f64) -> Option<f64> {
    (!figures.is_empty()).then(|| figures.iter().map(figure).sum::<f64>() / figures.len() as f64)
}

fn mean_and_deviation(figures: &[Figures], figure: fn(&Figures) -> f64) -> String {
    let Some(mean) = mean(figures, figure) else { return "none counts".into() };
    if figures.len() < 2 {
        return format!("{mean:.3}");
    }
    let squares: f64 = figures.iter().map(|one| (figure(one) - mean).powi(2)).sum();
    let deviation = (squares / (figures.len() - 1) as f64).sqrt();
    format!("{mean:.3} ± {deviation:.3}")
}
