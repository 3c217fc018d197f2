//! What the torrent is called, and the metadata by which that is known.

use bytes::Bytes;
use potluck_common::{
    InfoHash, Rng,
    bencode::encode_dict,
    hash::sha1,
    magnet::Magnet,
    metainfo::{Metainfo, MetainfoError},
};

use super::{payload::Payload, plan::Plan, sabotage::Sabotage};

/// The name of a torrent whose metadata nobody asks for.
const UNASKED: InfoHash = InfoHash([7; 20]);

/// The torrent's name on the wire, and its metadata where some must fetch it.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    pub(super) info_hash: InfoHash,
    /// The `info` dictionary.
    pub(super) info: Option<Bytes>,
}

impl Metadata {
    /// The metadata of a run's payload.
    pub(super) fn of(plan: &Plan, payload: &Payload) -> Self {
        let Some(metadata) = plan.beyond.metadata else { return Self { info_hash: UNASKED, info: None } };
        let mut padding = vec![0; metadata.padding];
        Rng::new(metadata.seed).fill(&mut padding);
        let geometry = payload.geometry;
        let hashes: Vec<u8> = geometry.iter().flat_map(|piece| sha1(&payload.piece(piece))).collect();
        let info = encode_dict(|out| {
            out.list(b"files", |out| {
                for (number, length) in plan.files.iter().enumerate() {
                    out.dict(|out| {
                        out.int(b"length", length.cast_signed());
                        out.list(b"path", |out| out.bytes(format!("file{number}").as_bytes()));
                    });
                }
            });
            out.bytes(b"name", b"wire");
            out.int(b"piece length", i64::from(geometry.piece_length()));
            out.bytes(b"pieces", &hashes);
            if plan.beyond.is_private {
                out.int(b"private", 1);
            }
            out.bytes(b"x-padding", &padding);
        });
        Self { info_hash: InfoHash(sha1(&info)), info: Some(info.into()) }
    }

    /// What whoever has it gives: itself, but for a defect on purpose.
    pub(super) fn served(&self, sabotage: Option<Sabotage>) -> Option<Bytes> {
        let breaks = matches!(sabotage, Some(Sabotage::BreaksMetadata | Sabotage::TakesAnyMetadata));
        let info = self.info.clone()?;
        if !breaks {
            return Some(info);
        }
        let mut wrong = info.to_vec();
        let last = wrong.len() - 1;
        wrong[last] ^= 0xff;
        Some(wrong.into())
    }

    /// The bytes that somebody took for the metadata, read as those of a torrent file.
    pub(super) fn read(&self, info: &[u8]) -> Result<Metainfo, MetainfoError> {
        let link = Magnet::new(Some(self.info_hash), None).expect("it has a hash");
        Metainfo::parse(&link.torrent_file(info))
    }
}
