//! What somebody knows who was told of changes is what there is to be seen, through any sequence of changes.

use proptest::prelude::*;

use super::*;
use crate::{
    Printable,
    control::{
        DhtSummary, DiscoveryState, FilePriority, HistoryRange, Limits, PeerDirection, PeerSlot, PeerSource,
        PortSummary, Settings, State, TorrentRow, TorrentState, TorrentSummary, TrackerState, Update,
    },
};

/// What there is to be seen, as a test makes it.
#[derive(Clone, Debug)]
struct World {
    session: SessionSnapshot,
    rows: Rows,
    detail: TorrentDetail,
    holders: Option<PieceHolders>,
    rates: Option<History>,
    peers: Vec<TorrentPeer>,
    fairness: FairnessSnapshot,
    disk: DiskSnapshot,
    history: History,
}

/// Something that changes in it, or is looked at.
#[derive(Clone, Debug)]
enum Step {
    /// A torrent is there, and has come so far.
    Row(u8, u64),
    Remove(u8),
    Session(u64),
    Peers(Vec<(u16, u64)>),
    All(Vec<(u8, u16, u64)>),
    Files(Vec<u64>),
    Pieces(Vec<(bool, u16)>),
    Holders(u32, Vec<u16>),
    About(u32),
    Trackers(Vec<u32>),
    /// Which lists were made; the others are empty.
    Made(Aspects),
    Fairness(u64),
    History(Vec<u64>),
    Look(View),
    Tell,
}

fn hash(number: u8) -> InfoHash {
    InfoHash([number; 20])
}

fn session(bytes: u64) -> SessionSnapshot {
    SessionSnapshot {
        version: "Potluck".into(),
        started_at: 1.5,
        uptime_seconds: 60,
        listen: vec![([127, 0, 0, 1], 6881).into()],
        down_rate: bytes,
        up_rate: 0,
        downloaded: bytes,
        uploaded: 0,
        downloaded_ever: u64::MAX,
        uploaded_ever: 0,
        connections: 3,
        connections_max: 200,
        dht: DhtSummary::default(),
        port: PortSummary::default(),
        free_space: Some(bytes),
        slots: 4,
        settings: Settings { ratio_goal: Some(1.5), ..Settings::default() },
        trouble: None,
    }
}

fn row(number: u8, bytes: u64) -> TorrentRow {
    let summary = TorrentSummary {
        info_hash: hash(number),
        name: Printable::new(&format!("torrent {number}")),
        state: if bytes == 0 {
            TorrentState::Checking { done: 1, total: 9 }
        } else {
            TorrentState::Downloading
        },
        is_durable: false,
        total_size: 1 << 40,
        wanted_size: 1 << 40,
        wanted_have: bytes,
        have_size: bytes,
        piece_length: 1 << 20,
        pieces: 1 << 20,
        pieces_have: 0,
        downloaded: bytes,
        uploaded: 0,
        wasted: 0,
        hash_failures: 0,
        down_rate: bytes,
        up_rate: 0,
        eta_seconds: Some(bytes),
        unchoked_by: 0,
        unchoked: 0,
        seeds_connected: 0,
        leechers_connected: 0,
        seeds_known: None,
        leechers_known: Some(3),
        candidates: 0,
        distributed_copies: 1.25,
        age_seconds: 0.0,
        stall: (bytes == 1).then(|| "nobody has it".into()),
        pace: None,
        trouble: None,
    };
    TorrentRow {
        number: u32::from(number),
        summary,
        is_paused: false,
        is_queued: false,
        queue_place: 0,
        directory: "/data".into(),
        labels: vec!["linux".into()],
        added_at: 1,
        completed_at: None,
        available_at: None,
        downloaded_ever: bytes,
        uploaded_ever: 0,
        limits: Limits { down: None, up: Some(5) },
        is_private: false,
    }
}

