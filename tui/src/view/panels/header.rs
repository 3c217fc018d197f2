//! The first line: the session in a few numbers.

use potluck_common::control::{DiscoveryState, Limits, PortReach, SessionSnapshot, Settings};
use ratatui::text::{Line, Span};

use super::torrents::ratio;
use crate::{
    units::{Bytes, Seconds},
    view::{
        look::Look,
        text::{Part, line_of},
    },
};

/// The session in as many numbers as `width` cells hold; what matters most stays.
pub fn line(session: Option<&SessionSnapshot>, look: &Look<'_>, width: u16) -> Line<'static> {
    let (theme, symbols) = (look.theme, look.theme.symbols);
    let title = |text: &str| Part::of(0, format!(" {text}"), theme.accent());
    let Some(session) = session else {
        return line_of(
            vec![title("potluck"), Part::of(1, "starting", theme.faint())],
            2,
            usize::from(width),
        );
    };
    let limits = limits_now(&session.settings);
    let rate = |rank, symbol: &str, bytes, style, limit: Option<u64>| {
        let mut spans = vec![Span::styled(format!("{symbol} {:>10}", shown(look.rate(bytes))), style)];
        if let Some(limit) = limit {
            spans.push(Span::styled(format!(" of {}", look.rate(limit)), theme.faint()));
        }
        Part::new(rank, spans)
    };
    let mut parts = vec![title(if width >= 100 { session.version.as_str() } else { "potluck" })];
    parts.push(rate(1, symbols.downloading, session.down_rate, theme.getting(), limits.down));
    parts.push(rate(2, symbols.seeding, session.up_rate, theme.giving(), limits.up));
    if session.settings.is_slow {
        parts.push(Part::of(3, "SLOW", theme.warning()));
    }
    let number = |rank, label: &str, value: String| {
        Part::new(rank, vec![Span::styled(format!("{label} "), theme.faint()), Span::raw(value)])
    };
    let shared = session.uploaded_ever as f64 / session.downloaded_ever.max(1) as f64;
    parts.push(number(5, "ratio", ratio(shared)));
    let so_far = format!(
        "{} {} {} {}",
        symbols.downloading,
        Bytes(session.downloaded),
        symbols.seeding,
        Bytes(session.uploaded)
    );
    parts.push(number(9, "this run", so_far));
    let peers = if width >= 100 {
        format!("{}/{}", session.connections, session.connections_max)
    } else {
        session.connections.to_string()
    };
    parts.push(number(4, "peers", peers));
    if session.dht.state != DiscoveryState::Off {
        let nodes = session.dht.nodes_v4 + session.dht.nodes_v6;
        parts.push(number(6, "DHT", nodes.to_string()));
    }
    parts.push(match session.listen.first() {
        Some(address) => {
            let mut spans = vec![Span::styled("port ", theme.faint()), Span::raw(address.port().to_string())];
            match session.port.reach {
                PortReach::Open => spans.push(Span::styled(" open", theme.seed())),
                PortReach::Closed => spans.push(Span::styled(" closed", theme.warning())),
                PortReach::Unknown => {}
            }
            Part::new(6, spans)
        }
        None => Part::of(6, "not listening", theme.warning()),
    });
    if let Some(free) = session.free_space {
        parts.push(number(7, "free", Bytes(free).to_string()));
    }
    parts.push(number(8, "up", Seconds(session.uptime_seconds).to_string()));
    if session.trouble.is_some() {
        parts.push(Part::of(1, "! TROUBLE", theme.bad()));
    }
    line_of(parts, 2, usize::from(width))
}

/// The limits that hold.
fn limits_now(settings: &Settings) -> Limits {
    if settings.is_slow { settings.slow_limits } else { settings.limits }
}

/// A rate of nothing stands as long as any other.
fn shown(rate: String) -> String {
    if rate == "-" { "0 B/s".into() } else { rate }
}
