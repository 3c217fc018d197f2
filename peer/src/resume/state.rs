//! What is remembered of one torrent in one folder, and how it is written down.
//!
//! A line that names the format and its version, the SHA-256 of the rest, and a bencoded dictionary. Whatever is not
//! exactly that is refused as a whole: half a state is none.

use std::net::SocketAddr;

use potluck_common::{
    Bitfield, Geometry, InfoHash,
    addr::{compact_v4, compact_v6, write_compact},
    bencode::{self, BencodeError, Limits, ListWriter, Node},
    hash::sha256,
    limits::FILES_MAX,
};
use thiserror::Error;

use crate::disk::FileStamp;

/// What every state begins with. The number is the version.
const MAGIC: &[u8] = b"potluck resume state 1\n";
const DIGEST_LENGTH: usize = 32;

/// More than a state of the largest torrent takes: three bitfields of 256 KiB, and 70 bytes a file.
pub(super) const STATE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most peers remembered.
pub(super) const PEERS_MAX: usize = 50;

/// Three levels, and at most four values a file beside the peers and the dozen of the dictionary.
const LIMITS: Limits = Limits::lenient(3, 4 * FILES_MAX + PEERS_MAX + 32, STATE_BYTES_MAX).strict();

/// What is remembered of one torrent in one folder.
///
/// Invariants: `have` is part of `known`; all data of the pieces in `have` was durable before this was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResumeState {
    /// Which torrent.
    pub info_hash: InfoHash,
    /// Counts the states written; the larger of two is the newer.
    pub generation: u64,
    /// The pieces that are there.
    pub have: Bitfield,
    /// The pieces of which is known whether they are there; the others are still to be checked.
    pub known: Bitfield,
    /// The pieces that were there once and are not, or not for sure: by them the data of a finished torrent is missed
    /// also after a check of it that was interrupted.
    pub once: Bitfield,
    /// One mark a file, in the order of the torrent; padding is [`FileMark::Absent`].
    pub files: Vec<FileMark>,
    /// Payload received in all runs, in bytes.
    pub downloaded: u64,
    /// Payload sent in all runs, in bytes.
    pub uploaded: u64,
    /// Where peers were met, the best first; at most 50. They are no more than somebody's word: whoever reads
    /// them judges them as any others. States of earlier versions have none.
    pub peers: Vec<SocketAddr>,
}

/// What is remembered of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileMark {
    /// It did not exist.
    Absent,
    /// It was like this, and Potluck has not written to it since.
    Settled(FileStamp),
    /// Potluck may have written to it since.
    Writing(Written),
}

/// What is remembered of a file that Potluck may have written to since.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// What it was like: it has become no shorter and no older since.
    pub stamp: FileStamp,
    /// Until when Potluck may have written to it without another word, in nanoseconds since 1970;
    /// [`FileStamp::UNKNOWN`] if that is not known. What was written later, somebody else wrote.
    pub until_ns: i64,
}

/// Why bytes are no state of the torrent.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum StateError {
    /// It does not begin as one.
    #[error("it is no resume state of this version")]
    NotAState,
    /// It was damaged.
    #[error("its checksum does not hold")]
    Checksum,
    /// The checksum holds, and yet it cannot be read.
    #[error("it is malformed: {0}")]
    Bencode(#[from] BencodeError),
    /// A value is missing or makes no sense.
    #[error("its {0} makes no sense")]
    Field(&'static str),
    /// It is of another torrent.
    #[error("it belongs to another torrent")]
    OtherTorrent,
}

impl ResumeState {
    /// Nothing is known of a torrent of so many pieces and files.
    pub(crate) fn unknown(info_hash: InfoHash, pieces: u32, files: usize) -> Self {
        Self {
            info_hash,
            generation: 0,
            have: Bitfield::empty(pieces),
            known: Bitfield::empty(pieces),
            once: Bitfield::empty(pieces),
            files: vec![FileMark::Absent; files],
            downloaded: 0,
            uploaded: 0,
            peers: Vec::new(),
        }
    }

    /// The pieces `have` are there from now on.
    pub(super) fn set_have(&mut self, have: &Bitfield, geometry: &Geometry) {
        for piece in self.have.iter_difference(have, geometry) {
            self.once.insert(piece);
        }
        for piece in have.iter(geometry) {
            self.once.remove(piece);
        }
        self.have = have.clone();
    }

    /// Its encoding.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let body = bencode::encode_dict(|dict| {
            dict.int(b"downloaded", clamp(self.downloaded));
            dict.list(b"files", |list| self.files.iter().for_each(|mark| write_mark(*mark, list)));
            dict.int(b"generation", clamp(self.generation));
            dict.bytes(b"have", self.have.as_wire());
            dict.bytes(b"info_hash", self.info_hash.as_bytes());
            dict.bytes(b"known", self.known.as_wire());
            if !self.once.is_empty() {
                dict.bytes(b"once", self.once.as_wire());
            }
            if !self.peers.is_empty() {
                dict.list(b"peers", |list| self.peers.iter().for_each(|peer| write_peer(*peer, list)));
            }
            dict.int(b"uploaded", clamp(self.uploaded));
        });
        [MAGIC, &sha256(&body), &body].concat()
    }

    /// Reads the state of the torrent `info_hash` with so many pieces and files.
    pub(crate) fn decode(
        bytes: &[u8],
        info_hash: InfoHash,
        pieces: u32,
        files: usize,
    ) -> Result<Self, StateError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(StateError::NotAState)?;
        let (digest, body) = rest.split_at_checked(DIGEST_LENGTH).ok_or(StateError::Checksum)?;
        if sha256(body) != digest {
            return Err(StateError::Checksum);
        }
        let document = bencode::parse(body, &LIMITS)?;
        let root = document.root();
        if root.get(b"info_hash").and_then(|node| node.as_bytes()) != Some(info_hash.as_bytes()) {
            return Err(StateError::OtherTorrent);
        }
        let state = Self {
            info_hash,
            generation: number(root, "generation")?,
            have: bitfield(root, "have", pieces)?,
            known: bitfield(root, "known", pieces)?,
            once: match root.get(b"once") {
                Some(_) => bitfield(root, "once", pieces)?,
                None => Bitfield::empty(pieces),
            },
            files: marks(root, files)?,
            downloaded: number(root, "downloaded")?,
            uploaded: number(root, "uploaded")?,
            peers: match root.get(b"peers") {
                Some(list) => peers(list)?,
                None => Vec::new(),
            },
        };
        if state.have.count_difference(&state.known) > 0 {
            return Err(StateError::Field("have"));
        }
        Ok(state)
    }
}

fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The kind of a mark is told by how many numbers it has.
fn write_mark(mark: FileMark, list: &mut ListWriter<'_>) {
    list.list(|numbers| match mark {
        FileMark::Absent => {}
        FileMark::Settled(stamp) => {
            numbers.int(clamp(stamp.length));
            numbers.int(stamp.modified_ns);
        }
        FileMark::Writing(Written { stamp, until_ns }) => {
            numbers.int(clamp(stamp.length));
            numbers.int(stamp.modified_ns);
            numbers.int(until_ns);
        }
    });
}

fn read_mark(node: Node<'_, '_>) -> Option<FileMark> {
    let numbers: Option<Vec<i64>> = node.as_list()?.iter().map(|number| number.as_int()).collect();
    let stamp = |length: i64, modified_ns| Some(FileStamp { length: length.try_into().ok()?, modified_ns });
    Some(match numbers?[..] {
        [] => FileMark::Absent,
        [length, modified_ns] => FileMark::Settled(stamp(length, modified_ns)?),
        [length, modified_ns, until_ns] => {
            FileMark::Writing(Written { stamp: stamp(length, modified_ns)?, until_ns })
        }
        _ => return None,
    })
}

fn marks(root: Node<'_, '_>, files: usize) -> Result<Vec<FileMark>, StateError> {
    let list = root.get(b"files").and_then(|node| node.as_list());
    let marks: Option<Vec<_>> = list.and_then(|list| list.iter().map(read_mark).collect());
    marks.filter(|marks| marks.len() == files).ok_or(StateError::Field("files"))
}

fn write_peer(peer: SocketAddr, list: &mut ListWriter<'_>) {
    let mut compact = Vec::with_capacity(18);
    write_compact(&mut compact, peer);
    list.bytes(&compact);
}

fn read_peer(node: Node<'_, '_>) -> Option<SocketAddr> {
    let bytes = node.as_bytes()?;
    match bytes.len() {
        6 => compact_v4(bytes)?.next(),
        _ => compact_v6(bytes)?.next(),
    }
}

fn peers(list: Node<'_, '_>) -> Result<Vec<SocketAddr>, StateError> {
    let peers: Option<Vec<_>> = list.as_list().and_then(|list| list.iter().map(read_peer).collect());
    peers.filter(|peers| peers.len() <= PEERS_MAX).ok_or(StateError::Field("peers"))
}

fn number(root: Node<'_, '_>, key: &'static str) -> Result<u64, StateError> {
    let value = root.get(key.as_bytes()).and_then(|node| node.as_int());
    value.and_then(|value| value.try_into().ok()).ok_or(StateError::Field(key))
}

