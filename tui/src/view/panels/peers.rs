//! Peers, and why we do what we do to them: the tit-for-tat ledger.

use potluck_common::{
    Printable,
    control::{PeerDirection, PeerSlot, PeerSnapshot, PeerSource},
};
use ratatui::text::Line;

use super::{
    torrents::{brief, rate},
    words,
};
use crate::{
    model::columns::PeerColumn,
    units::{Bytes, Short, percent},
    view::{
        look::Look,
        table::{Column, Spec},
    },
};

/// Cells of the longest IPv4 address with its port.
const WHOLE_ADDRESS_WIDTH: u16 = 21;

/// A peer and what it is seen with.
#[derive(Clone, Copy, Debug)]
pub struct PeerRow<'a> {
    /// The peer.
    pub peer: &'a PeerSnapshot,
    /// The name of the torrent that it is connected for.
    pub torrent: Option<&'a Printable>,
    /// How many pieces that torrent has.
    pub pieces: u32,
}

impl Column for PeerColumn {
    type Row<'a> = PeerRow<'a>;

    const SHOWN: &'static [Self] = &[
        Self::Address,
        Self::Torrent,
        Self::Flags,
        Self::Client,
        Self::Done,
        Self::Down,
        Self::Up,
        Self::Received,
        Self::Sent,
        Self::Balance,
        Self::Them,
        Self::Me,
        Self::Rank,
        Self::Since,
        Self::Why,
    ];

    fn spec(self) -> Spec {
        let title = self.title();
        match self {
            Self::Address => Spec::text(title, 15, 15, 26, 0),
            Self::Torrent => Spec::text(title, 12, 20, 30, 4),
            Self::Flags => Spec::text(title, 5, 5, 5, 10),
            Self::Client => Spec::text(title, 10, 16, 24, 11),
            Self::Done => Spec::number(title, 5, 5, 8),
            Self::Down | Self::Up => Spec::number(title, 5, 11, 2),
            Self::Received => Spec::number(title, 9, 10, 13),
            Self::Sent => Spec::number(title, 5, 10, 14),
            Self::Balance => Spec::number(title, 7, 11, 3),
            Self::Them | Self::Me => Spec::text(title, 4, 5, 5, 5),
            Self::Rank => Spec::text(title, 5, 6, 6, 1),
            Self::Since => Spec::number(title, 6, 6, 12),
            Self::Why => Spec::text(title, 20, 30, 60, 1),
        }
    }

    fn cell(self, row: &PeerRow<'_>, look: &Look<'_>, width: u16) -> Line<'static> {
        let (peer, theme) = (row.peer, look.theme);
        let (sign, style) = words::peer(peer, theme);
        match self {
            Self::Address => Line::styled(address(peer, width), style),
            Self::Torrent => Line::raw(row.torrent.map_or("", Printable::as_str).to_string()),
            Self::Flags => Line::styled(flags(peer), theme.faint()),
            Self::Client => Line::raw(peer.client.to_string()),
            Self::Done => done(row),
            Self::Down => rate(peer.down_rate, look, width).patch_style(theme.getting()),
            Self::Up => rate(peer.up_rate, look, width).patch_style(theme.giving()),
            Self::Received => amount(peer.downloaded, look, width),
            Self::Sent => amount(peer.uploaded, look, width),
            Self::Balance => balance(peer.downloaded, peer.uploaded, look, width),
            Self::Them => gate(peer.chokes_us, look),
            Self::Me if peer.we_choke && !peer.is_interested => Line::styled("-", theme.faint()),
            Self::Me => gate(peer.we_choke, look),
            Self::Rank => Line::styled(sign, style),
            Self::Since => Line::styled(brief(peer.age_seconds as u64), theme.faint()),
            Self::Why => Line::styled(peer.why.to_string(), style),
        }
    }
}