fn peer(port: u16, bytes: u64) -> PeerSnapshot {
    PeerSnapshot {
        address: ([10, 0, 0, 1], port).into(),
        direction: PeerDirection::Incoming,
        source: PeerSource::Tracker,
        client: "Potluck 1".into(),
        pieces_have: 1,
        is_seed: false,
        down_rate: bytes,
        up_rate: 0,
        downloaded: bytes,
        uploaded: 0,
        chokes_us: false,
        we_are_interested: true,
        we_choke: true,
        is_interested: true,
        slot: PeerSlot::Optimistic,
        snubs_us: false,
        why: "it is tried".into(),
        rank: Some(1),
        debt: 0,
        age_seconds: 60.0,
    }
}

fn discovery(found: u32) -> DiscoverySnapshot {
    DiscoverySnapshot {
        source: PeerSource::Dht,
        state: DiscoveryState::Idle,
        message: Printable::default(),
        found,
        connected: 0,
        next_seconds: None,
    }
}

fn tracker(failures: u32) -> TrackerSnapshot {
    TrackerSnapshot {
        url: "http://127.0.0.1/announce".into(),
        tier: 0,
        state: TrackerState::Idle,
        message: Printable::default(),
        failures,
        next_seconds: None,
        seeders: None,
        leechers: None,
        peers: 0,
    }
}

impl World {
    fn new() -> Self {
        let history = History { range: HistoryRange::Minute, down: vec![], up: vec![] };
        Self {
            session: session(0),
            rows: Rows::default(),
            detail: TorrentDetail { made: Aspects::ALL, ..TorrentDetail::default() },
            holders: None,
            rates: None,
            peers: Vec::new(),
            fairness: FairnessSnapshot::default(),
            disk: DiskSnapshot::default(),
            history,
        }
    }

    fn change(&mut self, step: Step) {
        match step {
            Step::Row(number, bytes) => drop(self.rows.set(row(number, bytes))),
            Step::Remove(number) => drop(self.rows.remove(&hash(number))),
            Step::Session(bytes) => self.session = session(bytes),
            Step::Peers(peers) => {
                self.detail.peers = peers.into_iter().map(|(port, bytes)| peer(port, bytes)).collect();
            }
            Step::All(peers) => {
                let of =
                    |(number, port, bytes)| TorrentPeer { info_hash: hash(number), peer: peer(port, bytes) };
                self.peers = peers.into_iter().map(of).collect();
            }
            Step::Files(files) => {
                let of =
                    |have| FileSnapshot { path: "f".into(), length: 9, have, priority: FilePriority::Low };
                self.detail.files = files.into_iter().map(of).collect();
            }
            Step::Pieces(pieces) => {
                let of = |(have, availability)| PieceState {
                    have,
                    in_flight: !have,
                    is_skipped: false,
                    availability,
                };
                self.detail.pieces = pieces.into_iter().map(of).collect();
            }
            Step::Holders(piece, ports) => {
                let peers = ports.into_iter().map(|port| ([10, 0, 0, 2], port).into()).collect();
                self.holders = Some(PieceHolders { piece, peers });
            }
            Step::About(number) => {
                self.detail.about = Some(About {
                    directory: "/data".into(),
                    comment: "words".into(),
                    creator: Printable::default(),
                    created_at: Some(i64::from(number)),
                    is_private: false,
                    magnet: String::new(),
                });
            }
            Step::Trackers(trackers) => {
                self.detail.discovery = trackers.iter().copied().map(discovery).collect();
                self.detail.trackers = trackers.into_iter().map(tracker).collect();
            }
            Step::Made(made) => self.detail.made = made,
            Step::Fairness(bytes) => {
                self.fairness.to_trials = bytes;
                self.disk.unwritten = bytes;
                self.detail.fairness =
                    Some(FairnessSnapshot { to_repaying: bytes, ..FairnessSnapshot::default() });
            }
            Step::History(down) => {
                let up = down.iter().map(|rate| rate / 2).collect();
                self.history = History { range: HistoryRange::Minute, down, up };
                self.rates = Some(self.history.clone());
            }
            Step::Look(_) | Step::Tell => {}
        }
    }