fn bitfield(root: Node<'_, '_>, key: &'static str, pieces: u32) -> Result<Bitfield, StateError> {
    let payload = root.get(key.as_bytes()).and_then(|node| node.as_bytes());
    payload.and_then(|payload| Bitfield::from_wire(payload, pieces)).ok_or(StateError::Field(key))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    const HASH: InfoHash = InfoHash([7; 20]);

    fn mark() -> impl Strategy<Value = FileMark> {
        let length = 0..=i64::MAX.unsigned_abs();
        prop_oneof![
            Just(FileMark::Absent),
            (length.clone(), any::<i64>(), any::<i64>()).prop_map(|(length, modified_ns, until_ns)| {
                FileMark::Writing(Written { stamp: FileStamp { length, modified_ns }, until_ns })
            }),
            (length, any::<i64>())
                .prop_map(|(length, modified_ns)| FileMark::Settled(FileStamp { length, modified_ns })),
        ]
    }

    fn state() -> impl Strategy<Value = ResumeState> {
        let pieces = prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 0..100);
        let count = 0..=i64::MAX.unsigned_abs();
        let peer = (any::<u128>(), any::<u16>(), any::<bool>()).prop_map(|(ip, port, is_v4)| {
            let ip: IpAddr = if is_v4 { (ip as u32).to_be_bytes().into() } else { ip.to_be_bytes().into() };
            SocketAddr::new(ip.to_canonical(), port)
        });
        let peers = prop::collection::vec(peer, 0..=PEERS_MAX);
        (pieces, prop::collection::vec(mark(), 0..9), count.clone(), count.clone(), count, peers).prop_map(
            |(pieces, files, generation, downloaded, uploaded, peers)| {
                let count = pieces.len() as u32;
                let geometry = Geometry::new(u64::from(count), 1).expect("valid");
                let mut state = ResumeState::unknown(HASH, count, files.len());
                for (piece, (known, have, once)) in geometry.iter().zip(pieces) {
                    if known {
                        state.known.insert(piece);
                    }
                    if known && have {
                        state.have.insert(piece);
                    }
                    if once && !(known && have) {
                        state.once.insert(piece);
                    }
                }
                ResumeState { generation, files, downloaded, uploaded, peers, ..state }
            },
        )
    }

    fn decode(bytes: &[u8], like: &ResumeState) -> Result<ResumeState, StateError> {
        ResumeState::decode(bytes, like.info_hash, like.have.pieces(), like.files.len())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(state in state()) {
            prop_assert_eq!(decode(&state.encode(), &state), Ok(state));
        }

        #[test]
        fn nothing_else_is(state in state(), at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<prop::sample::Index>()) {
            let whole = state.encode();
            let mut flipped = whole.clone();
            *at.get_mut(&mut flipped) ^= 1 << bit;
            prop_assert!(decode(&flipped, &state).is_err());
            prop_assert!(decode(&whole[..cut.index(whole.len())], &state).is_err());
            prop_assert!(decode(&[&whole[..], b"e"].concat(), &state).is_err());
        }

        #[test]
        fn a_checksum_that_holds_excuses_nothing(body: Vec<u8>, pieces in 0u32..40, files in 0usize..4) {
            let bytes = [MAGIC, &sha256(&body), &body].concat();
            prop_assert!(ResumeState::decode(&bytes, HASH, pieces, files).is_err());
        }
    }

    #[test]
    fn a_state_that_contradicts_itself_or_the_torrent_is_refused() {
        let state = ResumeState::unknown(HASH, 9, 2);
        let other = InfoHash([8; 20]);
        assert_eq!(ResumeState::decode(&state.encode(), other, 9, 2), Err(StateError::OtherTorrent));
        assert_eq!(ResumeState::decode(&state.encode(), HASH, 17, 2), Err(StateError::Field("have")));
        assert_eq!(ResumeState::decode(&state.encode(), HASH, 9, 3), Err(StateError::Field("files")));
        let boastful = ResumeState { have: Bitfield::full(9), ..state.clone() };
        assert_eq!(decode(&boastful.encode(), &boastful), Err(StateError::Field("have")));
        let crowded = ResumeState { peers: vec![([9, 9, 9, 9], 9).into(); PEERS_MAX + 1], ..state.clone() };
        assert_eq!(decode(&crowded.encode(), &crowded), Err(StateError::Field("peers")));
        assert_eq!(decode(b"", &boastful), Err(StateError::NotAState));
        assert_eq!(decode(b"potluck resume state 2\n", &boastful), Err(StateError::NotAState));
    }

    #[test]
    fn the_largest_torrent_fits() {
        let mut state = ResumeState::unknown(HASH, potluck_common::limits::PIECES_MAX, FILES_MAX);
        let stamp = FileStamp { length: potluck_common::limits::TOTAL_SIZE_MAX, modified_ns: i64::MIN };
        state.files.fill(FileMark::Writing(Written { stamp, until_ns: i64::MIN }));
        state.once = Bitfield::full(potluck_common::limits::PIECES_MAX);
        state.peers = vec![SocketAddr::new(IpAddr::from([0x26; 16]), 9); PEERS_MAX];
        let bytes = state.encode();
        assert!(bytes.len() <= STATE_BYTES_MAX, "{}", bytes.len());
        assert_eq!(decode(&bytes, &state), Ok(state));
    }
}
