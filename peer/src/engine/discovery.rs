//! The engine's node of the distributed hash table, and what of it concerns torrents.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use potluck_common::{
    AddrScope, InfoHash, Printable, addr,
    control::{DhtSummary, DiscoveryState, PeerSource},
    metainfo::Metainfo,
};
use potluck_core::{
    dht::Tracked,
    reachability::Mapping,
    torrent::{Input, SourceReport},
};
use tokio::{
    net::{UdpSocket, lookup_host},
    sync::mpsc,
    time::{Duration, timeout},
};

use super::{EngineConfig, clock::Clock};
use crate::{
    dht::{DhtNode, Teller, Tracking, Work},
    net::udp::Port,
};

/// Most nodes that one torrent names which are asked.
const NODES_OF_TORRENT_MAX: usize = 8;
/// A peer has one DHT node, which may move; further words of it on one connection count for nothing.
const NODES_TOLD_MAX: u8 = 4;
/// How long a name server may take for one of them.
const NAME_TIME_MAX: Duration = Duration::from_secs(10);

/// The engine's node, or why there is none.
#[derive(Clone)]
pub(crate) enum DhtSlot {
    /// There is one, on this port.
    Node(DhtNode, u16),
    /// There is none; in words.
    None(String),
}

impl DhtSlot {
    /// The node that the settings ask for, on the sockets that could be had, and what has to run for it.
    pub(super) fn open(
        config: &EngineConfig,
        sockets: io::Result<Vec<UdpSocket>>,
        clock: Clock,
    ) -> (Self, Vec<Work>) {
        let Some(settings) = config.dht.clone() else {
            return (Self::None("the DHT is switched off".to_owned()), Vec::new());
        };
        match sockets.and_then(Port::new) {
            Ok(port) => {
                let number = port.addresses().first().map_or(0, SocketAddr::port);
                let (node, works) = DhtNode::on(&port, settings, config.state_dir.as_deref(), clock);
                (Self::Node(node, number), works)
            }
            Err(error) => {
                tracing::warn!(%error, "there is no DHT: its port cannot be bound for UDP");
                let why = format!("the DHT's port is not free for UDP: {error}; choose another with --port");
                (Self::None(why), Vec::new())
            }
        }
    }

    /// The port of the node, which peers are told.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Self::Node(_, port) => Some(*port),
            Self::None(_) => None,
        }
    }

    pub(super) fn node(&self) -> Option<&DhtNode> {
        if let Self::Node(node, _) = self { Some(node) } else { None }
    }

    /// The router says this of our port.
    pub(super) fn mapped(&self, mapping: &Mapping) {
        let Self::Node(node, _) = self else { return };
        node.set_public_port(mapping.external_port());
        if let Some(address) = mapping.external_address() {
            node.external_address(address.ip(), Teller::Router);
        }
    }

    /// A tracker sees us at `ip` (BEP 24). One that is near sees an address of the local network.
    pub(super) fn seen_by_tracker(&self, ip: IpAddr) {
        if let Self::Node(node, _) = self
            && AddrScope::of(ip) == AddrScope::Global
        {
            node.external_address(ip, Teller::Tracker);
        }
    }

    /// For user interfaces.
    pub(super) fn summary(&self) -> DhtSummary {
        match self {
            Self::Node(node, _) => node.summary(),
            Self::None(why) => DhtSummary {
                state: DiscoveryState::Off,
                message: Printable::new(why),
                ..DhtSummary::default()
            },
        }
    }

    /// What a torrent is told where there is no node: it hears nothing else of the DHT.
    pub(super) fn silence(&self) -> Option<SourceReport> {
        let Self::None(why) = self else { return None };
        let message = Printable::new(why);
        Some(SourceReport { source: PeerSource::Dht, state: DiscoveryState::Off, message, next_at: None })
    }

    /// What is said of a torrent.
    pub(super) fn tracked(&self, is_seed: bool) -> Tracked {
        Tracked { announce_port: self.port(), is_seed }
    }

    /// Looks for the peers of a torrent from now on, unless it is private (BEP 27), and asks the nodes that it names.
    pub(super) fn track(
        &self,
        metainfo: &Metainfo,
        is_seed: bool,
        inputs: &mpsc::UnboundedSender<Input>,
    ) -> Option<Tracking> {
        let Self::Node(node, _) = self else { return None };
        if metainfo.private() {
            return None;
        }
        let named = asked_of(metainfo.nodes());
        if !named.is_empty() {
            tokio::spawn(ask_named(node.clone(), named));
        }
        Some(node.track(metainfo.info_hash(), self.tracked(is_seed), inputs.clone()))
    }

    /// The same for a torrent of which only the info-hash is known; whether it is private its metadata will say.
    pub(super) fn track_hash(
        &self,
        info_hash: InfoHash,
        inputs: &mpsc::UnboundedSender<Input>,
    ) -> Option<Tracking> {
        let Self::Node(node, _) = self else { return None };
        Some(node.track(info_hash, self.tracked(false), inputs.clone()))
    }

    /// A peer says that it runs a node there.
    pub(super) fn add_node(&self, address: SocketAddr) {
        if let Self::Node(node, _) = self {
            node.add_node(addr::canonical(address));
        }
    }

    pub(super) async fn close(&self) {
        if let Self::Node(node, _) = self {
            node.close().await;
        }
    }
}

