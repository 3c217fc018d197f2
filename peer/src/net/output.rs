//! The bytes on their way out of one connection, written with as few system calls as possible.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

use bytes::{Buf, Bytes, BytesMut};
use potluck_common::BlockSpan;
use tokio::net::TcpStream;

/// Slices handed to one `writev`: headers and payloads of 16 blocks.
const SLICES_MAX: usize = 32;

/// Bytes queued for the socket before more blocks are added: what one `writev` takes, twice.
const BYTES_MAX: usize = 512 * 1024;
/// The same for a peer that we choke and that may have its allowed-fast pieces all the same: there may be hundreds.
const BYTES_MAX_CHOKED: usize = 64 * 1024;
/// The same in blocks and runs of control bytes, for a peer that asks for single bytes.
const CHUNKS_MAX: usize = 256;

#[derive(Debug)]
enum Chunk {
    Control(Bytes),
    Block {
        header: Bytes,
        payload: Bytes,
        span: BlockSpan,
        /// The payload is a view into a chunk of the cache.
        is_view: bool,
    },
}

/// An ordered queue of control bytes and blocks.
///
/// Invariant: `queued` is the number of bytes in `chunks`.
#[derive(Debug, Default)]
pub(super) struct Output {
    chunks: VecDeque<Chunk>,
    queued: usize,
    control_queued: usize,
    /// The peer is choked, and has room for little.
    is_choked: bool,
}

impl Output {
    /// Takes over what a session has to say.
    pub(super) fn push_control(&mut self, bytes: &mut BytesMut) {
        if !bytes.is_empty() {
            self.queued += bytes.len();
            self.control_queued += bytes.len();
            // Not split off, or the rest of the buffer would live as long as the connection.
            self.chunks.push_back(Chunk::Control(std::mem::take(bytes).freeze()));
        }
    }

    pub(super) fn push_block(&mut self, header: [u8; 13], payload: Bytes, span: BlockSpan) {
        self.queued += header.len() + payload.len();
        let header = Bytes::copy_from_slice(&header);
        self.chunks.push_back(Chunk::Block { header, payload, span, is_view: true });
    }

    /// Copies what waits, so that it holds no more memory than its own length.
    pub(super) fn compact(&mut self) {
        for chunk in &mut self.chunks {
            if let Chunk::Block { payload, is_view, .. } = chunk
                && std::mem::take(is_view)
            {
                *payload = Bytes::copy_from_slice(payload);
            }
        }
    }

    /// All bytes waiting.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Whether more blocks may be added.
    pub(super) fn has_room(&self) -> bool {
        let bytes_max = if self.is_choked { BYTES_MAX_CHOKED } else { BYTES_MAX };
        self.queued < bytes_max && self.chunks.len() < CHUNKS_MAX
    }

    pub(super) fn set_choked(&mut self, is_choked: bool) {
        self.is_choked = is_choked;
    }

    /// Bytes waiting that are not blocks: what a peer makes us say without reading it.
    pub(super) fn control_queued(&self) -> usize {
        self.control_queued
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Writes until the socket takes no more, and reports each block that went out whole, with whether it was still a
    /// view into the cache.
    pub(super) fn write(
        &mut self,
        stream: &TcpStream,
        mut sent: impl FnMut(BlockSpan, bool),
    ) -> io::Result<()> {
        while !self.chunks.is_empty() {
            let written = match stream.try_write_vectored(&self.slices()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.advance(written, &mut sent);
        }
        Ok(())
    }

    fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::with_capacity(SLICES_MAX);
        for chunk in &self.chunks {
            match chunk {
                Chunk::Control(bytes) => slices.push(IoSlice::new(bytes)),
                Chunk::Block { header, payload, .. } => {
                    slices.extend(
                        [header, payload]
                            .into_iter()
                            .filter(|part| !part.is_empty())
                            .map(|part| IoSlice::new(part)),
                    );
                }
            }
            if slices.len() + 2 > SLICES_MAX {
                break;
            }
        }
        slices
    }

    fn advance(&mut self, mut written: usize, sent: &mut impl FnMut(BlockSpan, bool)) {
        self.queued -= written;
        while let Some(chunk) = self.chunks.front_mut() {
            let left = match chunk {
                Chunk::Control(bytes) => {
                    let step = written.min(bytes.len());
                    bytes.advance(step);
                    self.control_queued -= step;
                    written -= step;
                    bytes.len()
                }
                Chunk::Block { header, payload, .. } => {
                    for part in [header, payload] {
                        let step = written.min(part.len());
                        part.advance(step);
                        written -= step;
                    }
                    payload_left(chunk)
                }
            };
            if left > 0 {
                return;
            }
            if let Some(Chunk::Block { span, is_view, .. }) = self.chunks.pop_front() {
                sent(span, is_view);
            }
        }
    }
}

fn payload_left(chunk: &Chunk) -> usize {
    match chunk {
        Chunk::Control(bytes) => bytes.len(),
        Chunk::Block { header, payload, .. } => header.len() + payload.len(),
    }
}
