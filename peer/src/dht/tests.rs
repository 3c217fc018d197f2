use std::{net::Ipv4Addr, time::Duration};

use potluck_common::krpc::{NodeId, NodeInfo};
use tokio::{net::UdpSocket, time::timeout};

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(60);

fn node(bootstrap: &[SocketAddr], state_dir: Option<PathBuf>) -> DhtNode {
    let settings = DhtSettings { bootstrap: host_ports(bootstrap), ..DhtSettings::default() };
    DhtNode::start(NodeConfig { bind: Some(LOOPBACK), ports: 0..=0, settings, state_dir }).expect("bound")
}

fn host_ports(addresses: &[SocketAddr]) -> Vec<HostPort> {
    addresses.iter().copied().map(HostPort::from).collect()
}

async fn joined(node: &DhtNode) {
    timeout(PATIENCE, node.joined()).await.expect("it joins in time");
}

async fn peers_of(node: &DhtNode, info_hash: InfoHash) -> (Vec<SocketAddr>, SearchReport) {
    let mut events = node.lookup(info_hash);
    let mut found = Vec::new();
    loop {
        match timeout(PATIENCE, events.recv()).await.expect("in time").expect("it ends by a report") {
            LookupEvent::Peers(peers) => found.extend(peers),
            LookupEvent::Ended(report) => return (found, report),
        }
    }
}

