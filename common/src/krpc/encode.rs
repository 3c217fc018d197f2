//! From a message to bytes.

use super::{Body, Message, Query, Response, Want};
use crate::{
    addr,
    bencode::{DictWriter, encode_dict},
};

impl Message<'_> {
    /// The datagram. Keys are in order and nothing is optional but what says so in its type.
    pub fn encode(&self) -> Vec<u8> {
        encode_dict(|out| {
            if let Body::Query { id, query } = &self.body {
                out.dict(b"a", |out| arguments(out, &id.0, query));
            }
            if let Body::Error { code, text } = &self.body {
                out.list(b"e", |out| {
                    out.int(*code);
                    out.bytes(text);
                });
            }
            if let Some(ip) = self.ip {
                let mut endpoint = Vec::with_capacity(18);
                addr::write_compact(&mut endpoint, addr::canonical(ip));
                out.bytes(b"ip", &endpoint);
            }
            if let Body::Query { query, .. } = &self.body {
                out.bytes(b"q", query.method());
            }
            if let Body::Response(response) = &self.body {
                out.dict(b"r", |out| values(out, response));
            }
            if self.read_only {
                out.int(b"ro", 1);
            }
            out.bytes(b"t", self.transaction);
            if let Some(version) = self.version {
                out.bytes(b"v", version);
            }
            out.bytes(b"y", self.body.kind());
        })
    }
}

impl Body<'_> {
    fn kind(&self) -> &'static [u8] {
        match self {
            Body::Query { .. } => b"q",
            Body::Response(_) => b"r",
            Body::Error { .. } => b"e",
        }
    }
}

impl Query<'_> {
    /// Its name on the wire.
    pub fn method(&self) -> &[u8] {
        match self {
            Self::Ping => b"ping",
            Self::FindNode { .. } => b"find_node",
            Self::GetPeers { .. } => b"get_peers",
            Self::AnnouncePeer { .. } => b"announce_peer",
            Self::Other { method, .. } => method,
        }
    }
}

fn arguments(out: &mut DictWriter<'_>, id: &[u8; 20], query: &Query<'_>) {
    out.bytes(b"id", id);
    match query {
        Query::Ping => {}
        Query::FindNode { target, want } => {
            out.bytes(b"target", &target.0);
            write_want(out, *want);
        }
        Query::GetPeers { info_hash, want, no_seeds } => {
            out.bytes(b"info_hash", &info_hash.0);
            if *no_seeds {
                out.int(b"noseed", 1);
            }
            write_want(out, *want);
        }
        Query::AnnouncePeer { info_hash, port, implied_port, token, seed } => {
            if *implied_port {
                out.int(b"implied_port", 1);
            }
            out.bytes(b"info_hash", &info_hash.0);
            out.int(b"port", i64::from(*port));
            if *seed {
                out.int(b"seed", 1);
            }
            out.bytes(b"token", token);
        }
        Query::Other { target, want, .. } => {
            if let Some(target) = target {
                out.bytes(b"target", &target.0);
            }
            write_want(out, *want);
        }
    }
}

fn write_want(out: &mut DictWriter<'_>, want: Want) {
    if want.is_default() {
        return;
    }
    out.list(b"want", |out| {
        if want.ipv4 {
            out.bytes(b"n4");
        }
        if want.ipv6 {
            out.bytes(b"n6");
        }
    });
}

fn values(out: &mut DictWriter<'_>, response: &Response<'_>) {
    out.bytes(b"id", &response.id.0);
    if !response.nodes.is_empty() {
        out.bytes(b"nodes", response.nodes.as_bytes());
    }
    if !response.nodes6.is_empty() {
        out.bytes(b"nodes6", response.nodes6.as_bytes());
    }
    if let Some(token) = response.token {
        out.bytes(b"token", token);
    }
    if !response.peers.is_empty() {
        let list = [b"l", response.peers.strings(), b"e"].concat();
        out.raw(b"values", &list);
    }
}
