//! The figures as tables that a README can quote.

use std::{fmt::Write as _, time::Duration};

use super::transfer::{Figures, Usage};

const MIB: f64 = (1 << 20) as f64;
const GIB: f64 = (1 << 30) as f64;

/// A pair and its rounds, or why it has none. The first row of a table is what the others are compared with.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) result: Result<Vec<Figures>, String>,
}

/// One transfer in a line.
pub(super) fn in_short(figures: &Figures) -> String {
    let side = |usage: &Usage| {
        let (cpu, memory) = (usage.cpu.as_secs_f64(), usage.memory.anonymous as f64 / MIB);
        format!("{cpu:.2} CPU-s {memory:.0} MiB")
    };
    let moving =
        figures.moving.map_or_else(String::new, |moving| format!(" ({:.2} moving)", seconds(moving)));
    let durable =
        figures.durable.map_or_else(String::new, |durable| format!(" ({:.2} durable)", seconds(durable)));
    let wall = seconds(figures.wall);
    format!(
        "{wall:.2} s{moving}{durable}, seeder {}, leecher {}",
        side(&figures.seeder),
        side(&figures.leecher)
    )
}

/// Two tables of Markdown: medians, and medians of what each round is relative to the first row's same round.
pub(super) fn render(title: &str, rounds: usize, bytes: u64, rows: &[Row]) -> String {
    let mut text = format!("\n## {title}; medians of {rounds}\n\n");
    text += "| seeder → leecher | wall s (min–max) | moving s | CPU s/GiB seeder | leecher | \
             anonymous MiB seeder | leecher | resident MiB seeder | leecher |\n";
    text += "|---|---|---|---|---|---|---|---|---|\n";
    for row in rows {
        match &row.result {
            Ok(rounds) => absolute(&mut text, &row.name, rounds, bytes),
            Err(why) => writeln!(text, "| {} | {why} | | | | | | | |", row.name).expect("a String grows"),
        }
    }
    if let Some(Row { result: Ok(base), .. }) = rows.first() {
        let durable = median(base.iter().filter_map(|figures| figures.durable).map(seconds));
        writeln!(text, "\nOurs → ours: durable after {durable:.2} s, for which the others do not wait.")
            .expect("a String grows");
        text += "\nRelative to ours → ours in the same round:\n\n";
        text += "| seeder → leecher | wall | moving | CPU both | CPU seeder | CPU leecher | \
                 anonymous seeder | leecher |\n|---|---|---|---|---|---|---|---|\n";
        for Row { name, result } in &rows[1..] {
            if let Ok(rounds) = result {
                relative(&mut text, name, rounds, base);
            }
        }
    }
    text
}

fn absolute(text: &mut String, name: &str, rounds: &[Figures], bytes: u64) {
    let gib = bytes as f64 / GIB;
    let of = |figure: fn(&Figures) -> f64| median(rounds.iter().map(figure));
    let walls: Vec<f64> = rounds.iter().map(|figures| seconds(figures.wall)).collect();
    let (min, max) =
        (walls.iter().copied().fold(f64::INFINITY, f64::min), walls.iter().copied().fold(0.0, f64::max));
    let moving = median(rounds.iter().filter_map(|figures| figures.moving).map(seconds));
    writeln!(
        text,
        "| {name} | {:.2} ({min:.2}–{max:.2}) | {} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} | {:.0} |",
        of(|figures| seconds(figures.wall)),
        if moving.is_nan() { "?".into() } else { format!("{moving:.2}") },
        of(|figures| seconds(figures.seeder.cpu)) / gib,
        of(|figures| seconds(figures.leecher.cpu)) / gib,
        of(|figures| figures.seeder.memory.anonymous as f64) / MIB,
        of(|figures| figures.leecher.memory.anonymous as f64) / MIB,
        of(|figures| figures.seeder.memory.resident_peak as f64) / MIB,
        of(|figures| figures.leecher.memory.resident_peak as f64) / MIB,
    )
    .expect("a String grows");
}

fn relative(text: &mut String, name: &str, rounds: &[Figures], base: &[Figures]) {
    let of = |figure: fn(&Figures) -> f64| {
        let ratio = median(rounds.iter().zip(base).map(|(one, base)| figure(one) / figure(base)));
        if ratio.is_finite() { format!("{ratio:.2}") } else { "?".into() }
    };
    writeln!(
        text,
        "| {name} | {} | {} | {} | {} | {} | {} | {} |",
        of(|figures| seconds(figures.wall)),
        of(|figures| figures.moving.map_or(f64::NAN, seconds)),
        of(|figures| seconds(figures.seeder.cpu + figures.leecher.cpu)),
        of(|figures| seconds(figures.seeder.cpu)),
        of(|figures| seconds(figures.leecher.cpu)),
        of(|figures| figures.seeder.memory.anonymous as f64),
        of(|figures| figures.leecher.memory.anonymous as f64),
    )
    .expect("a String grows");
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// The middle one; not a number where there is none.
fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
