//! From bytes to a message.

use std::net::{IpAddr, SocketAddr};

use super::{
    Body, CompactNodes, CompactPeers, DATAGRAM_BYTES_READ_MAX, DEPTH_MAX, KrpcError, Message, NodeId, Query,
    Response, TOKEN_BYTES_MAX, TOKENS_MAX, TRANSACTION_BYTES_MAX, Want,
};
use crate::{
    InfoHash,
    bencode::{self, Dict, Limits, Node},
};

const LIMITS: Limits = Limits::lenient(DEPTH_MAX, TOKENS_MAX, DATAGRAM_BYTES_READ_MAX);

impl<'b> Message<'b> {
    /// Reads a datagram. Bytes after the end of the message are ignored.
    pub fn decode(datagram: &'b [u8]) -> Result<Self, KrpcError<'b>> {
        let (document, _) = bencode::parse_prefix(datagram, &LIMITS).map_err(KrpcError::Bencode)?;
        let root = Fields::of(document.root().as_dict().ok_or(KrpcError::NoTransaction)?);
        let transaction = root.bytes(b"t").filter(|t| t.len() <= TRANSACTION_BYTES_MAX);
        let transaction = transaction.ok_or(KrpcError::NoTransaction)?;
        let kind = match root.bytes(b"y") {
            Some([kind]) => *kind,
            // Not all write it; which of the bodies is there says the same.
            _ => *b"qre".iter().find(|key| root.get(&[**key]).is_some()).ok_or(KrpcError::NoBody)?,
        };
        let body = match kind {
            b'q' => query(&root).map_err(|missing| KrpcError::Query { transaction, missing })?,
            b'r' => Body::Response(response(&root)?),
            b'e' => error(&root),
            _ => return Err(KrpcError::NoBody),
        };
        Ok(Self {
            transaction,
            version: root.bytes(b"v"),
            ip: root.bytes(b"ip").and_then(endpoint),
            read_only: root.flag(b"ro"),
            body,
        })
    }
}

/// A dictionary of which fields are taken; what is of another kind than it should be is as good as absent.
struct Fields<'d, 'b>(Dict<'d, 'b>);

impl<'d, 'b> Fields<'d, 'b> {
    fn of(dict: Dict<'d, 'b>) -> Self {
        Self(dict)
    }

    fn get(&self, key: &[u8]) -> Option<Node<'d, 'b>> {
        self.0.get(key)
    }

    fn bytes(&self, key: &[u8]) -> Option<&'b [u8]> {
        self.get(key)?.as_bytes()
    }

    fn int(&self, key: &[u8]) -> Option<i64> {
        self.get(key)?.as_int()
    }

    fn flag(&self, key: &[u8]) -> bool {
        self.int(key).is_some_and(|value| value != 0)
    }

    fn id(&self, key: &[u8]) -> Option<NodeId> {
        NodeId::from_slice(self.bytes(key)?)
    }

    /// A list of flags (BEP 32), or one of them alone.
    fn want(&self) -> Want {
        let mut want = Want::DEFAULT;
        let Some(node) = self.get(b"want") else { return want };
        let listed = node.as_list().into_iter().flat_map(|list| list.iter());
        for flag in listed.chain([node]).filter_map(|flag| flag.as_bytes()) {
            want.ipv4 |= flag == b"n4";
            want.ipv6 |= flag == b"n6";
        }
        want
    }
}

fn query<'b>(root: &Fields<'_, 'b>) -> Result<Body<'b>, &'static str> {
    let method = root.bytes(b"q").ok_or("a method")?;
    let arguments = root.get(b"a").and_then(|node| node.as_dict()).ok_or("arguments")?;
    let arguments = Fields::of(arguments);
    let id = arguments.id(b"id").ok_or("an id of 20 bytes")?;
    let info_hash = || arguments.id(b"info_hash").ok_or("an info_hash of 20 bytes").map(|id| InfoHash(id.0));
    let want = arguments.want();
    let query = match method {
        b"ping" => Query::Ping,
        b"find_node" => {
            Query::FindNode { target: arguments.id(b"target").ok_or("a target of 20 bytes")?, want }
        }
        b"get_peers" => {
            Query::GetPeers { info_hash: info_hash()?, want, no_seeds: arguments.flag(b"noseed") }
        }
        b"announce_peer" => {
            let implied_port = arguments.flag(b"implied_port");
            let port = arguments.int(b"port").and_then(|port| u16::try_from(port).ok());
            let port = match port {
                None | Some(0) if implied_port => 0,
                None | Some(0) => return Err("a port"),
                Some(port) => port,
            };
            let token = arguments.bytes(b"token").ok_or("a token")?;
            let seed = arguments.flag(b"seed");
            Query::AnnouncePeer { info_hash: info_hash()?, port, implied_port, token, seed }
        }
        _ => {
            let target = arguments.id(b"target").or_else(|| arguments.id(b"info_hash"));
            Query::Other { method, target, want }
        }
    };
    Ok(Body::Query { id, query })
}

fn response<'b>(root: &Fields<'_, 'b>) -> Result<Response<'b>, KrpcError<'static>> {
    let values = root.get(b"r").and_then(|node| node.as_dict()).ok_or(KrpcError::NoBody)?;
    let values = Fields::of(values);
    let id = values.id(b"id").ok_or(KrpcError::NoId)?;
    Ok(Response {
        id,
        nodes: CompactNodes::v4(values.bytes(b"nodes").unwrap_or_default()),
        nodes6: CompactNodes::v6(values.bytes(b"nodes6").unwrap_or_default()),
        peers: values.get(b"values").map(|list| CompactPeers::of_list(list.span())).unwrap_or_default(),
        token: values.bytes(b"token").filter(|token| token.len() <= TOKEN_BYTES_MAX),
    })
}

/// A number and words, in a list; whatever of them is there.
fn error<'b>(root: &Fields<'_, 'b>) -> Body<'b> {
    let node = root.get(b"e");
    let listed = || node.and_then(|node| node.as_list()).into_iter().flat_map(|list| list.iter()).chain(node);
    let code = listed().find_map(|node| node.as_int()).unwrap_or_default();
    let text = listed().find_map(|node| node.as_bytes()).unwrap_or_default();
    Body::Error { code, text }
}

/// An address with a port, or without.
fn endpoint(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = match bytes.len() {
        4 | 16 => (bytes, 0),
        6 | 18 => {
            let (ip, port) = bytes.split_last_chunk::<2>()?;
            (ip, u16::from_be_bytes(*port))
        }
        _ => return None,
    };
    let ip = match ip.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(ip).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?).to_canonical(),
    };
    Some(SocketAddr::new(ip, port))
}
