//! Real clients on one DHT with us, each in a network of its own, without a tracker. What is printed is how long it took.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use potluck_common::control::PeerSource;
use potluck_peer::engine::TorrentParams;

use super::dht::{self, Bootstrap};
use super::lab::{self, INTERFACE, Lab, Place};
use crate::clients::{self, Driver, Job, Running};
use crate::ours::{self, DOWNLOAD, RunningOurs, SEED, Settings};
use crate::support::payload::{Payload, Plan};
use crate::support::room::{self, Room};
use crate::support::tracker::OurTracker;
use crate::support::transfer::Link;
use crate::support::{Outcome, wait_for};

/// Clients take their time until they ask the DHT.
const PATIENCE: Duration = Duration::from_secs(240);

/// The port on which public nodes listen, and so does ours here.
const BOOTSTRAP_PORT: u16 = 6881;
/// Where parties listen.
const PORT: u16 = 7_001;

/// Nodes of ours besides that by which all join: Transmission does not use a DHT of which it knows less than nine nodes.
const NODES: u8 = 12;

/// The trials of this file.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for client in clients::ALL {
        let name = client.name();
        let needs = [client];
        trials.push(trial(&format!("{name}::seeds_to_us"), &needs, |room| seeds_to_us(room, client)));
        trials.push(trial(&format!("{name}::leeches_from_us"), &needs, |room| {
            takes_from_us(room, client, Link::Torrent)
        }));
        trials.push(trial(&format!("{name}::gives_us_a_bare_magnet"), &needs, |room| gives_us(room, client)));
        trials.push(trial(&format!("{name}::takes_a_bare_magnet"), &needs, |room| {
            takes_from_us(room, client, Link::Magnet)
        }));
    }
    let on_one_dht: Vec<_> =
        clients::ALL.into_iter().filter(|client| client.takes_peers_of_the_dht()).collect();
    trials.push(trial("everybody_on_one_dht", &on_one_dht, everybody));
    trials.push(trial("the_tracker_and_the_seed_end_in_the_middle", &[&clients::Libtorrent], tracker_ends));
    trials.push(trial("us::over_ipv6", &[], |room| over_ipv6(room, None)));
    trials.push(trial("libtorrent::over_ipv6", &[&clients::Libtorrent], |room| {
        over_ipv6(room, Some(&clients::Libtorrent))
    }));
    trials.push(trial("us::a_bare_magnet_by_the_dht_alone", &[], by_the_dht_alone));
    trials.push(trial("us::without_a_tracker", &[], |room| takes_from_us(room, &ours::Ours, Link::Torrent)));
    trials
}

