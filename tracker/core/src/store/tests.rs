//! Rows of rules, and random operations against a naive model.

use std::net::SocketAddr;

use potluck_common::PeerId;
use proptest::prelude::*;

use super::*;

const HASH: InfoHash = InfoHash([1; 20]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An announce of the peer `name` for [`HASH`].
fn announce(name: u8, port: u16, left: u64) -> AnnounceRequest {
    AnnounceRequest { left, ..AnnounceRequest::new(HASH, PeerId([name; 20]), port) }
}

fn with_event(event: Event, request: AnnounceRequest) -> AnnounceRequest {
    AnnounceRequest { event, ..request }
}

/// A store at one moment, and shorthand for talking to it.
struct Tracker {
    swarms: Swarms,
    now: Instant,
}

impl Tracker {
    fn new(config: Config) -> Self {
        Self { swarms: Swarms::new(config, 7), now: Instant::from_secs(1_000) }
    }

    fn http(&mut self, source: &str, request: &AnnounceRequest) -> AnnounceReply {
        let reply = self.swarms.announce(self.now, request, ip(source), Transport::Http).unwrap();
        self.swarms.assert_invariants();
        reply
    }

    fn udp(&mut self, source: &str, request: &AnnounceRequest) -> AnnounceReply {
        let reply = self.swarms.announce(self.now, request, ip(source), Transport::Udp).unwrap();
        self.swarms.assert_invariants();
        reply
    }

    /// Complete, incomplete and downloaded of [`HASH`].
    fn counters(&self) -> (u32, u32, u32) {
        let entry = self.swarms.scrape(&[HASH])[0];
        (entry.complete, entry.incomplete, entry.downloaded)
    }

    /// Lets time pass and everything happen that is due.
    fn sleep(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(due) = self.swarms.poll_timeout().filter(|due| *due <= until) {
            self.now = due;
            self.swarms.handle_timeout(due);
            self.swarms.assert_invariants();
        }
        self.now = until;
    }
}

fn shown(reply: &AnnounceReply) -> Vec<String> {
    let mut peers: Vec<_> = reply.peers.iter().map(ToString::to_string).collect();
    peers.sort();
    peers
}

#[test]
fn askers_get_others_of_both_families_over_http_and_of_their_own_over_udp() {
    let mut tracker = Tracker::new(Config::default());
    assert_eq!(shown(&tracker.http("10.0.0.1", &announce(1, 1, 5))), [""; 0]);
    assert_eq!(shown(&tracker.http("fd00::2", &announce(2, 2, 5))), ["10.0.0.1:1"]);
    assert_eq!(shown(&tracker.udp("::ffff:10.0.0.3", &announce(3, 3, 5))), ["10.0.0.1:1"]);
    assert_eq!(shown(&tracker.udp("fd00::4", &announce(4, 4, 5))), ["[fd00::2]:2"]);
    assert_eq!(
        shown(&tracker.http("10.0.0.1", &announce(1, 1, 5))),
        ["10.0.0.3:3", "[fd00::2]:2", "[fd00::4]:4"]
    );
    // The same client over its other family does not get itself.
    assert_eq!(
        shown(&tracker.http("fd00::1", &announce(1, 1, 5))),
        ["10.0.0.3:3", "[fd00::2]:2", "[fd00::4]:4"]
    );
}

#[test]
fn seeds_get_no_seeds() {
    let mut tracker = Tracker::new(Config::default());
    tracker.http("10.0.0.1", &announce(1, 1, 0));
    tracker.http("10.0.0.2", &announce(2, 2, 5));
    assert_eq!(shown(&tracker.http("10.0.0.3", &announce(3, 3, 0))), ["10.0.0.2:2"]);
    assert_eq!(
        shown(&tracker.http("10.0.0.4", &announce(4, 4, 1))),
        ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"]
    );
    assert_eq!(tracker.counters(), (2, 2, 0));
}

#[test]
fn nobody_stops_or_replaces_somebody_elses_peer() {
    let mut tracker = Tracker::new(Config::default());
    tracker.http("198.51.99.1", &announce(1, 1, 5));
    let stop = with_event(Event::Stopped, announce(1, 1, 5));
    // From another address, claiming to be the victim's.
    tracker.http("198.51.99.2", &AnnounceRequest { ip: Some(ip("198.51.99.1")), ..stop.clone() });
    // From the same address, by another client behind it.
    tracker.http("198.51.99.1", &with_event(Event::Stopped, announce(9, 1, 5)));
    assert_eq!(tracker.counters(), (0, 1, 0));
    assert_eq!(shown(&tracker.http("10.0.0.1", &announce(7, 7, 5))), ["198.51.99.1:1"]);
    tracker.http("198.51.99.1", &stop);
    assert_eq!(tracker.counters(), (0, 1, 0));
    assert_eq!(shown(&tracker.http("10.0.0.1", &announce(7, 7, 5))), [""; 0]);
    // A stop for a torrent that nobody knows leaves no trace.
    let mut other = Tracker::new(Config::default());
    assert_eq!(shown(&other.http("10.0.0.1", &stop)), [""; 0]);
    assert_eq!((other.swarms.totals(), other.swarms.poll_timeout()), (Totals::default(), None));
}

#[test]
fn a_restarted_client_takes_the_place_of_its_former_self() {
    let mut tracker = Tracker::new(Config::default());
    tracker.http("10.0.0.1", &announce(1, 1, 5));
    tracker.http("10.0.0.1", &announce(2, 1, 5));
    assert_eq!(tracker.counters(), (0, 1, 0));
}

#[test]
fn completion_is_counted_once_per_peer() {
    let mut tracker = Tracker::new(Config::default());
    let completed = |name| with_event(Event::Completed, announce(name, 1, 0));
    tracker.http("10.0.0.1", &announce(1, 1, 5));
    for request in [completed(1), completed(1), announce(1, 1, 5), completed(1), completed(2)] {
        tracker.http("10.0.0.1", &request);
    }
    assert_eq!(tracker.counters(), (1, 0, 1));
    // Complete is who has nothing left.
    tracker.http("10.0.0.2", &with_event(Event::Completed, announce(3, 1, 5)));
    assert_eq!(tracker.counters(), (1, 1, 1));
}

#[test]
fn numwant_is_kept_to_and_capped() {
    let mut tracker = Tracker::new(Config::default());
    for host in 0..250 {
        tracker.http("10.0.0.1", &announce(host, 1_000 + u16::from(host), 5));
        tracker.http("fd00::1", &announce(host, 1_000 + u16::from(host), 5));
    }
    let mut check = |numwant: Option<u32>, over_http: usize, over_udp: usize| {
        let request = AnnounceRequest { numwant, ..announce(255, 9, 5) };
        assert_eq!(tracker.http("10.0.0.9", &request).peers.len(), over_http, "{numwant:?}");
        assert_eq!(tracker.udp("10.0.0.9", &request).peers.len(), over_udp, "{numwant:?}");
        assert_eq!(tracker.udp("fd00::9", &request).peers.len(), over_udp, "{numwant:?}");
    };
    check(None, 100, 50);
    check(Some(0), 0, 0);
    check(Some(1), 2, 1);
    check(Some(200), 400, 74);
    check(Some(u32::MAX), 400, 74);
}

#[test]
fn the_silent_are_forgotten_after_two_intervals_and_torrents_too() {
    let interval = Duration::from_secs(1_600);
    let mut tracker = Tracker::new(Config { interval, ..Config::default() });
    let completed = with_event(Event::Completed, announce(1, 1, 0));
    tracker.http("198.51.99.1", &completed);
    tracker.sleep(interval);
    tracker.http("fd00::2", &announce(2, 2, 5));
    tracker.sleep(interval * 15 / 16);
    assert_eq!(tracker.counters(), (1, 1, 1));
    tracker.sleep(interval / 4);
    assert_eq!(tracker.counters(), (0, 1, 1));
    tracker.sleep(interval);
    assert_eq!(tracker.counters(), (0, 0, 0));
    assert_eq!((tracker.swarms.totals(), tracker.swarms.poll_timeout()), (Totals::default(), None));
}

#[test]
fn an_address_has_few_peers_unless_it_is_near() {
    let cases = [
        ("198.51.99.1", "198.51.99.1", 3),
        ("2606:0:0:1::1", "2606:0:0:1:ffff::2", 3),
        ("2606:0:0:1::1", "2606:0:0:2::1", 6),
        ("198.51.99.1", "198.51.99.2", 6),
        ("127.0.0.1", "127.0.0.1", 20),
        ("10.0.0.1", "10.0.0.1", 20),
        ("fd00::1", "fd00::1", 20),
    ];
    for (even, odd, expected) in cases {
        let mut tracker = Tracker::new(Config { address_peers_max: 3, ..Config::default() });
        for port in 1..=20u16 {
            tracker.http(if port % 2 == 0 { even } else { odd }, &announce(port as u8, port, 5));
            tracker.now += Duration::from_secs(1);
        }
        assert_eq!(tracker.counters(), (0, expected, 0), "{even} {odd}");
        if expected == 3 {
            let asker = AnnounceRequest { numwant: Some(9), ..announce(99, 9, 5) };
            let reply = tracker.http("10.0.0.9", &asker);
            let mut ports: Vec<_> = reply.peers.iter().map(SocketAddr::port).collect();
            ports.sort_unstable();
            assert_eq!(ports, [18, 19, 20], "the most recent stay");
        }
    }
}

#[test]
fn a_full_tracker_answers_what_it_can() {
    let config = Config { torrents_max: 1, torrent_peers_max: 2, ..Config::default() };
    let mut tracker = Tracker::new(config);
    tracker.http("10.0.0.1", &announce(1, 1, 5));
    assert_eq!(tracker.http("10.0.0.2", &announce(2, 2, 5)).warning, None);
    let reply = tracker.http("10.0.0.3", &announce(3, 3, 5));
    assert!(reply.warning.is_some());
    assert_eq!(reply.peers.len(), 2);
    assert_eq!(tracker.counters(), (0, 2, 0));
    // Who is in stays in.
    assert_eq!(tracker.http("10.0.0.2", &announce(2, 2, 0)).warning, None);
    let other = AnnounceRequest { info_hash: InfoHash([2; 20]), ..announce(1, 1, 5) };
    let refused = tracker.swarms.announce(tracker.now, &other, ip("10.0.0.1"), Transport::Udp).unwrap_err();
    assert_eq!(refused.retry, Some(Retry::After(Duration::from_secs(1_800))));
    tracker.swarms.assert_invariants();
}

#[test]
fn the_same_seed_gives_the_same_peers() {
    let run = || {
        let mut tracker = Tracker::new(Config::default());
        (1..=200)
            .map(|port| tracker.udp("10.0.0.1", &announce(port as u8, port, 5)).peers)
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

/// What a tracker should do, written down without regard to cost.
#[derive(Default)]
struct Model {
    peers: Vec<ModelPeer>,
    /// By torrent: completions, and the last announce.
    torrents: BTreeMap<InfoHash, (u32, Instant)>,
}

#[derive(Clone, Debug)]
struct ModelPeer {
    info_hash: InfoHash,
    addr: SocketAddr,
    peer_id: PeerId,
    is_seed: bool,
    completed: bool,
    last_seen: Instant,
}

impl Model {
    fn announce(&mut self, now: Instant, request: &AnnounceRequest, addr: SocketAddr, config: &Config) {
        let is_this = |peer: &ModelPeer| peer.info_hash == request.info_hash && peer.addr == addr;
        if request.event == Event::Stopped {
            self.peers.retain(|peer| !(is_this(peer) && peer.peer_id == request.peer_id));
            return;
        }
        let torrent = self.torrents.entry(request.info_hash).or_insert((0, now));
        torrent.1 = now;
        let known = self.peers.iter().position(is_this).map(|place| self.peers.remove(place));
        if known.is_none() {
            self.make_room(request.info_hash, addr.ip(), config.address_peers_max);
            let stored = self.peers.iter().filter(|peer| peer.info_hash == request.info_hash).count();
            if stored >= config.torrent_peers_max || self.peers.len() >= config.peers_max {
                return;
            }
        }
        let mut completed = known.is_some_and(|peer| peer.completed);
        if request.event == Event::Completed && request.left == 0 && !completed {
            completed = true;
            self.torrents.entry(request.info_hash).or_default().0 += 1;
        }
        let (info_hash, peer_id) = (request.info_hash, request.peer_id);
        self.peers.push(ModelPeer {
            info_hash,
            addr,
            peer_id,
            is_seed: request.left == 0,
            completed,
            last_seen: now,
        });
    }

    fn make_room(&mut self, info_hash: InfoHash, ip: IpAddr, most: usize) {
        let network = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => (4, u128::from(ip.to_bits())),
            IpAddr::V6(ip) => (6, ip.to_bits() >> 64),
        };
        if potluck_common::AddrScope::of(ip).is_local() {
            return;
        }
        let is_near =
            |peer: &ModelPeer| peer.info_hash == info_hash && network(peer.addr.ip()) == network(ip);
        if self.peers.iter().filter(|peer| is_near(peer)).count() >= most {
            let oldest = self.peers.iter().enumerate().filter(|(_, peer)| is_near(peer));
            let oldest = oldest.min_by_key(|(_, peer)| (peer.last_seen, peer.addr)).map(|(place, _)| place);
            self.peers.remove(oldest.unwrap());
        }
    }

    fn expire(&mut self, now: Instant, lifetime: Duration) {
        self.peers.retain(|peer| peer.last_seen + lifetime > now);
        let peers = &self.peers;
        self.torrents.retain(|info_hash, (_, last_seen)| {
            *last_seen + lifetime > now || peers.iter().any(|peer| peer.info_hash == *info_hash)
        });
    }

    fn counters(&self, info_hash: InfoHash) -> ScrapeEntry {
        let count = |is_seed: bool| {
            self.peers.iter().filter(|peer| peer.info_hash == info_hash && peer.is_seed == is_seed).count()
                as u32
        };
        let downloaded = self.torrents.get(&info_hash).map_or(0, |torrent| torrent.0);
        ScrapeEntry { complete: count(true), incomplete: count(false), downloaded }
    }

    /// Checks the peers of one reply: the right ones, each once, and as many as there could be.
    fn check(&self, request: &AnnounceRequest, addr: SocketAddr, transport: Transport, peers: &[SocketAddr]) {
        for family in [Family::V4, Family::V6] {
            let mut given: Vec<_> = peers.iter().filter(|peer| Family::of(peer.ip()) == family).collect();
            let is_wanted = transport == Transport::Http || Family::of(addr.ip()) == family;
            let eligible = |peer: &&ModelPeer| {
                peer.info_hash == request.info_hash
                    && Family::of(peer.addr.ip()) == family
                    && !(peer.is_seed && request.left == 0)
                    && is_wanted
                    && request.event != Event::Stopped
            };
            let is_own = |peer: &&ModelPeer| peer.addr == addr || peer.peer_id == request.peer_id;
            let own = self.peers.iter().filter(eligible).filter(is_own).count();
            let others: Vec<_> = self.peers.iter().filter(eligible).filter(|peer| !is_own(peer)).collect();
            assert!(given.iter().all(|addr| others.iter().any(|peer| peer.addr == **addr)), "only others");
            given.sort();
            given.dedup();
            let wanted = request.numwant.unwrap_or(3) as usize;
            // The draw has one place to spare for the asker; when it is stored more than once, some are missing.
            let least = others.len().min(wanted).saturating_sub(own.saturating_sub(1));
            assert!((least..=wanted).contains(&given.len()), "{} of {least}..={wanted}", given.len());
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Announce { request: AnnounceRequest, source: IpAddr, transport: Transport },
    Sleep(Duration),
}

fn any_step() -> impl Strategy<Value = Step> {
    let sources =
        ["10.0.0.1", "198.51.99.1", "198.51.99.2", "fd00::1", "2606::1", "2606::2", "2606:0:0:1::1"];
    let event = prop_oneof![
        4 => Just(Event::None),
        2 => Just(Event::Completed),
        1 => Just(Event::Started),
        2 => Just(Event::Stopped)
    ];
    let transport = prop_oneof![Just(Transport::Http), Just(Transport::Udp)];
    let numwant = proptest::option::of(0u32..6);
    let request = (0u8..3, 0u8..4, 1u16..6, 0u64..2, event, numwant).prop_map(
        |(torrent, name, port, left, event, numwant)| AnnounceRequest {
            left,
            event,
            numwant,
            ..AnnounceRequest::new(InfoHash([torrent; 20]), PeerId([name; 20]), port)
        },
    );
    let source = proptest::sample::select(sources.to_vec()).prop_map(ip);
    prop_oneof![
        9 => (request, source, transport)
            .prop_map(|(request, source, transport)| Step::Announce { request, source, transport }),
        1 => (1u64..300).prop_map(|seconds| Step::Sleep(Duration::from_secs(seconds))),
    ]
}

proptest! {
    #[test]
    fn the_store_does_what_the_model_does(steps in proptest::collection::vec(any_step(), 1..150)) {
        let config = Config {
            interval: Duration::from_secs(100),
            numwant_default: 3,
            peers_max: 25,
            torrent_peers_max: 12,
            address_peers_max: 3,
            ..Config::default()
        };
        let mut tracker = Tracker::new(config.clone());
        let mut model = Model::default();
        for step in steps {
            // One announce per instant, so that there is one that was silent longest.
            tracker.now += Duration::from_micros(1);
            match step {
                Step::Announce { request, source, transport } => {
                    let addr = SocketAddr::new(source, request.port);
                    let now = tracker.now;
                    let reply = tracker.swarms.announce(now, &request, source, transport).unwrap();
                    model.announce(now, &request, addr, &config);
                    model.check(&request, addr, transport, &reply.peers);
                }
                Step::Sleep(duration) => {
                    tracker.now += duration;
                    tracker.swarms.handle_timeout(tracker.now);
                    model.expire(tracker.now, config.lifetime());
                }
            }
            tracker.swarms.assert_invariants();
            let hashes = [0, 1, 2].map(|torrent| InfoHash([torrent; 20]));
            prop_assert_eq!(tracker.swarms.scrape(&hashes), hashes.map(|info_hash| model.counters(info_hash)));
            prop_assert_eq!(tracker.swarms.totals().torrents, model.torrents.len());
        }
    }
}
