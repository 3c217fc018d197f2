//! In which order the entries of the lists stand.

use std::{cmp::Ordering, collections::BTreeMap, net::SocketAddr};

use potluck_common::{
    InfoHash,
    control::{FileSnapshot, PeerSlot, PeerSnapshot, TorrentPeer, TorrentRow, TorrentState},
};

use super::{
    columns::{FileColumn, PeerColumn, Sort, TorrentColumn},
    filter::Filter,
};

/// What an entry is sorted by. It is made once an entry and not once a comparison.
#[derive(PartialEq, PartialOrd, Debug)]
enum Key {
    Number(f64),
    Text(String),
    Address(SocketAddr),
}

impl Key {
    fn compare(&self, other: &Self) -> Ordering {
        self.partial_cmp(other).unwrap_or(Ordering::Equal)
    }
}

/// Something is sent or received at the moment.
pub fn moves(row: &TorrentRow) -> bool {
    row.summary.down_rate > 0 || row.summary.up_rate > 0
}

/// The torrents that pass `filter`, and the one that is `kept`, sorted; the older first where the sort says nothing.
pub fn torrents(
    rows: &BTreeMap<InfoHash, TorrentRow>,
    filter: &Filter,
    sort: Sort<TorrentColumn>,
    kept: Option<InfoHash>,
) -> Vec<InfoHash> {
    let mut sieve = filter.sieve();
    let mut keyed: Vec<(Key, u32, InfoHash)> = (rows.iter())
        .filter(|(info_hash, row)| sieve.holds(row) || Some(**info_hash) == kept)
        .map(|(info_hash, row)| (torrent_key(row, sort.column), row.number, *info_hash))
        .collect();
    keyed.sort_unstable_by(|(one, one_number, _), (other, other_number, _)| {
        directed(one.compare(other), sort.descending).then(one_number.cmp(other_number))
    });
    keyed.into_iter().map(|(_, _, info_hash)| info_hash).collect()
}

/// The positions of the peers that pass `filter`, sorted; the earlier first where the sort says nothing.
pub fn peers<'a>(
    peers: impl Iterator<Item = (InfoHash, &'a PeerSnapshot)>,
    torrents: &BTreeMap<InfoHash, TorrentRow>,
    filter: &Filter,
    sort: Sort<PeerColumn>,
) -> Vec<usize> {
    let mut sieve = filter.sieve();
    let mut keyed: Vec<(Key, usize)> = peers
        .enumerate()
        .filter_map(|(place, (info_hash, peer))| {
            let torrent = torrents.get(&info_hash);
            let name = torrent.map_or("", |row| row.summary.name.as_str());
            let text = || format!("{} {} {} {name}", peer.address, peer.client, peer.why);
            (filter.is_empty() || sieve.holds_text(&text()))
                .then(|| (peer_key(peer, name, sort.column), place))
        })
        .collect();
    keyed.sort_unstable_by(|(one, one_place), (other, other_place)| {
        directed(one.compare(other), sort.descending).then(one_place.cmp(other_place))
    });
    keyed.into_iter().map(|(_, place)| place).collect()
}

/// The same for the entries of all torrents.
pub fn all_peers(
    entries: &[TorrentPeer],
    torrents: &BTreeMap<InfoHash, TorrentRow>,
    filter: &Filter,
    sort: Sort<PeerColumn>,
) -> Vec<usize> {
    peers(entries.iter().map(|entry| (entry.info_hash, &entry.peer)), torrents, filter, sort)
}

/// The positions of the files that pass `filter`, sorted; as in the torrent where the sort says nothing.
pub fn files(files: &[FileSnapshot], filter: &Filter, sort: Sort<FileColumn>) -> Vec<usize> {
    let mut sieve = filter.sieve();
    let mut keyed: Vec<(Key, usize)> = (files.iter().enumerate())
        .filter(|(_, file)| sieve.holds_text(file.path.as_str()))
        .map(|(place, file)| (file_key(file, sort.column), place))
        .collect();
    keyed.sort_unstable_by(|(one, one_place), (other, other_place)| {
        directed(one.compare(other), sort.descending).then(one_place.cmp(other_place))
    });
    keyed.into_iter().map(|(_, place)| place).collect()
}

fn directed(order: Ordering, descending: bool) -> Ordering {
    if descending { order.reverse() } else { order }
}

