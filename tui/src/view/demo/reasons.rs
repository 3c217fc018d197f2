//! Why each member gives to whom, and why not: one row a giver, the free rider's column first.

use potluck_common::control::PeerSnapshot;
use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::exchange::initials;
use crate::{
    model::demo::{Demo, Member, Role},
    theme::Theme,
};

const NAME_WIDTH: usize = 10;
/// Columns of what is said about the free rider: "×FR credit used: owes 524 kB".
const RIDER_WIDTH: usize = 30;
/// Columns of "+7", which counts those who are given to and do not fit.
const MORE_WIDTH: usize = 3;

/// Lines that the table needs: the free rider gives to nobody.
pub(super) fn height(demo: &Demo) -> u16 {
    demo.members.iter().filter(|member| member.role != Role::FreeRider).count() as u16
}

/// What the symbols mean.
pub(super) fn legend(theme: &Theme) -> String {
    format!("{} gives to  {} chokes  #1 repays most", theme.symbols.open, theme.symbols.closed)
}

/// Draws the table.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, demo: &Demo, theme: &Theme) {
    let givers = demo.members.iter().filter(|member| member.role != Role::FreeRider);
    let lines: Vec<Line<'_>> =
        givers.map(|giver| giver_line(giver, demo, usize::from(area.width), theme)).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn giver_line(giver: &Member, demo: &Demo, width: usize, theme: &Theme) -> Line<'static> {
    let mut line = Line::from(Span::styled(format!("{:NAME_WIDTH$} ", giver.name), theme.strong()));
    let treated = |role: Role| {
        demo.members
            .iter()
            .filter(move |member| member.role == role)
            .filter_map(|member| Some((member, giver.treats(member.ip)?)))
    };
    let rider = treated(Role::FreeRider).next();
    let rider = rider.map_or_else(Span::default, |(member, peer)| reason(member, peer, theme));
    let padding = RIDER_WIDTH.saturating_sub(rider.width());
    line.push_span(rider);
    line.push_span(" ".repeat(padding));

    let mut others: Vec<_> = treated(Role::Leecher).filter(|(_, peer)| peer.is_interested).collect();
    others.sort_by_key(|(_, peer)| (peer.we_choke, peer.rank.unwrap_or(u32::MAX)));
    for (place, (member, peer)) in others.iter().enumerate() {
        let span = reason(member, peer, theme);
        if line.width() + span.width() + 2 + MORE_WIDTH > width {
            let more = others[place..].iter().filter(|(_, peer)| !peer.we_choke).count();
            if more > 0 && line.width() + MORE_WIDTH <= width {
                line.push_span(Span::styled(format!(" +{more}"), theme.faint()));
            }
            break;
        }
        line.push_span(" ");
        line.push_span(span);
        line.push_span(" ");
    }
    line
}

/// What a giver makes of a member, such as "→L2 repays 812 kB/s #1".
fn reason(member: &Member, peer: &PeerSnapshot, theme: &Theme) -> Span<'static> {
    let (symbol, style) = match (peer.we_choke, peer.is_interested, member.role) {
        (_, false, _) => (theme.symbols.nothing, theme.faint()),
        (true, ..) => (theme.symbols.closed, theme.faint()),
        (false, _, Role::FreeRider) => (theme.symbols.open, theme.warning()),
        (false, ..) => (theme.symbols.open, Style::new()),
    };
    let why = if peer.is_interested { peer.why.as_str() } else { "wants nothing from it" };
    let rank = peer.rank.filter(|_| !peer.we_choke).map_or_else(String::new, |rank| format!(" #{rank}"));
    Span::styled(format!("{symbol}{} {why}{rank}", initials(member)), style)
}
