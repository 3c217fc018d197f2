use std::{net::Ipv4Addr, time::Duration};

use tokio::{net::UdpSocket, time::timeout};

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(60);

fn node(bootstrap: &[SocketAddr], state_dir: Option<PathBuf>) -> DhtNode {
    let settings = DhtSettings {
        bootstrap: bootstrap.iter().copied().map(HostPort::from).collect(),
        ..DhtSettings::default()
    };
    DhtNode::start(NodeConfig { bind: Some(LOOPBACK), ports: 0..=0, settings, state_dir }).expect("bound")
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
    bootstrap.close().await;
    let saved = saved_nodes(folder.path()).expect("whole").expect("saved");
    assert!(saved.nodes.len() >= 2, "{saved:?}");
    let again = node(&[], Some(folder.path().to_owned()));
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