fn torrent_key(row: &TorrentRow, column: TorrentColumn) -> Key {
    let summary = &row.summary;
    Key::Number(match column {
        TorrentColumn::Name => return Key::Text(summary.name.as_str().to_lowercase()),
        TorrentColumn::Number => f64::from(row.number),
        TorrentColumn::Size => summary.wanted_size as f64,
        TorrentColumn::Done | TorrentColumn::Progress => {
            summary.wanted_have as f64 / summary.wanted_size.max(1) as f64
        }
        TorrentColumn::Down => summary.down_rate as f64,
        TorrentColumn::Up => summary.up_rate as f64,
        TorrentColumn::Eta => summary.eta_seconds.map_or(f64::INFINITY, |seconds| seconds as f64),
        TorrentColumn::Ratio => row.ratio(),
        TorrentColumn::Seeds => known(summary.seeds_connected, summary.seeds_known),
        TorrentColumn::Leechers => known(summary.leechers_connected, summary.leechers_known),
        TorrentColumn::Copies => f64::from(summary.distributed_copies),
        TorrentColumn::Peers => f64::from(summary.seeds_connected + summary.leechers_connected),
        TorrentColumn::Unchoked => f64::from(summary.unchoked_by + summary.unchoked),
        TorrentColumn::Added => row.added_at as f64,
        // Those that download before those that seed, as each has a queue of its own.
        TorrentColumn::Queue => row.queue_place as f64 + if row.is_complete() { 1e15 } else { 0.0 },
        TorrentColumn::State => f64::from(state_rank(row)),
    })
}

/// By the connected ones, and then by the known ones.
fn known(connected: u32, known: Option<u32>) -> f64 {
    f64::from(connected) + f64::from(known.unwrap_or(0)) / f64::from(u32::MAX)
}

/// What needs a person first, what rests last.
fn state_rank(row: &TorrentRow) -> u8 {
    let summary = &row.summary;
    match &summary.state {
        TorrentState::Failed(_) if !row.is_queued => 0,
        _ if summary.trouble.is_some() => 1,
        _ if row.is_paused => 8,
        _ if row.is_queued => 7,
        _ if summary.stall.is_some() => 2,
        TorrentState::Downloading => 3,
        TorrentState::Checking { .. } | TorrentState::Metadata { .. } => 4,
        TorrentState::Seeding if moves(row) => 5,
        TorrentState::Seeding => 6,
        TorrentState::Stopping | TorrentState::Stopped | TorrentState::Failed(_) => 7,
    }
}

fn peer_key(peer: &PeerSnapshot, torrent: &str, column: PeerColumn) -> Key {
    Key::Number(match column {
        PeerColumn::Torrent => return Key::Text(torrent.to_lowercase()),
        PeerColumn::Address => return Key::Address(peer.address),
        PeerColumn::Client => return Key::Text(peer.client.as_str().to_lowercase()),
        PeerColumn::Why => return Key::Text(peer.why.as_str().to_lowercase()),
        PeerColumn::Flags => f64::from(u8::from(peer.is_interested) + 2 * u8::from(peer.snubs_us)),
        PeerColumn::Done => f64::from(peer.pieces_have),
        PeerColumn::Down => peer.down_rate as f64,
        PeerColumn::Up => peer.up_rate as f64,
        PeerColumn::Received => peer.downloaded as f64,
        PeerColumn::Sent => peer.uploaded as f64,
        PeerColumn::Balance => peer.downloaded as f64 - peer.uploaded as f64,
        PeerColumn::Them => f64::from(u8::from(peer.chokes_us)),
        PeerColumn::Me => f64::from(slot_rank(peer.slot)),
        // Those that are given to stand before those that are not.
        PeerColumn::Rank => peer.rank.map_or(1e9 + f64::from(slot_rank(peer.slot)), f64::from),
        PeerColumn::Since => peer.age_seconds,
    })
}

fn slot_rank(slot: PeerSlot) -> u8 {
    match slot {
        PeerSlot::Earned => 0,
        PeerSlot::Turn => 1,
        PeerSlot::Optimistic => 2,
        PeerSlot::None => 3,
    }
}

fn file_key(file: &FileSnapshot, column: FileColumn) -> Key {
    Key::Number(match column {
        FileColumn::Path => return Key::Text(file.path.as_str().to_lowercase()),
        FileColumn::Size => file.length as f64,
        FileColumn::Done => file.have as f64 / file.length.max(1) as f64,
        FileColumn::Priority => f64::from(file.priority as u8),
    })
}
