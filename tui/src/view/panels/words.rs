//! What torrents and peers are doing, in a symbol and a word each.

use potluck_common::control::{PeerSlot, PeerSnapshot, TorrentRow, TorrentState};
use ratatui::style::Style;

use crate::{theme::Theme, units::percent};

/// What something is doing.
pub(super) struct Standing {
    pub(super) symbol: &'static str,
    /// A word of at most seven letters.
    pub(super) short: String,
    /// Words.
    pub(super) long: String,
    /// More about it, in a sentence.
    pub(super) why: Option<String>,
    pub(super) style: Style,
}

/// What a torrent is doing.
pub(super) fn torrent(row: &TorrentRow, theme: &Theme) -> Standing {
    let (summary, symbols) = (&row.summary, theme.symbols);
    let standing = |symbol, short: &str, long: &str, style| Standing {
        symbol,
        short: short.into(),
        long: long.into(),
        why: None,
        style,
    };
    let because = |standing: Standing, why: String| Standing { why: Some(why), ..standing };
    let paced =
        |standing: Standing| Standing { why: summary.pace.as_ref().map(ToString::to_string), ..standing };
    match &summary.state {
        TorrentState::Failed(_) | TorrentState::Stopped if row.is_queued => {
            standing(symbols.waiting, "queued", "queued", theme.faint())
        }
        TorrentState::Failed(error) => {
            because(standing(symbols.failed, "failed", "failed", theme.bad()), error.message.to_string())
        }
        TorrentState::Stopping => standing(symbols.waiting, "stops", "stopping", theme.faint()),
        _ if row.is_paused => standing(symbols.paused, "paused", "paused", theme.faint()),
        TorrentState::Checking { done, total } => {
            let done = percent(u64::from(*done), u64::from(*total).max(1));
            let words = format!("checking {done}%");
            standing(symbols.waiting, &format!("chk {done}%"), &words, theme.warning())
        }
        TorrentState::Metadata { .. } => {
            let found = standing(symbols.waiting, "meta", "metadata", theme.warning());
            Standing { why: summary.stall.as_ref().map(ToString::to_string), ..found }
        }
        TorrentState::Stopped => standing(symbols.paused, "stopped", "stopped", theme.faint()),
        TorrentState::Downloading => match (&summary.trouble, &summary.stall) {
            (Some(trouble), _) => {
                because(standing("!", "disk", "waits for disk", theme.bad()), trouble.message.to_string())
            }
            (None, Some(stall)) => {
                because(standing("!", "stalled", "stalled", theme.warning()), stall.to_string())
            }
            (None, None) => paced(standing(symbols.downloading, "down", "downloading", theme.getting())),
        },
        TorrentState::Seeding if summary.up_rate > 0 => {
            paced(standing(symbols.seeding, "seed", "seeding", theme.giving()))
        }
        TorrentState::Seeding => standing(symbols.seeding, "idle", "seeding, idle", theme.faint()),
    }
}

/// What a peer is to us: a sign or a word, and a style that says the same. Those with a `+` have a slot for what they give.
pub(super) fn peer(peer: &PeerSnapshot, theme: &Theme) -> (String, Style) {
    let rank = peer.rank.map(|rank| format!("#{rank}"));
    match peer.slot {
        _ if peer.is_seed => ("seed".into(), theme.seed()),
        PeerSlot::Optimistic => ("try".into(), theme.trial()),
        PeerSlot::Turn => ("turn".into(), theme.giving()),
        PeerSlot::Earned => (format!("+ {}", rank.unwrap_or_default()), theme.repaying()),
        // Whoever gives may owe something for a while.
        PeerSlot::None if peer.snubs_us || (peer.debt > 0 && peer.down_rate == 0) => {
            ("-".into(), theme.debtor())
        }
        PeerSlot::None => match rank {
            // It gives, and others give more.
            Some(rank) => (format!("  {rank}"), Style::new()),
            None => (String::new(), Style::new()),
        },
    }
}
