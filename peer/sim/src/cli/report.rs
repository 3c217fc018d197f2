//! What a run says: lines of JSON for programs on standard output, tables for people on standard error.

use std::io::Write;

use potluck_sim::{
    Metrics,
    goals::{Finding, Goal},
};

/// Writes one run as one line, its keys in order.
pub(crate) fn line(scenario: &str, seed: u64, metrics: &Metrics) -> anyhow::Result<()> {
    let value = serde_json::json!({ "metrics": metrics, "scenario": scenario, "seed": seed });
    writeln!(std::io::stdout().lock(), "{value}")?;
    Ok(())
}

/// Writes what became of each goal.
#[expect(clippy::print_stderr, reason = "for people")]
pub(crate) fn findings(findings: &[Finding]) {
    eprintln!("\n{:<5} {:<26} {:<30} {:>10}  {:<20} ", "goal", "scenario", "figure", "is", "must be");
    for finding in findings {
        let value = finding.value.map_or("missing".to_owned(), |value| format!("{value:.3}"));
        let verdict =
            if finding.is_met() { "met".to_owned() } else { format!("MISSED by {:.3}", finding.missed_by()) };
        let Goal { name, metric, .. } = &finding.goal;
        let bound = bound(&finding.goal);
        eprintln!("{name:<5} {:<26} {metric:<30} {value:>10}  {bound:<20} {verdict}", finding.scenario);
    }
    let met = findings.iter().filter(|finding| finding.is_met()).count();
    eprintln!("{met} of {} met", findings.len());
}

fn bound(goal: &Goal) -> String {
    let least = goal.least.map(|least| format!(">= {least}"));
    let most = goal.most.map(|most| format!("<= {most}"));
    least.into_iter().chain(most).collect::<Vec<_>>().join(", ")
}
