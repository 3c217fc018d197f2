//! Operations on one DHT node, as a network that lies could do them: it sends nothing that cannot be read, nothing too
//! long, no more to a stranger than it may, and every search ends.

use std::{collections::VecDeque, net::SocketAddr};

use arbitrary::{Result, Unstructured};
use potluck_common::{
    Duration, InfoHash, Instant,
    krpc::{
        Body, CompactNodes, DATAGRAM_BYTES_MAX, Message, NodeId, NodeInfo, PeerList, Query, Response, Want,
        write_nodes,
    },
};
use potluck_core::dht::{Dht, DhtConfig, DhtEffect, DhtInput, LookupId, Tracked};

/// Operations of one run, so that none takes long.
const STEPS_MAX: usize = 200;

/// Questions of the node that are remembered, to be answered.
const QUESTIONS_MAX: usize = 64;

/// Takes operations from `bytes` until they end.
pub fn run(bytes: &[u8]) {
    let mut choices = Unstructured::new(bytes);
    // What is left when the bytes end is no operation.
    let _ = history(&mut choices);
}

fn history(choices: &mut Unstructured<'_>) -> Result<()> {
    let mut network = Network::new(choices)?;
    for _ in 0..STEPS_MAX {
        if choices.is_empty() {
            break;
        }
        network.step(choices)?;
        network.drain();
    }
    network.end();
    Ok(())
}

/// One node, and what surrounds it.
struct Network {
    node: Dht,
    now: Instant,
    /// What it asked, and whom.
    questions: VecDeque<(SocketAddr, Vec<u8>)>,
    lookups: u64,
    ended: u64,
}

impl Network {
    fn new(choices: &mut Unstructured<'_>) -> Result<Self> {
        let bootstrap = (0..choices.int_in_range(0..=3)?).map(|_| addr(choices)).collect::<Result<_>>()?;
        let config = DhtConfig {
            ipv6: choices.arbitrary()?,
            read_only: choices.ratio(1, 8)?,
            bootstrap,
            searches_max: choices.int_in_range(0..=6)?,
            torrents_stored_max: 4,
            peers_stored_max: 3,
            peers_stored_total_max: 8,
            ..DhtConfig::default()
        };
        let now = Instant::from_secs(1);
        let node = Dht::new(config, choices.arbitrary()?, now);
        Ok(Self { node, now, questions: VecDeque::new(), lookups: 0, ended: 0 })
    }

    fn step(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let input = match choices.int_in_range(0..=15)? {
            0..=3 => {
                self.pass(Duration::from_millis(choices.int_in_range(0..=60_000)?));
                return Ok(());
            }
            4..=7 => match self.questions.pop_front() {
                Some((from, question)) => {
                    let payload = answer(&question, choices)?.into();
                    DhtInput::Datagram { from, payload }
                }
                None => return Ok(()),
            },
            8 | 9 => DhtInput::Datagram { from: addr(choices)?, payload: query(choices)?.into() },
            10 => {
                let length = choices.int_in_range(0..=80)?;
                DhtInput::Datagram { from: addr(choices)?, payload: choices.bytes(length)?.to_vec().into() }
            }
            11 => {
                let announce_port = choices.arbitrary()?;
                DhtInput::Track(info_hash(choices)?, Tracked { announce_port, is_seed: choices.arbitrary()? })
            }
            12 if choices.arbitrary()? => DhtInput::Untrack(info_hash(choices)?),
            12 => DhtInput::Hurry(info_hash(choices)?),
            13 => {
                self.lookups += 1;
                DhtInput::Lookup(LookupId(self.lookups), info_hash(choices)?)
            }
            14 => match choices.int_in_range(0..=3)? {
                0 => DhtInput::Unreachable(addr(choices)?),
                1 => DhtInput::Network(choices.arbitrary()?),
                2 => DhtInput::ExternalAddress(addr(choices)?.ip()),
                _ => DhtInput::Node(addr(choices)?),
            },
            _ => DhtInput::Bootstrap(vec![addr(choices)?, addr(choices)?]),
        };
        self.node.handle(self.now, input);
        Ok(())
    }

