//! How uploads are shared, and who repays them.

use potluck_common::control::{FairnessSnapshot, PeerBalance, SlotRound};
use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Rect},
    style::Style,
    text::{Line, Span},
};

use super::{bar_spans, peers::balance};
use crate::{
    units::{Bytes, Short, count},
    view::{
        look::Look,
        text::{self, Part, line_of},
    },
};

/// With fewer cells there are no two lists beside each other.
const TWO_LISTS_WIDTH_MIN: u16 = 76;
/// Cells of the words on the left.
const LABEL_WIDTH: usize = 9;

/// Draws as many lines as fit, what matters most first.
pub fn draw(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, fairness: Option<&FairnessSnapshot>) {
    let area = area.intersection(frame.area());
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let lines = match fairness {
        Some(fairness) => lines(fairness, look, inner.width, inner.height),
        None => vec![Line::styled("nothing was shared yet", look.theme.faint())],
    };
    for (line, y) in lines.iter().zip(inner.y..inner.bottom()) {
        let place = Rect { y, height: 1, ..inner };
        text::put(frame.buffer_mut(), place, line, HorizontalAlignment::Left, look.theme.symbols.ellipsis);
    }
}

fn lines(fairness: &FairnessSnapshot, look: &Look<'_>, width: u16, height: u16) -> Vec<Line<'static>> {
    let mut lines = vec![slots(fairness, look), uplink(fairness, look, width)];
    if fairness.is_attacked {
        let text = "few trials are repaid: strangers get less for now";
        lines.push(line("Warning", vec![Span::styled(text, look.theme.warning())], look));
    }
    if !fairness.rounds.is_empty() {
        lines.push(rounds(&fairness.rounds, look, width));
    }
    lines.extend([given(fairness, look, width), exchange(fairness, look, width)]);
    let (feeders, debtors) = (&fairness.feeders, &fairness.debtors);
    let most = feeders.len().max(debtors.len());
    if usize::from(height) > lines.len() + most + 1 && width >= TWO_LISTS_WIDTH_MIN && most > 0 {
        lines.push(Line::default());
        lines.extend(side_by_side(feeders, debtors, look, width));
    } else {
        lines.push(balances("Feeders", "nobody gave more than it took", feeders, look, width));
        lines.push(balances("Debtors", "nobody owes us anything", debtors, look, width));
    }
    lines
}

/// Who gave most on the left, and who owes most on the right, one a line.
fn side_by_side(
    feeders: &[PeerBalance],
    debtors: &[PeerBalance],
    look: &Look<'_>,
    width: u16,
) -> Vec<Line<'static>> {
    let (theme, half) = (look.theme, usize::from(width) / 2 - 1);
    let title = format!("{:half$}  {}", "Who feeds me (got, gave, balance)", "Who owes me");
    let mut lines = vec![Line::styled(title, theme.faint())];
    for index in 0..feeders.len().max(debtors.len()) {
        let mut line = Line::default();
        for list in [feeders, debtors] {
            line.spans
                .extend(list.get(index).map(|peer| balance_cells(peer, look, half)).unwrap_or_default());
            let gap = (half + 2).saturating_sub(line.width());
            line.push_span(Span::raw(" ".repeat(gap)));
        }
        lines.push(line);
    }
    lines
}