    fn scene(&self, view: &View) -> Scene<'_> {
        let near = view.detail.filter(|near| self.rows.get(&near.info_hash).is_some());
        Scene {
            session: &self.session,
            rows: &self.rows,
            detail: near.map(|near| SceneDetail {
                info_hash: near.info_hash,
                lists: &self.detail,
                holders: self.holders.clone(),
                history: self.rates.clone(),
            }),
            peers: self.peers.clone(),
            fairness: Some(self.fairness.clone()),
            disk: Some(self.disk.clone()),
            history: Some(self.history.clone()),
            events: Vec::new(),
        }
    }

    /// What somebody sees who looks at `view`.
    fn check(&self, view: &View, state: &State) {
        assert_eq!(state.session.as_ref(), Some(&self.session));
        assert!(state.torrents.values().eq(self.rows.iter()), "{:?} {:?}", state.torrents, self.rows);
        if view.peers {
            assert_eq!(state.peers, self.peers);
        }
        if view.fairness {
            assert_eq!(state.fairness.as_ref(), Some(&self.fairness));
        }
        if view.disk {
            assert_eq!(state.disk.as_ref(), Some(&self.disk));
        }
        if view.history.is_some() {
            assert_eq!(state.history.as_ref(), Some(&self.history));
        }
        let known = state.detail.as_ref().map(|detail| detail.info_hash);
        assert!(known.is_none_or(|known| self.rows.get(&known).is_some()), "{known:?} is gone");
        let Some(near) = view.detail.filter(|near| self.rows.get(&near.info_hash).is_some()) else { return };
        let detail = state.detail.as_ref().expect("it is there");
        assert_eq!(detail.info_hash, near.info_hash);
        let (seen, lists) = (&detail.lists, &self.detail);
        let wanted = near.aspects.and(lists.made);
        assert!(!wanted.about || seen.about == lists.about || lists.about.is_none());
        assert!(!wanted.peers || seen.peers == lists.peers);
        assert!(!wanted.trackers || seen.trackers == lists.trackers);
        assert!(!wanted.trackers || seen.discovery == lists.discovery);
        assert!(!wanted.files || seen.files == lists.files);
        assert!(!wanted.pieces || seen.pieces == lists.pieces);
        assert!(!wanted.fairness || seen.fairness == lists.fairness || lists.fairness.is_none());
        if let Some(holders) = self.holders.as_ref().filter(|holders| Some(holders.piece) == near.piece) {
            assert_eq!(seen.holders_of(holders.piece), Some(&holders.peers[..]));
        }
        assert!(near.history.is_none() || detail.history == self.rates || self.rates.is_none());
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let small = 0_u64..4;
    let step = prop_oneof![
        (0_u8..4, small.clone()).prop_map(|(number, bytes)| Step::Row(number, bytes)),
        (0_u8..4).prop_map(Step::Remove),
        small.clone().prop_map(Step::Session),
        prop::collection::vec((0_u16..3, small.clone()), 0..5).prop_map(Step::Peers),
        prop::collection::vec((0_u8..4, 0_u16..3, small.clone()), 0..5).prop_map(Step::All),
        prop::collection::vec(small.clone(), 0..4).prop_map(Step::Files),
        prop::collection::vec((any::<bool>(), 0_u16..3), 0..6).prop_map(Step::Pieces),
        (0_u32..2, prop::collection::vec(0_u16..3, 0..4))
            .prop_map(|(piece, ports)| Step::Holders(piece, ports)),
        (0_u32..4).prop_map(Step::About),
        prop::collection::vec(0_u32..3, 0..4).prop_map(Step::Trackers),
        aspects().prop_map(Step::Made),
        small.clone().prop_map(Step::Fairness),
        prop::collection::vec(small, 0..4).prop_map(Step::History),
        view().prop_map(Step::Look),
        Just(Step::Tell),
        Just(Step::Tell),
    ];
    prop::collection::vec(step, 0..60)
}