    /// Lets time pass.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.node.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.node.handle_timeout(self.now);
            self.drain();
            assert!(self.node.poll_timeout().is_none_or(|again| again > self.now), "time that has passed");
        }
        self.now = end;
    }

    fn drain(&mut self) {
        self.node.assert_invariants();
        while let Some(effect) = self.node.poll_effect() {
            match effect {
                DhtEffect::Send { to, payload } => {
                    assert!(to.port() != 0 && payload.len() <= DATAGRAM_BYTES_MAX);
                    let message = Message::decode(&payload).expect("what is sent can be read");
                    if matches!(message.body, Body::Query { .. }) {
                        self.questions.push_back((to, payload));
                        self.questions.truncate(QUESTIONS_MAX);
                    }
                }
                DhtEffect::Searched { lookup: Some(_), .. } => self.ended += 1,
                DhtEffect::Searched { .. } | DhtEffect::Peers { .. } => {}
            }
        }
    }

    /// Nobody answers any more: whatever was begun ends.
    fn end(&mut self) {
        self.pass(Duration::from_secs(600));
        assert_eq!(self.ended, self.lookups, "every lookup ends once");
    }
}

fn addr(choices: &mut Unstructured<'_>) -> Result<SocketAddr> {
    let host = choices.int_in_range(1..=40)?;
    let port = choices.int_in_range(0..=3)?;
    Ok(match choices.int_in_range(0..=3)? {
        0 => SocketAddr::from(([10, 0, 0, host], port)),
        1 => SocketAddr::from(([50, host, 0, 1], port)),
        2 => SocketAddr::from(([60, 1, 1, host], port)),
        _ => SocketAddr::from(([0x2606, u16::from(host), 0, 0, 0, 0, 0, 1], port)),
    })
}

fn info_hash(choices: &mut Unstructured<'_>) -> Result<InfoHash> {
    Ok(InfoHash([choices.int_in_range(0..=9)?; 20]))
}

/// An id that is close to others, or anywhere.
fn id(choices: &mut Unstructured<'_>) -> Result<NodeId> {
    let mut id = [choices.int_in_range(0..=9)?; 20];
    id[choices.int_in_range(0..=19)?] ^= choices.arbitrary::<u8>()?;
    Ok(NodeId(id))
}

fn query(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let (info_hash, want) =
        (info_hash(choices)?, Want { ipv4: choices.arbitrary()?, ipv6: choices.arbitrary()? });
    let token: [u8; 8] = choices.arbitrary()?;
    let query = match choices.int_in_range(0..=4)? {
        0 => Query::Ping,
        1 => Query::FindNode { target: id(choices)?, want },
        2 => Query::GetPeers { info_hash, want, no_seeds: choices.arbitrary()? },
        3 => Query::AnnouncePeer { info_hash, port: 7, implied_port: false, token: &token, seed: false },
        _ => Query::Other { method: b"vote", target: None, want },
    };
    let body = Body::Query { id: id(choices)?, query };
    let read_only = choices.ratio(1, 4)?;
    Ok(Message { transaction: b"fz", version: None, ip: None, read_only, body }.encode())
}

fn answer(question: &[u8], choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let question = Message::decode(question).expect("it was read before");
    let (mut nodes, mut nodes6, mut peers) = (Vec::new(), Vec::new(), PeerList::default());
    for _ in 0..choices.int_in_range(0..=9)? {
        let node = NodeInfo { id: id(choices)?, addr: addr(choices)? };
        write_nodes(&mut nodes, potluck_common::announce::Family::V4, [node]);
        write_nodes(&mut nodes6, potluck_common::announce::Family::V6, [node]);
        peers.push(node.addr);
    }
    let response = Response {
        id: id(choices)?,
        nodes: CompactNodes::v4(&nodes),
        nodes6: CompactNodes::v6(&nodes6),
        peers: peers.as_peers(),
        token: choices.arbitrary::<bool>()?.then_some(b"token"),
    };
    let body =
        if choices.ratio(1, 10)? { Body::Error { code: 201, text: b"no" } } else { Body::Response(response) };
    let ip = Some(SocketAddr::from(([70, 1, 1, choices.int_in_range(1..=2)?], 1)));
    Ok(Message { transaction: question.transaction, version: None, ip, read_only: false, body }.encode())
}