/// A peer, what it gave and took, and what is left over, in so many cells.
fn balance_cells(peer: &PeerBalance, look: &Look<'_>, width: usize) -> Vec<Span<'static>> {
    let balance = balance(peer.received, peer.sent, look, 8);
    let name = format!("{} {}", peer.address.ip().to_canonical(), peer.client);
    let room = width.saturating_sub(18);
    let name = text::fitted(&name, room, look.theme.symbols.ellipsis);
    let gap = " ".repeat(room - Span::raw(name.as_str()).width());
    vec![
        Span::raw(name + &gap),
        Span::styled(format!(" {:>4} {:>4}", Short(peer.received), Short(peer.sent)), look.theme.faint()),
        Span::styled(format!(" {:>7}", balance.to_string()), balance.style),
    ]
}

fn line(label: &'static str, spans: Vec<Span<'static>>, look: &Look<'_>) -> Line<'static> {
    let mut line = Line::from(Span::styled(format!("{label:LABEL_WIDTH$}"), look.theme.faint()));
    line.spans.extend(spans);
    line
}

fn slots(fairness: &FairnessSnapshot, look: &Look<'_>) -> Line<'static> {
    let (earned, tried) = (fairness.slots_earned, fairness.slots_optimistic);
    let mut text = format!("{} = {earned} earned + {tried} trial", earned + tried);
    if fairness.is_automatic {
        text.push_str(", automatic");
    }
    let next = fairness.next_round_seconds.map(|seconds| format!("   next round in {seconds} s"));
    let next = Span::styled(next.unwrap_or_default(), look.theme.faint());
    line("Slots", vec![Span::raw(text), next], look)
}

fn uplink(fairness: &FairnessSnapshot, look: &Look<'_>, width: u16) -> Line<'static> {
    let theme = look.theme;
    let Some(capacity) = fairness.up_capacity.filter(|capacity| *capacity > 0) else {
        let text = format!("{}, no limit known", look.rate(fairness.up_rate));
        return line("Uplink", vec![Span::raw(text)], look);
    };
    let busy = (u128::from(fairness.up_rate) * 100 / u128::from(capacity)).min(100);
    let text = format!(" {busy:>3}% of {}", look.rate(capacity));
    let room = usize::from(width).saturating_sub(LABEL_WIDTH + text.len()).min(40);
    let mut spans = bar_spans(fairness.up_rate.min(capacity), capacity, room, theme.giving(), theme);
    spans.push(Span::raw(text));
    line("Uplink", spans, look)
}

/// A strip of the last rounds, the newest last: a letter a slot. As many rounds as fit.
fn rounds(rounds: &[SlotRound], look: &Look<'_>, width: u16) -> Line<'static> {
    let theme = look.theme;
    let legend = if width < 64 { "" } else { "R repays T trial S served . empty" };
    let mut left = usize::from(width).saturating_sub(LABEL_WIDTH + legend.len());
    let mut shown = Vec::new();
    for round in rounds.iter().rev() {
        let cells = slots_of(*round) + 1;
        let Some(rest) = left.checked_sub(cells) else { break };
        left = rest;
        shown.push(round);
    }
    let mut spans = Vec::new();
    for round in shown.into_iter().rev() {
        for (letter, number, style) in [
            ("R", round.earned, theme.repaying()),
            ("T", round.optimistic, theme.trial()),
            ("S", round.turns, theme.giving()),
            (".", round.empty, theme.faint()),
        ] {
            spans.push(Span::styled(letter.repeat(usize::from(number)), style));
        }
        spans.push(Span::raw(" "));
    }
    spans.push(Span::styled(legend, theme.faint()));
    line("Rounds", spans, look)
}

fn slots_of(round: SlotRound) -> usize {
    [round.earned, round.optimistic, round.turns, round.empty].into_iter().map(usize::from).sum()
}

/// Whom the uploads of this run went to.
fn given(fairness: &FairnessSnapshot, look: &Look<'_>, width: u16) -> Line<'static> {
    let theme = look.theme;
    let (repaying, trials, never) = (fairness.to_repaying, fairness.to_trials, fairness.to_never_repaying);
    let all = repaying + trials + never;
    if all == 0 {
        let text = if fairness.while_seeding > 0 {
            format!("{} while seeding", Bytes(fairness.while_seeding))
        } else {
            "nothing yet".into()
        };
        return line("Given", vec![Span::raw(text)], look);
    }
    let share = |part: u64| format!("{:.1}%", part as f64 * 100.0 / all as f64);
    let mut parts = vec![
        Part::of(0, format!("{} to who repays", share(repaying)), theme.repaying()),
        Part::of(2, format!("{} trials", share(trials)), theme.trial()),
        Part::of(1, format!("{} never repaid", share(never)), theme.debtor()),
    ];
    if fairness.while_seeding > 0 {
        parts.push(Part::of(3, format!("+{} seeding", Bytes(fairness.while_seeding)), theme.faint()));
    }
    line("Given", line_of(parts, 2, usize::from(width).saturating_sub(LABEL_WIDTH)).spans, look)
}

/// How even the exchange is, and what came or went for nothing.
fn exchange(fairness: &FairnessSnapshot, look: &Look<'_>, width: u16) -> Line<'static> {
    let theme = look.theme;
    let jain = fairness.jain.map_or_else(|| "Jain -".into(), |jain| format!("Jain {jain:.2} of 1"));
    let trials = count(u64::from(fairness.trials), "trial");
    let parts = vec![
        Part::of(0, jain, Style::new()),
        Part::of(2, format!("{} of {trials} in vain", fairness.trials_in_vain), Style::new()),
        Part::of(1, format!("seeds gave {}", Bytes(fairness.from_seeds)), theme.seed()),
    ];
    line("Exchange", line_of(parts, 3, usize::from(width).saturating_sub(LABEL_WIDTH)).spans, look)
}

fn balances(
    label: &'static str,
    none: &'static str,
    peers: &[PeerBalance],
    look: &Look<'_>,
    width: u16,
) -> Line<'static> {
    if peers.is_empty() {
        return line(label, vec![Span::styled(none, look.theme.faint())], look);
    }
    let mut line = line(label, Vec::new(), look);
    for (index, peer) in peers.iter().enumerate() {
        let gap = if index == 0 { "" } else { ", " };
        let address = format!("{gap}{} ", peer.address.ip().to_canonical());
        let balance = balance(peer.received, peer.sent, look, 8);
        // What does not fit is left out whole.
        if index > 0 && line.width() + address.len() + balance.width() > usize::from(width) {
            break;
        }
        line.push_span(Span::styled(address, Style::new()));
        line.push_span(Span::styled(balance.to_string(), balance.style));
    }
    line
}
