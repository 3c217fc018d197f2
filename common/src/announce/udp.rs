//! UDP announces and scrapes (BEP 15) with the URL in options (BEP 41).
//!
//! No length is ever insisted on beyond the fixed fields: clients append options and stray zero bytes.

mod reply;
mod request;

#[cfg(test)]
mod tests;

pub use self::{
    reply::{Reply, ReplyBody},
    request::{Request, RequestBody, RequestError, RequestHeader},
};

/// What a connect request carries in place of a connection id (BEP 15).
pub const PROTOCOL_ID: u64 = 0x417_2710_1980;

/// Largest datagram that is worth a receive buffer: an announce with a long URL, or a full scrape reply.
pub const PACKET_BYTES_MAX: usize = 4 * 1024;

const ACTION_CONNECT: u32 = 0;
const ACTION_ANNOUNCE: u32 = 1;
const ACTION_SCRAPE: u32 = 2;
const ACTION_ERROR: u32 = 3;

/// What is left to read of a datagram. A field that is not wholly there is `None` and consumes nothing.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (&field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(field)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}