/// How many nodes the peer of one connection told of.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct NodesTold(u8);

impl NodesTold {
    /// Whether one more counts.
    pub(super) fn admits(&mut self) -> bool {
        let admits = self.0 < NODES_TOLD_MAX;
        self.0 += u8::from(admits);
        admits
    }
}

/// Those of the nodes that a torrent names which are asked.
fn asked_of(named: &[(String, u16)]) -> Vec<(String, u16)> {
    named.iter().take(NODES_OF_TORRENT_MAX).cloned().collect()
}

/// Asks the nodes that a torrent names (BEP 5). Whoever made it has no say over what is asked on this host, nor on the
/// networks that it is in: only who listens on a local address alone asks such.
async fn ask_named(node: DhtNode, named: Vec<(String, u16)>) {
    for (host, port) in named {
        let is_name = host.parse::<IpAddr>().is_err();
        if is_name && node.is_loopback() {
            continue;
        }
        if let Ok(Ok(found)) = timeout(NAME_TIME_MAX, lookup_host((host.as_str(), port))).await {
            let nearest = node.addresses().iter().map(|own| nearest_of(own.ip())).max();
            let may_ask = |address: &SocketAddr| may_be_named(nearest.unwrap_or(AddrScope::Global), *address);
            if let Some(address) = found.map(addr::canonical).find(may_ask) {
                node.add_node(address);
            }
        }
    }
}

/// The nearest that a torrent may name to whom listens on `ip`: an address of every network is one of the world.
fn nearest_of(ip: IpAddr) -> AddrScope {
    let scope = AddrScope::of(ip);
    if scope.is_local() { scope } else { AddrScope::Global }
}

fn may_be_named(nearest: AddrScope, address: SocketAddr) -> bool {
    addr::is_dialable(address) && AddrScope::of(address.ip()) >= nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_nodes_that_a_torrent_or_a_peer_names_few_are_asked() {
        let named: Vec<(String, u16)> = (1..500).map(|port| ("node.example".to_owned(), port)).collect();
        assert_eq!(asked_of(&named), named[..NODES_OF_TORRENT_MAX]);
        let mut told = NodesTold::default();
        assert_eq!((0..500).filter(|_| told.admits()).count(), usize::from(NODES_TOLD_MAX));
    }

    #[test]
    fn a_torrent_names_no_node_that_is_nearer_than_the_world() {
        let named = [
            "81.2.69.160:1",
            "192.168.1.1:53",
            "169.254.169.254:80",
            "127.0.0.1:9",
            "224.0.0.1:9",
            "8.8.8.8:0",
        ];
        for (own, asked) in
            [("0.0.0.0", 1), ("::", 1), ("81.2.69.161", 1), ("10.0.0.1", 2), ("127.0.0.1", 4), ("::1", 4)]
        {
            let nearest = nearest_of(own.parse().expect("an address"));
            let may = |text: &&&str| may_be_named(nearest, text.parse().expect("an address"));
            assert_eq!(named.iter().filter(may).count(), asked, "from {own}");
        }
    }
}