fn aspects() -> impl Strategy<Value = Aspects> {
    let of = |[about, peers, trackers, files, pieces, fairness]: [bool; 6]| Aspects {
        about,
        peers,
        trackers,
        files,
        pieces,
        fairness,
    };
    // Mostly all of them, so that much is seen.
    prop_oneof![Just(Aspects::ALL), prop::array::uniform6(any::<bool>()).prop_map(of)]
}

fn view() -> impl Strategy<Value = View> {
    // Few torrents: the same one is looked at again, more and less closely, and goes away meanwhile.
    let near = (0_u8..2, aspects(), prop::option::of(0_u32..2), any::<bool>());
    let near = near.prop_map(|(number, aspects, piece, history)| DetailView {
        info_hash: hash(number),
        aspects,
        piece,
        history: history.then_some(HistoryRange::Minute),
    });
    (prop::option::of(near), any::<[bool; 4]>()).prop_map(|(detail, [peers, fairness, disk, history])| View {
        detail,
        peers,
        fairness,
        disk,
        history: history.then_some(HistoryRange::Minute),
        events: None,
    })
}

proptest! {
    #[test]
    fn the_sum_of_the_updates_is_what_there_is_to_be_seen(steps in steps()) {
        let (mut world, mut feed, mut state, mut view) = (World::new(), Feed::default(), State::default(), View::default());
        prop_assert!(feed.next(world.scene(&view)).is_none(), "nobody looks yet");
        feed.look(view.clone());
        let mut count = 0;
        for step in steps.into_iter().chain([Step::Tell]) {
            match step {
                Step::Look(wanted) => {
                    feed.look(wanted.clone());
                    view = wanted;
                }
                Step::Tell => {
                    if let Some(body) = feed.next(world.scene(&view)) {
                        prop_assert_eq!(matches!(body, UpdateBody::Snapshot(_)), count == 0);
                        count += 1;
                        let update = Update { number: count, body };
                        let text = serde_json::to_string(&update).expect("it can be encoded");
                        let decoded: Update = serde_json::from_str(&text).expect("it can be decoded");
                        prop_assert_eq!(&decoded, &update);
                        state.apply(decoded.body);
                    }
                    world.check(&view, &state);
                    prop_assert!(feed.next(world.scene(&view)).is_none(), "nothing changed");
                }
                step => world.change(step),
            }
        }
    }
}

/// Looks at the first torrent.
fn near(aspects: Aspects, piece: Option<u32>) -> View {
    View { detail: Some(DetailView { info_hash: hash(1), aspects, piece, history: None }), ..View::default() }
}

/// A torrent that is there, who looks at it, and what that one knows.
fn looked_at(view: &View) -> (World, Feed, State) {
    let (mut world, mut feed, mut state) = (World::new(), Feed::default(), State::default());
    world.change(Step::Row(1, 1));
    world.change(Step::About(1));
    world.change(Step::Trackers(vec![1]));
    world.change(Step::Peers(vec![(1, 1)]));
    feed.look(view.clone());
    state.apply(feed.next(world.scene(view)).expect("a snapshot"));
    (world, feed, state)
}

#[test]
fn what_was_not_looked_at_for_a_while_is_told_as_a_whole() {
    let (wide, narrow) = (near(Aspects::ALL, None), near(Aspects::NONE, None));
    let (mut world, mut feed, mut state) = looked_at(&wide);
    feed.look(narrow.clone());
    world.change(Step::Trackers(vec![2]));
    world.change(Step::About(2));
    world.change(Step::Peers(vec![(2, 2)]));
    assert!(feed.next(world.scene(&narrow)).is_none(), "nobody looks");
    feed.look(wide.clone());
    state.apply(feed.next(world.scene(&wide)).expect("news"));
    world.check(&wide, &state);
}

#[test]
fn a_torrent_that_is_gone_is_seen_no_more() {
    let view = near(Aspects::ALL, None);
    let (mut world, mut feed, mut state) = looked_at(&view);
    assert!(state.detail.is_some());
    world.change(Step::Remove(1));
    state.apply(feed.next(world.scene(&view)).expect("news"));
    assert_eq!(state.detail, None);
    world.check(&view, &state);
}