/// Nodes that know each other only by one of them find who announced a torrent; a node that is started again begins with
/// those that it knew, as who it was.
#[tokio::test]
async fn nodes_join_announce_find_and_remember() {
    let folder = tempfile::tempdir().expect("a folder");
    let bootstrap = node(&[], None);
    let others: Vec<DhtNode> = (0..4).map(|_| node(&bootstrap.addresses(), None)).collect();
    for other in &others {
        joined(other).await;
    }
    let (inputs, mut heard) = mpsc::unbounded_channel();
    let info_hash = InfoHash([0x5a; 20]);
    let tracked = Tracked { announce_port: Some(4_242), is_seed: false };
    let tracking = others[0].track(info_hash, tracked, inputs);
    let announced = async {
        loop {
            match heard.recv().await.expect("it is tracked") {
                Input::Source(report) if report.message.as_str().contains("announced to") => return,
                Input::Source(report) => assert_eq!(report.source, potluck_core::torrent::Source::Dht),
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(PATIENCE, announced).await.expect("it is announced in time");
    let seeker = node(&bootstrap.addresses(), Some(folder.path().to_owned()));
    joined(&seeker).await;
    let (found, report) = peers_of(&seeker, info_hash).await;
    assert_eq!(found, [SocketAddr::new(LOOPBACK, 4_242)]);
    assert!(report.answered > 0 && report.announced_to == 0, "{report:?}");
    let id = seeker.status().ipv4.expect("IPv4").id;
    seeker.close().await;
    drop(tracking);
    // The one that everybody joined by is gone.
    let by = bootstrap.addresses();
    bootstrap.close().await;
    let saved = saved_nodes(folder.path(), &host_ports(&by)).expect("whole").expect("saved");
    assert!(saved.nodes.len() >= 2, "{saved:?}");
    let again = node(&by, Some(folder.path().to_owned()));
    assert_eq!(again.status().ipv4.expect("IPv4").id, id);
    let (found, _) = peers_of(&again, info_hash).await;
    assert_eq!(found, [SocketAddr::new(LOOPBACK, 4_242)]);
}

#[tokio::test]
async fn a_node_of_loopback_asks_nobody_else_and_says_so() {
    let settings = DhtSettings {
        bootstrap: vec![
            "router.invalid:6881".parse().expect("a name"),
            "192.0.2.1:1".parse().expect("an address"),
        ],
        ..DhtSettings::default()
    };
    let node = DhtNode::start(NodeConfig { bind: Some(LOOPBACK), ports: 0..=0, settings, state_dir: None })
        .expect("bound");
    let told = async {
        node.summary.clone().wait_for(|s| s.message.as_str().contains("cannot be reached")).await.is_ok()
    };
    assert!(timeout(PATIENCE, told).await.expect("in time"), "{:?}", node.summary());
    assert_eq!(node.counts(), NodeCounts::default());
}

/// Where nobody is known a look-up ends all the same, and what is no node is not held for one.
#[tokio::test]
async fn a_lookup_of_who_knows_nobody_ends() {
    let silent = UdpSocket::bind(SocketAddr::new(LOOPBACK, 0)).await.expect("bound");
    let node = node(&[silent.local_addr().expect("bound")], None);
    let (found, report) = peers_of(&node, InfoHash([1; 20])).await;
    assert!(found.is_empty() && report.answered == 0, "{report:?}");
    assert_eq!(node.counts(), NodeCounts::default());
    node.close().await;
}

/// The peers that nodes keep, asked again until this one is among them.
async fn wait_for_peer(seeker: &DhtNode, info_hash: InfoHash, port: u16) {
    let wanted = SocketAddr::new(LOOPBACK, port);
    let found = async { while !peers_of(seeker, info_hash).await.0.contains(&wanted) {} };
    timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{wanted} is never announced"));
}

/// However many ports one host is said to have nodes at within a moment, another of which is told after them is asked.
#[tokio::test]
async fn who_tells_of_many_ports_costs_others_nothing() {
    let there = node(&[], None);
    let told = node(&[], None);
    (1..=40).for_each(|port| told.add_node(SocketAddr::from(([127, 0, 0, 2], port))));
    told.add_node(there.addresses()[0]);
    let mut counts = told.counts.clone();
    let known = timeout(PATIENCE, counts.wait_for(|counts| *counts != NodeCounts::default())).await;
    assert!(known.is_ok(), "{:?}", told.summary());
}

/// The router's port is announced, whether it was known before the torrent, came later, or changed.
#[tokio::test]
async fn the_port_that_others_reach_us_at_is_announced() {
    let bootstrap = node(&[], None);
    let [announcer, seeker] = [(); 2].map(|()| node(&bootstrap.addresses(), None));
    joined(&announcer).await;
    joined(&seeker).await;
    let (inputs, _heard) = mpsc::unbounded_channel();
    let info_hash = InfoHash([0xa5; 20]);
    let tracked = Tracked { announce_port: Some(4_242), is_seed: false };
    announcer.set_public_port(Some(5_151));
    let tracking = announcer.track(info_hash, tracked, inputs);
    wait_for_peer(&seeker, info_hash, 5_151).await;
    announcer.set_public_port(Some(5_252));
    tracking.update(Tracked { is_seed: true, ..tracked });
    wait_for_peer(&seeker, info_hash, 5_252).await;
    announcer.set_public_port(None);
    wait_for_peer(&seeker, info_hash, 4_242).await;
}

/// What the router says counts always, and what trackers say as long as nobody said anything.
#[tokio::test]
async fn of_our_address_the_router_knows_more_than_trackers() {
    use Teller::{Router, Tracker};
    let ip = |last: u8| IpAddr::from([8, 8, 4, last]);
    for (told, believed) in [
        (vec![(1, Tracker)], 1),
        (vec![(1, Tracker), (2, Tracker)], 1),
        (vec![(1, Tracker), (2, Router)], 2),
        (vec![(1, Router), (2, Tracker)], 1),
        (vec![(1, Router), (2, Router)], 2),
    ] {
        let node = node(&[], None);
        for (last, teller) in &told {
            node.external_address(ip(*last), *teller);
        }
        // What is asked is done in its order.
        let (inputs, _heard) = mpsc::unbounded_channel();
        let tracked = Tracked { announce_port: None, is_seed: false };
        let _tracking = node.track(InfoHash([2; 20]), tracked, inputs);
        let mut status = node.status.clone();
        let heard = timeout(PATIENCE, status.wait_for(|status| status.tracked == 1)).await;
        let external = heard.expect("in time").expect("it runs").ipv4.expect("IPv4").external;
        assert_eq!(external, Some(ip(believed)), "{told:?}");
        node.close().await;
    }
}

#[tokio::test]
async fn who_asks_unasked_is_a_stranger_and_a_node_that_nobody_reaches_is_read_only() {
    let known = UdpSocket::bind(SocketAddr::new(LOOPBACK, 0)).await.expect("bound");
    let stranger = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).await.expect("bound");
    let asked = node(&[known.local_addr().expect("bound")], None);
    let there = asked.addresses()[0];
    let mut datagram = [0; 2_048];
    timeout(PATIENCE, known.recv_from(&mut datagram)).await.expect("in time").expect("it is asked");
    let ping = b"d1:ad2:id20:nnnnnnnnnnnnnnnnnnnne1:q4:ping1:t2:zz1:y1:qe";
    let lie = b"d1:rd2:id20:nnnnnnnnnnnnnnnnnnnne1:t2:zz1:y1:re";
    for (socket, datagrams, seen) in
        [(&known, &[&ping[..]][..], None), (&stranger, &[&lie[..], ping], Some([127, 0, 0, 2].into()))]
    {
        for datagram in datagrams {
            assert_eq!(*asked.stranger().borrow(), None);
            socket.send_to(datagram, there).await.expect("sent");
        }
        // It is looked at before it is answered.
        let answered = async {
            loop {
                let (length, _) = socket.recv_from(&mut datagram).await.expect("it is open");
                if datagram[..length].windows(6).any(|window| window == b"2:zz1:") {
                    return;
                }
            }
        };
        timeout(PATIENCE, answered).await.expect("it answers in time");
        assert_eq!(*asked.stranger().borrow(), seen);
    }
    let seeker = node(&[there], None);
    joined(&seeker).await;
    for is_reachable in [false, true] {
        seeker.set_reachable(is_reachable);
        let mut summary = seeker.summary.clone();
        let says = summary.wait_for(|summary| summary.message.as_str().is_empty() == is_reachable);
        assert!(timeout(PATIENCE, says).await.is_ok(), "{:?}", seeker.summary());
    }
}

/// What is known of the public network is not asked by who joins another, whose nodes take no place of it either; and who
/// one is stays, though nobody was met.
#[tokio::test]
async fn a_lab_does_not_meet_the_world() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = UdpSocket::bind(SocketAddr::new(LOOPBACK, 0)).await.expect("bound");
    let lab = node(&[], None);
    let known = NodeInfo { id: NodeId([9; 20]), addr: world.local_addr().expect("bound") };
    let saved = DhtSaved { nodes: vec![known], ..DhtSaved::default() };
    let public = store::Circle::of(&HostPort::public());
    let file = store::Store::open(folder.path(), public).expect("opened").expect("free");
    file.save(&saved).expect("saved");
    drop(file);
    let served = node(&[], Some(folder.path().to_owned()));
    let id = served.status().ipv4.expect("IPv4").id;
    served.close().await;
    let served = node(&[], Some(folder.path().to_owned()));
    assert_eq!(served.status().ipv4.expect("IPv4").id, id, "the same again");
    served.close().await;
    let joins = node(&lab.addresses(), Some(folder.path().to_owned()));
    joined(&joins).await;
    joins.close().await;
    assert!(world.try_recv(&mut [0; 64]).is_err(), "nobody asked the world");
    let kept = saved_nodes(folder.path(), &HostPort::public()).expect("whole").expect("there");
    assert_eq!(kept, saved);
    let kept = saved_nodes(folder.path(), &host_ports(&lab.addresses())).expect("whole").expect("there");
    assert_eq!(kept.nodes.len(), 1);
}