fn trial(
    name: &str,
    clients: &[&'static dyn Driver],
    trial: impl FnOnce(&Room) -> Outcome + Send + 'static,
) -> Trial {
    let name = format!("discovery::real::{name}");
    let missing = clients.iter().any(|client| !client.is_installed()).then_some("not installed");
    let runner = move || -> Result<(), Failed> { room::run(PATIENCE, trial) };
    match lab::hindrance().or(missing) {
        None => Trial::test(name, runner),
        Some(hindrance) => Trial::test(format!("{name} ({hindrance})"), runner).with_ignored_flag(true),
    }
}

#[expect(clippy::print_stdout, reason = "figures, for whoever reads what the trials print")]
fn say(line: &str) {
    println!("{line}");
}

fn payload() -> Outcome<Payload> {
    Payload::make(&Plan::single("found.bin", 6_000_000, 64 * 1024))
}

/// A network with a node of ours by which all join.
struct Scene {
    lab: Lab,
    bootstrap: Bootstrap,
    /// Further nodes of ours.
    nodes: Vec<Bootstrap>,
    payload: Payload,
    started: Instant,
    /// The place of the node.
    _place: Place,
}

impl Scene {
    fn new(room: &Room) -> Outcome<Self> {
        Self::over(room, |(ipv4, _)| ipv4)
    }

    fn over(room: &Room, address: fn((IpAddr, IpAddr)) -> IpAddr) -> Outcome<Self> {
        let mut lab = Lab::new()?;
        let place = lab.place(room)?;
        let ip = address((place.ipv4, place.ipv6));
        let bootstrap = place.enter(|| Bootstrap::start(ip, BOOTSTRAP_PORT))?;
        let further = place.further_addresses(NODES)?;
        let joining = [bootstrap.address()];
        let mut nodes: Vec<Bootstrap> = Vec::new();
        // Of all that join at once some find nobody but the first, and look again only a minute later.
        for some in further.chunks(4) {
            wait_for(room.deadline, "the first node finds those that have joined", || {
                Ok((bootstrap.node().counts().good as usize >= nodes.len()).then_some(()))
            })?;
            let start =
                |pair: &(IpAddr, IpAddr)| Bootstrap::joining(address(*pair), BOOTSTRAP_PORT, &joining);
            nodes.extend(place.enter(|| some.iter().map(start).collect::<Outcome<Vec<_>>>())?);
        }
        wait_for(room.deadline, "the nodes find each other", || {
            Ok(nodes.iter().all(|node| node.node().counts().good >= u32::from(NODES) / 2).then_some(()))
        })?;
        Ok(Self { lab, bootstrap, nodes, payload: payload()?, started: Instant::now(), _place: place })
    }

    /// A place, and a job there without a tracker.
    fn party(&mut self, room: &Room, name: &str) -> Outcome<(Place, Job)> {
        let place = self.lab.place(room)?;
        let job = self.job(room, name, SocketAddr::new(place.ipv4, PORT))?;
        Ok((place, job))
    }

    fn job(&self, room: &Room, name: &str, listen: SocketAddr) -> Outcome<Job> {
        let job = dht::job(room, name, &self.payload, listen, self.bootstrap.address())?;
        Ok(Job { interface: INTERFACE, ..job })
    }

    /// What to say of the torrent: its hash, and nobody who has it.
    fn bare_magnet(&self) -> String {
        format!("magnet:?xt=urn:btih:{}", self.payload.info_hash())
    }

    /// Waits until a torrent's peers are known to somebody on the DHT: who seeds has announced itself.
    fn wait_for_announce(&self, room: &Room, who: &str) -> Outcome {
        wait_for(room.deadline, &format!("{who} announces itself on the DHT"), || {
            let mut nodes = self.nodes.iter().chain([&self.bootstrap]);
            Ok(nodes.any(|node| node.node().status().peers_stored > 0).then_some(()))
        })?;
        say(&format!(
            "discovery: {who} announced itself after {:.1} s",
            self.started.elapsed().as_secs_f64()
        ));
        Ok(())
    }
}

/// Runs until it holds the payload, in its place.
fn wait_complete(place: &Place, running: &mut Box<dyn Running>, what: &str, room: &Room) -> Outcome {
    let deadline = room.deadline;
    place.enter(|| running.wait_complete(what, deadline))
}

/// How long it takes from now until `ours` is connected to somebody, printed.
fn time_first_peer(ours: &RunningOurs, words: &str, room: &Room) -> Outcome {
    let (began, before) = (Instant::now(), ours.snapshot());
    wait_for(room.deadline, words, || {
        let snapshot = ours.snapshot();
        // It may be gone before anybody looks.
        let moved = snapshot.downloaded - before.downloaded + snapshot.uploaded - before.uploaded;
        Ok((snapshot.seeds_connected + snapshot.leechers_connected > 0 || moved > 0).then_some(()))
    })?;
    say(&format!("discovery: {words} after {:.1} s", began.elapsed().as_secs_f64()));
    Ok(())
}

fn seeds_to_us(room: &Room, client: &dyn Driver) -> Outcome {
    let mut scene = Scene::new(room)?;
    let (there, seeding) = scene.party(room, "seeder")?;
    scene.payload.copy_to(&seeding.payload_folder, client.stores_padding())?;
    let mut seeder = there.enter(|| client.start(&seeding))?;
    wait_complete(&there, &mut seeder, "the seeder checks its payload", room)?;
    scene.wait_for_announce(room, client.name())?;
    let (here, leeching) = scene.party(room, "leecher")?;
    let mut leecher = here.enter(|| ours::start(&leeching, DOWNLOAD))?;
    time_first_peer(&leecher, &format!("we find {} by the DHT", client.name()), room)?;
    leecher.wait_complete("we complete", room.deadline)?;
    drop((seeder, leecher));
    scene.payload.check_copy(&leeching.payload_folder, true)
}

/// We have nothing but an info-hash, and a client seeds.
fn gives_us(room: &Room, client: &dyn Driver) -> Outcome {
    let mut scene = Scene::new(room)?;
    let (there, seeding) = scene.party(room, "seeder")?;
    scene.payload.copy_to(&seeding.payload_folder, client.stores_padding())?;
    let mut seeder = there.enter(|| client.start(&seeding))?;
    wait_complete(&there, &mut seeder, "the seeder checks its payload", room)?;
    scene.wait_for_announce(room, client.name())?;
    let (here, leeching) = scene.party(room, "leecher")?;
    let leeching = Job { magnet: Some(scene.bare_magnet()), ..leeching };
    let mut leecher = here.enter(|| ours::start_magnet(&leeching, |_| {}))?;
    time_first_peer(&leecher, &format!("by a bare magnet we find {}", client.name()), room)?;
    leecher.wait_complete("we complete", room.deadline)?;
    drop((seeder, leecher));
    scene.payload.check_copy(&leeching.payload_folder, true)
}

/// A client has nothing but the torrent or its info-hash, and we seed. It finds us, or, where it cannot, we find it.
fn takes_from_us(room: &Room, client: &dyn Driver, link: Link) -> Outcome {
    let mut scene = Scene::new(room)?;
    let (here, seeding) = scene.party(room, "seeder")?;
    scene.payload.copy_to(&seeding.payload_folder, false)?;
    let (there, leeching) = scene.party(room, "leecher")?;
    let magnet = (link == Link::Magnet).then(|| scene.bare_magnet());
    let leeching = Job { magnet, ..leeching };
    let by = if link == Link::Magnet { "by a bare magnet " } else { "" };
    let (seeder, mut leecher);
    if client.takes_peers_of_the_dht() {
        seeder = here.enter(|| ours::start(&seeding, SEED))?;
        scene.wait_for_announce(room, "our seed")?;
        leecher = there.enter(|| client.start(&leeching))?;
        time_first_peer(&seeder, &format!("{by}{} finds us by the DHT", client.name()), room)?;
    } else {
        leecher = there.enter(|| client.start(&leeching))?;
        scene.wait_for_announce(room, client.name())?;
        seeder = here.enter(|| ours::start(&seeding, SEED))?;
        time_first_peer(&seeder, &format!("we find {} by the DHT, which leeches", client.name()), room)?;
    }
    wait_complete(&there, &mut leecher, "the leecher completes", room)?;
    drop((seeder, leecher));
    scene.payload.check_copy(&leeching.payload_folder, client.creates_empty_files())
}

/// Peers are found in the DHT and nowhere else: no tracker, no exchange of peers, nobody in the local network.
fn by_the_dht_alone(room: &Room) -> Outcome {
    let mut scene = Scene::new(room)?;
    let (here, seeding) = scene.party(room, "seeder")?;
    scene.payload.copy_to(&seeding.payload_folder, false)?;
    let seeder = here.enter(|| ours::start(&seeding, Settings { pex: false, ..SEED }))?;
    scene.wait_for_announce(room, "our seed")?;
    let (there, leeching) = scene.party(room, "leecher")?;
    let leeching = Job { magnet: Some(scene.bare_magnet()), ..leeching };
    let settings = Settings { pex: false, ..DOWNLOAD };
    let mut leecher = there.enter(|| ours::start_magnet_with(&leeching, settings, |_| {}))?;
    time_first_peer(&leecher, "by a bare magnet we find us by the DHT alone", room)?;
    leecher.wait_complete("we complete", room.deadline)?;
    let lines = leecher.snapshot().detail.discovery.clone();
    let finders: Vec<_> = lines.iter().filter(|line| line.found > 0).map(|line| line.source).collect();
    if finders != [PeerSource::Dht] {
        return Err(format!("others than the DHT told of peers, or it did not: {lines:?}").into());
    }
    drop((seeder, leecher));
    scene.payload.check_copy(&leeching.payload_folder, true)
}

/// One seed of ours, and each client that takes peers of the DHT downloads; who has it all by then serves the next as well.
fn everybody(room: &Room) -> Outcome {
    let mut scene = Scene::new(room)?;
    let (here, seeding) = scene.party(room, "seeder")?;
    scene.payload.copy_to(&seeding.payload_folder, false)?;
    let seeder = here.enter(|| ours::start(&seeding, Settings { up_limit: Some(1_000_000), ..SEED }))?;
    scene.wait_for_announce(room, "our seed")?;
    let mut parties = Vec::new();
    let clients = clients::ALL.into_iter().filter(|client| client.takes_peers_of_the_dht());
    for client in clients.chain([&ours::Ours as &dyn Driver]) {
        let (place, job) = scene.party(room, client.name())?;
        let running = place.enter(|| client.start(&job))?;
        parties.push((client, place, job, running));
    }
    let began = Instant::now();
    for (client, place, _, running) in &mut parties {
        wait_complete(place, running, &format!("{} completes", client.name()), room)?;
        say(&format!(
            "discovery: of all, {} completed by {:.1} s",
            client.name(),
            began.elapsed().as_secs_f64()
        ));
    }
    let snapshot = seeder.snapshot();
    if snapshot.uploaded < scene.payload.size()? {
        return Err("the payload came from somewhere else".into());
    }
    drop(seeder);
    for (client, _, job, running) in parties {
        drop(running);
        scene.payload.check_copy(&job.payload_folder, client.creates_empty_files())?;
    }
    Ok(())
}

/// Its tracker and the only seed that it names go away; another seed is known to the DHT alone.
fn tracker_ends(room: &Room) -> Outcome {
    let mut scene = Scene::new(room)?;
    let meeting = scene.lab.place(room)?;
    let address = SocketAddr::new(meeting.ipv4, 8_080);
    let tracker = meeting.enter(|| OurTracker::on_http(address))?;
    let url = format!("http://{address}/announce");
    let (here, leeching) = scene.party(room, "leecher")?;
    scene.payload.write_torrent(&leeching.torrent, &url)?;
    let (first, first_job) = scene.party(room, "first seed")?;
    scene.payload.write_torrent(&first_job.torrent, &url)?;
    scene.payload.copy_to(&first_job.payload_folder, false)?;
    // It is on no DHT.
    let first_job = Job { dht: None, ..first_job };
    let seeder = first.enter(|| ours::start(&first_job, Settings { up_limit: Some(400_000), ..SEED }))?;
    let mut leecher = here.enter(|| ours::start(&leeching, DOWNLOAD))?;
    time_first_peer(&leecher, "we find a peer by the tracker", room)?;
    wait_for(room.deadline, "a fifth is there", || {
        Ok((leecher.snapshot().have_size * 5 >= leecher.snapshot().total_size).then_some(()))
    })?;
    drop((tracker, seeder));
    wait_for(room.deadline, "the seed is gone", || {
        Ok((leecher.snapshot().seeds_connected == 0).then_some(()))
    })?;
    if leecher.snapshot().have_size == leecher.snapshot().total_size {
        return Err("it was complete before".into());
    }
    let (second, second_job) = scene.party(room, "second seed")?;
    scene.payload.copy_to(&second_job.payload_folder, false)?;
    let other = second.enter(|| clients::Libtorrent.start(&second_job))?;
    time_first_peer(&leecher, "after the end of the tracker a seed is known to us by the DHT", room)?;
    leecher.wait_complete("the leecher completes", room.deadline)?;
    drop((other, leecher));
    scene.payload.check_copy(&leeching.payload_folder, true)
}

fn over_ipv6(room: &Room, client: Option<&dyn Driver>) -> Outcome {
    let mut scene = Scene::over(room, |(_, ipv6)| ipv6)?;
    let place = scene.lab.place(room)?;
    let seeding = scene.job(room, "seeder", SocketAddr::new(place.ipv6, PORT))?;
    scene.payload.copy_to(&seeding.payload_folder, false)?;
    let client = client.unwrap_or(&ours::Ours);
    let seeder = place.enter(|| client.start(&seeding))?;
    scene.wait_for_announce(room, client.name())?;
    let here = scene.lab.place(room)?;
    let leeching = scene.job(room, "leecher", SocketAddr::new(here.ipv6, PORT))?;
    let mut leecher = here.enter(|| ours::start_with(&leeching, DOWNLOAD, |_: &mut TorrentParams| ()))?;
    time_first_peer(&leecher, &format!("we find {} over IPv6 by the DHT", client.name()), room)?;
    leecher.wait_complete("we complete", room.deadline)?;
    drop((seeder, leecher));
    scene.payload.check_copy(&leeching.payload_folder, true)
}
