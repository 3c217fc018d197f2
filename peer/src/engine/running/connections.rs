//! The connections of a running torrent: how each is dialled, opened and counted.

use std::net::SocketAddr;

use bytes::BytesMut;
use potluck_common::Instant;
use potluck_core::{
    PeerKey,
    session::{
        Blame, CloseReason, Direction, Extensions, Session, SessionCommand, SessionConfig, SessionEvent,
    },
    torrent::Input,
};
use tokio::{net::TcpStream, sync::mpsc};

use super::Running;
use crate::{
    engine::{
        Counted,
        discovery::NodesTold,
        guard::{DEFECT, guarded},
        status::Payload,
    },
    net::{metadata_task::HandedOver, peer_task::PeerTask},
};

/// Most pieces that are told one by one to a peer that was told that we have none.
const CONTINUED_PIECES_MAX: u32 = 1_000;

/// How to reach the task of a connection.
pub(super) struct Link {
    pub(super) commands: mpsc::UnboundedSender<Vec<SessionCommand>>,
    remote: SocketAddr,
    /// How often it told of a DHT node.
    nodes_told: NodesTold,
    /// Once it is past its handshake.
    counted: Option<Counted>,
}

impl Running {
    pub(super) fn connected(
        &mut self,
        now: Instant,
        stream: TcpStream,
        remote: SocketAddr,
        direction: Direction,
        since: Instant,
        received: BytesMut,
    ) {
        let config = self.session_config(remote, direction);
        let session = Session::new(config, &self.machine.offered(), since);
        self.open_session(now, stream, remote, direction, session, received);
    }

    /// A connection that was opened before the metadata was known.
    pub(super) fn goes_on(&mut self, now: Instant, handed: HandedOver) {
        let HandedOver { stream, remote, direction, received } = handed;
        let offered = self.machine.offered();
        // Each piece takes a message then: one that has many is told anew, over another connection.
        if offered.count() <= CONTINUED_PIECES_MAX {
            let config = self.session_config(remote, direction);
            let session = Session::continued(config, &offered, now);
            self.open_session(now, stream, remote, direction, session, received);
        }
    }

    fn session_config(&self, remote: SocketAddr, direction: Direction) -> SessionConfig {
        let shared = &self.base.shared;
        let listen_port = Some(shared.port_for(remote.ip()));
        SessionConfig {
            info_hash: self.base.params.metainfo.info_hash(),
            peer_id: shared.peer_id,
            direction,
            remote,
            geometry: self.base.params.metainfo.geometry(),
            listen_port,
            client: concat!("Potluck ", env!("CARGO_PKG_VERSION")),
            upload_only: self.machine.is_upload_only(),
            private: self.base.params.metainfo.private(),
            extensions: Extensions {
                metadata: Some(self.base.params.metainfo.info()),
                pex: shared.config.pex,
                dht_port: shared.dht_port_for(remote.ip()),
            },
        }
    }

    fn open_session(
        &mut self,
        now: Instant,
        stream: TcpStream,
        remote: SocketAddr,
        direction: Direction,
        session: Session,
        received: BytesMut,
    ) {
        let shared = &self.base.shared;
        let key = shared.next_peer();
        let (commands, receiver) = mpsc::unbounded_channel();
        if direction == Direction::Incoming {
            shared.handshakes.begun(key, remote.ip(), commands.clone());
        }
        self.sessions.insert(key, Link { commands, remote, nodes_told: NodesTold::default(), counted: None });
        self.machine.handle(now, Input::PeerConnected { peer: key, address: remote, direction });
        let task = Box::new(PeerTask::new(key, self.context.clone(), stream, session, received, receiver));
        let reports = self.context.reports.clone();
        shared.spawn(async move {
            if guarded("connection", task.run()).await.is_none() {
                let closed = SessionEvent::Closed(CloseReason::new(Blame::Local, DEFECT));
                reports.tell(key, vec![closed], Vec::new()).await;
            }
        });
    }

    /// Keeps the engine's counts: of peers past their handshake (the others are bounded by their torrent), and of what was sent.
    pub(super) fn count(&mut self, now: Instant, peer: PeerKey, events: &[SessionEvent]) {
        let payload = Payload::of(events);
        self.base.shared.traffic.count(now, payload);
        self.slots.count_sent(payload.up);
        let told = |wanted: fn(&SessionEvent) -> bool| events.iter().any(wanted);
        if told(|event| matches!(event, SessionEvent::Handshaken { .. }))
            && let Some(link) = self.sessions.get_mut(&peer)
        {
            self.base.shared.handshakes.complete(peer);
            link.counted = Some(Counted::new(&self.base.shared));
        }
        for event in events {
            if let (SessionEvent::DhtPort(port), Some(link)) = (event, self.sessions.get_mut(&peer))
                && link.nodes_told.admits()
            {
                self.base.shared.dht.add_node(SocketAddr::new(link.remote.ip(), *port));
            }
        }
        if told(|event| matches!(event, SessionEvent::Closed(_))) {
            self.sessions.remove(&peer);
        }
    }

    pub(super) fn dial(&mut self, address: SocketAddr) {
        if self.base.shared.is_full() {
            let now = self.now();
            return self.machine.handle(now, Input::DialPostponed(address));
        }
        self.base.shared.dial(address, self.base.message_sender.clone());
    }
}
