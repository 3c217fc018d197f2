//! Messages as values, and their encoding.

use bytes::{BufMut, Bytes, BytesMut};

use crate::geometry::{BlockSpan, Geometry};

/// Message ids (BEP 3, 5, 6, 10).
pub(super) mod id {
    pub(crate) const CHOKE: u8 = 0;
    pub(crate) const UNCHOKE: u8 = 1;
    pub(crate) const INTERESTED: u8 = 2;
    pub(crate) const NOT_INTERESTED: u8 = 3;
    pub(crate) const HAVE: u8 = 4;
    pub(crate) const BITFIELD: u8 = 5;
    pub(crate) const REQUEST: u8 = 6;
    pub(crate) const PIECE: u8 = 7;
    pub(crate) const CANCEL: u8 = 8;
    pub(crate) const PORT: u8 = 9;
    pub(crate) const SUGGEST: u8 = 13;
    pub(crate) const HAVE_ALL: u8 = 14;
    pub(crate) const HAVE_NONE: u8 = 15;
    pub(crate) const REJECT: u8 = 16;
    pub(crate) const ALLOWED_FAST: u8 = 17;
    pub(crate) const EXTENDED: u8 = 20;
}

/// The bytes of a piece message before its payload: length, id, piece, begin.
pub const PIECE_HEADER_BYTES: usize = 13;

/// The three integers of a REQUEST, CANCEL or REJECT as they stand on the wire, not yet checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RawSpan {
    /// The piece's number.
    pub piece: u32,
    /// Offset within the piece, in bytes.
    pub begin: u32,
    /// Length in bytes.
    pub length: u32,
}

impl RawSpan {
    /// The span, if it lies inside a piece of this torrent.
    pub fn mint(self, geometry: &Geometry) -> Option<BlockSpan> {
        geometry.span(self.piece, self.begin, self.length)
    }
}

impl From<BlockSpan> for RawSpan {
    fn from(span: BlockSpan) -> Self {
        Self { piece: span.piece.get(), begin: span.begin, length: span.length }
    }
}

/// One message after the handshake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Nothing; it only shows that the sender is alive (BEP 3).
    KeepAlive,
    /// The sender will not answer requests (BEP 3).
    Choke,
    /// The sender will answer requests (BEP 3).
    Unchoke,
    /// The sender wants something that the receiver has (BEP 3).
    Interested,
    /// The sender wants nothing (BEP 3).
    NotInterested,
    /// The sender has this piece now (BEP 3).
    Have(u32),
    /// The sender has the pieces whose bits are set (BEP 3).
    Bitfield(Bytes),
    /// The sender asks for a block (BEP 3).
    Request(RawSpan),
    /// A block (BEP 3).
    Piece {
        /// The piece's number.
        piece: u32,
        /// Offset of the block within the piece, in bytes.
        begin: u32,
        /// The block.
        payload: Bytes,
    },
    /// The sender no longer wants a block (BEP 3).
    Cancel(RawSpan),
    /// The UDP port of the sender's DHT node (BEP 5).
    Port(u16),
    /// The sender would like to give this piece (BEP 6).
    Suggest(u32),
    /// The sender has every piece (BEP 6).
    HaveAll,
    /// The sender has no piece (BEP 6).
    HaveNone,
    /// The sender will not answer this request (BEP 6).
    Reject(RawSpan),
    /// The sender answers requests for this piece even while it chokes (BEP 6).
    AllowedFast(u32),
    /// A message of an extension (BEP 10).
    Extended {
        /// Which one, as the receiver numbered them; 0 is the extended handshake.
        id: u8,
        /// What follows the id.
        payload: Bytes,
    },
    /// A message of a kind that is not known here; it was skipped.
    Unknown {
        /// Its id.
        id: u8,
    },
}

impl Message {
    /// Appends the message to `out`. Nothing is written for [`Message::Unknown`], which has no content.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::KeepAlive => out.put_u32(0),
            Self::Choke => put_bare(out, id::CHOKE),
            Self::Unchoke => put_bare(out, id::UNCHOKE),
            Self::Interested => put_bare(out, id::INTERESTED),
            Self::NotInterested => put_bare(out, id::NOT_INTERESTED),
            Self::Have(piece) => put_number(out, id::HAVE, *piece),
            Self::Bitfield(bits) => put_bytes(out, id::BITFIELD, &[], bits),
            Self::Request(span) => put_span(out, id::REQUEST, *span),
            Self::Piece { piece, begin, payload } => {
                out.put_slice(&header(*piece, *begin, payload.len() as u32));
                out.put_slice(payload);
            }
            Self::Cancel(span) => put_span(out, id::CANCEL, *span),
            Self::Port(port) => put_bytes(out, id::PORT, &[], &port.to_be_bytes()),
            Self::Suggest(piece) => put_number(out, id::SUGGEST, *piece),
            Self::HaveAll => put_bare(out, id::HAVE_ALL),
            Self::HaveNone => put_bare(out, id::HAVE_NONE),
            Self::Reject(span) => put_span(out, id::REJECT, *span),
            Self::AllowedFast(piece) => put_number(out, id::ALLOWED_FAST, *piece),
            Self::Extended { id, payload } => put_bytes(out, id::EXTENDED, &[*id], payload),
            Self::Unknown { .. } => {}
        }
    }
}

/// What precedes the payload of the piece message for `span`; payload and header can then be written in one
/// vectored write without copying the payload.
pub fn piece_header(span: BlockSpan) -> [u8; PIECE_HEADER_BYTES] {
    header(span.piece.get(), span.begin, span.length)
}

fn header(piece: u32, begin: u32, length: u32) -> [u8; PIECE_HEADER_BYTES] {
    let mut bytes = [0; PIECE_HEADER_BYTES];
    let mut rest = &mut bytes[..];
    rest.put_u32(9 + length);
    rest.put_u8(id::PIECE);
    rest.put_u32(piece);
    rest.put_u32(begin);
    bytes
}

fn put_bare(out: &mut BytesMut, id: u8) {
    put_bytes(out, id, &[], &[]);
}

fn put_number(out: &mut BytesMut, id: u8, number: u32) {
    put_bytes(out, id, &[], &number.to_be_bytes());
}

fn put_span(out: &mut BytesMut, id: u8, span: RawSpan) {
    out.reserve(17);
    out.put_u32(13);
    out.put_u8(id);
    out.put_u32(span.piece);
    out.put_u32(span.begin);
    out.put_u32(span.length);
}

fn put_bytes(out: &mut BytesMut, id: u8, prefix: &[u8], bytes: &[u8]) {
    let length = 1 + prefix.len() + bytes.len();
    out.reserve(4 + length);
    out.put_u32(length as u32);
    out.put_u8(id);
    out.put_slice(prefix);
    out.put_slice(bytes);
}