#[test]
fn lists_that_were_not_made_leave_what_is_known() {
    let view = near(Aspects::ALL, None);
    let (mut world, mut feed, mut state) = looked_at(&view);
    let before = state.clone();
    // As between a run and the next.
    world.detail = TorrentDetail::default();
    assert!(feed.next(world.scene(&view)).is_none());
    world.change(Step::Made(Aspects { trackers: true, ..Aspects::NONE }));
    state.apply(feed.next(world.scene(&view)).expect("news"));
    let (lists, before) = (state.detail.expect("seen").lists, before.detail.expect("seen").lists);
    assert_eq!((lists.trackers, lists.about, lists.peers), (Vec::new(), before.about, before.peers));
}

#[test]
fn a_cursor_on_a_piece_sees_who_has_that_one() {
    let (first, second) = (near(Aspects::NONE, Some(0)), near(Aspects::NONE, Some(1)));
    let (mut world, mut feed, mut state) = looked_at(&first);
    world.change(Step::Holders(0, vec![1, 2]));
    state.apply(feed.next(world.scene(&first)).expect("news"));
    feed.look(second.clone());
    assert!(feed.next(world.scene(&second)).is_none(), "these have another one");
    let seen =
        |state: &State, piece| state.detail.as_ref().expect("seen").lists.holders_of(piece).map(<[_]>::len);
    assert_eq!((seen(&state, 0), seen(&state, 1)), (Some(2), None));
    world.change(Step::Holders(1, vec![]));
    state.apply(feed.next(world.scene(&second)).expect("news"));
    assert_eq!((seen(&state, 0), seen(&state, 1)), (None, Some(0)));
}

#[test]
fn who_was_away_for_too_long_is_told_everything() {
    let (mut world, mut feed, mut state) = (World::new(), Feed::default(), State::default());
    let view = View::default();
    feed.look(view.clone());
    world.change(Step::Row(1, 1));
    state.apply(feed.next(world.scene(&view)).expect("a snapshot"));
    for number in 0..6_000_u32 {
        let mut other = row(2, 1);
        other.summary.info_hash.0[..4].copy_from_slice(&number.to_be_bytes());
        let info_hash = other.summary.info_hash;
        world.rows.set(other);
        world.rows.remove(&info_hash);
    }
    let update = feed.next(world.scene(&view)).expect("news");
    assert!(matches!(update, UpdateBody::Snapshot(_)));
    state.apply(update);
    world.check(&view, &state);
}

#[test]
fn that_a_peer_grows_older_is_news_once_a_minute() {
    let (mut world, mut feed) = (World::new(), Feed::default());
    let view = View { peers: true, ..View::default() };
    feed.look(view.clone());
    world.change(Step::All(vec![(1, 1, 1)]));
    assert!(feed.next(world.scene(&view)).is_some());
    for (age_seconds, is_news) in
        [(60.3, false), (119.9, false), (120.0, true), (121.0, false), (7200.5, true)]
    {
        world.peers[0].peer.age_seconds = age_seconds;
        assert_eq!(feed.next(world.scene(&view)).is_some(), is_news, "{age_seconds}");
    }
}

#[test]
fn that_time_passes_is_no_news() {
    let mut rows = Rows::default();
    assert!(rows.set(row(1, 5)));
    let mut older = row(1, 5);
    older.summary.age_seconds = 9.0;
    assert!(!rows.set(older.clone()));
    older.labels.clear();
    assert!(rows.set(older));
    // What changes costs one row, whatever else there is.
    for number in 2..100 {
        rows.set(row(number, 1));
    }
    let before = rows.version();
    rows.set(row(50, 2));
    let changes = rows.since(before).expect("it is not long ago");
    assert_eq!((changes.changed, changes.removed), (vec![row(50, 2)], vec![]));
}