/// The address; the port only where there is room for that of any IPv4 address, or where it is all that differs.
fn address(peer: &PeerSnapshot, width: u16) -> String {
    let whole = peer.address.to_string();
    let is_wanted = width >= WHOLE_ADDRESS_WIDTH || peer.address.ip().to_canonical().is_loopback();
    if is_wanted && whole.len() <= usize::from(width) {
        whole
    } else {
        peer.address.ip().to_canonical().to_string()
    }
}

/// Letters, each at its own place: `O`ut or `I`n; they `D` send or `d` choke what we want (`K`: they would, we want
/// nothing); we `U` send or `u` choke what they want (`?`: we would, they want nothing); they `S`nub us; and who named them: a `T`racker, the D`H`T, a peer (PE`X`), the `L`ocal network, an earlier
/// `R`un, or a `P`erson.
fn flags(peer: &PeerSnapshot) -> String {
    let direction = match peer.direction {
        PeerDirection::Outgoing => 'O',
        PeerDirection::Incoming => 'I',
    };
    let down = match (peer.we_are_interested, peer.chokes_us) {
        (true, false) => 'D',
        (true, true) => 'd',
        (false, false) => 'K',
        (false, true) => ' ',
    };
    let up = match (peer.is_interested, peer.we_choke) {
        (true, false) => 'U',
        (true, true) => 'u',
        (false, false) => '?',
        (false, true) => ' ',
    };
    let snub = if peer.snubs_us { 'S' } else { ' ' };
    let source = match peer.source {
        PeerSource::Incoming => ' ',
        PeerSource::Pex => 'X',
        PeerSource::Lsd => 'L',
        PeerSource::Dht => 'H',
        PeerSource::Link => 'M',
        PeerSource::Tracker => 'T',
        PeerSource::Resume => 'R',
        PeerSource::User => 'P',
    };
    [direction, down, up, snub, source].iter().collect()
}

fn done(row: &PeerRow<'_>) -> Line<'static> {
    let (have, all) = (u64::from(row.peer.pieces_have), u64::from(row.pieces));
    Line::raw(if all == 0 { "-".into() } else { format!("{}%", percent(have, all).min(100)) })
}

fn amount(bytes: u64, look: &Look<'_>, width: u16) -> Line<'static> {
    match bytes {
        0 => Line::styled("-", look.theme.faint()),
        _ if width >= 10 => Line::raw(Bytes(bytes).to_string()),
        _ => Line::raw(Short(bytes).to_string()),
    }
}

/// What it gave beyond what it took, with its sign.
pub(super) fn balance(received: u64, sent: u64, look: &Look<'_>, width: u16) -> Line<'static> {
    let number = |bytes: u64| if width >= 11 { Bytes(bytes).to_string() } else { Short(bytes).to_string() };
    let theme = look.theme;
    match received.cmp(&sent) {
        std::cmp::Ordering::Greater => {
            Line::styled(format!("+{}", number(received - sent)), theme.repaying())
        }
        std::cmp::Ordering::Equal => Line::styled("0", theme.faint()),
        std::cmp::Ordering::Less => Line::styled(format!("-{}", number(sent - received)), theme.debtor()),
    }
}

/// Whether the way is open or shut.
fn gate(is_choked: bool, look: &Look<'_>) -> Line<'static> {
    if is_choked {
        Line::styled("shut", look.theme.faint())
    } else {
        Line::styled("open", look.theme.giving())
    }
}

/// How many of `peers` are what, in words: for the frame of the list.
pub fn counts<'a>(peers: impl Iterator<Item = &'a PeerSnapshot>) -> String {
    let (mut all, mut earned, mut tried, mut give) = (0, 0, 0, 0);
    for peer in peers {
        all += 1;
        earned += u32::from(matches!(peer.slot, PeerSlot::Earned | PeerSlot::Turn));
        tried += u32::from(peer.slot == PeerSlot::Optimistic);
        give += u32::from(peer.down_rate > 0);
    }
    let peers = crate::units::count(all, "peer");
    format!("{peers}: {give} give, {earned} served, {tried} tried")
}
