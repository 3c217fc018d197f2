//! The header of uTP (BEP 29), as far as somebody must know it who speaks TCP only: to tell a peer so at once.

use bytes::{Buf as _, BufMut as _};

/// A header without extensions.
pub const HEADER_BYTES: usize = 20;

/// The only version there is.
const VERSION: u8 = 1;

/// What a packet is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PacketKind {
    /// Payload.
    Data,
    /// The last packet of a connection.
    Fin,
    /// An acknowledgement without payload.
    State,
    /// There is no such connection.
    Reset,
    /// A connection is asked for.
    Syn,
}

impl PacketKind {
    fn of(number: u8) -> Option<Self> {
        [Self::Data, Self::Fin, Self::State, Self::Reset, Self::Syn].get(usize::from(number)).copied()
    }
}

/// The header of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What the packet is for.
    pub kind: PacketKind,
    /// The kind of the first extension behind it; 0 is none.
    pub extension: u8,
    /// Which of its receiver's connections it belongs to. In a SYN it is the one that its sender receives at.
    pub connection_id: u16,
    /// When it was sent, by the sender's clock, in microseconds.
    pub sent_at_micros: u32,
    /// How long the last packet from the receiver took, by both clocks, in microseconds.
    pub delay_micros: u32,
    /// How much its sender would take, in bytes.
    pub window_bytes: u32,
    /// Its number.
    pub sequence: u16,
    /// The number of the last packet that its sender got.
    pub acknowledged: u16,
}

impl Header {
    /// Reads the header of a datagram; `None` unless it is one of uTP, its extensions whole.
    pub fn decode(datagram: &[u8]) -> Option<Self> {
        let mut rest = datagram.get(..HEADER_BYTES)?;
        let first = rest.get_u8();
        let header = Self {
            kind: PacketKind::of(first >> 4).filter(|_| first & 0x0f == VERSION)?,
            extension: rest.get_u8(),
            connection_id: rest.get_u16(),
            sent_at_micros: rest.get_u32(),
            delay_micros: rest.get_u32(),
            window_bytes: rest.get_u32(),
            sequence: rest.get_u16(),
            acknowledged: rest.get_u16(),
        };
        extensions_are_whole(header.extension, &datagram[HEADER_BYTES..]).then_some(header)
    }

    /// The bytes of a packet without extensions and payload.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut rest = &mut bytes[..];
        rest.put_u8((self.kind as u8) << 4 | VERSION);
        rest.put_u8(self.extension);
        rest.put_u16(self.connection_id);
        rest.put_u32(self.sent_at_micros);
        rest.put_u32(self.delay_micros);
        rest.put_u32(self.window_bytes);
        rest.put_u16(self.sequence);
        rest.put_u16(self.acknowledged);
        bytes
    }

    /// The answer of who takes no connections: a RESET that the sender of this SYN recognises as its own, at the connection
    /// that it receives at. `None` for all other packets, which might be answers themselves.
    #[must_use]
    pub fn refusal(&self, now_micros: u32, sequence: u16) -> Option<Self> {
        (self.kind == PacketKind::Syn).then(|| Self {
            kind: PacketKind::Reset,
            extension: 0,
            connection_id: self.connection_id,
            sent_at_micros: now_micros,
            delay_micros: now_micros.wrapping_sub(self.sent_at_micros),
            window_bytes: 0,
            sequence,
            acknowledged: self.sequence,
        })
    }
}

/// Whether the chain that begins with an extension of this kind ends within `bytes`: each is the kind of the next, a length,
/// and so many bytes.
fn extensions_are_whole(first: u8, mut bytes: &[u8]) -> bool {
    let mut kind = first;
    while kind != 0 {
        let [next, length, rest @ ..] = bytes else { return false };
        let Some(behind) = rest.get(usize::from(*length)..) else { return false };
        (kind, bytes) = (*next, behind);
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A SYN as real clients send it: connection 0x1234, packet 1.
    const SYN: [u8; 20] = [0x41, 0, 0x12, 0x34, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 1, 0, 0];

    #[test]
    fn a_syn_is_refused_in_words_that_its_sender_knows() {
        let syn = Header::decode(&SYN).expect("a SYN");
        assert_eq!((syn.kind, syn.connection_id, syn.sequence), (PacketKind::Syn, 0x1234, 1));
        let refusal = syn.refusal(0x1800, 0xbeef).expect("an answer");
        let expected = [0x31, 0, 0x12, 0x34, 0, 0, 0x18, 0, 0, 0, 0x08, 0, 0, 0, 0, 0, 0xbe, 0xef, 0, 1];
        assert_eq!(refusal.encode(), expected);
    }

    #[test]
    fn row_3_1_nothing_but_a_whole_syn_is_answered() {
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut packet = SYN.to_vec();
            change(&mut packet);
            Header::decode(&packet).and_then(|header| header.refusal(0, 0)).is_some()
        };
        assert!(with(&|_| ()));
        assert!(with(&|packet| packet.extend([0; 100])), "with payload");
        assert!(
            with(&|packet| {
                packet[1] = 2;
                packet.extend([0, 2, 9, 9]);
            }),
            "with an extension"
        );
        assert!(
            !with(&|packet| {
                packet.truncate(19);
            }),
            "too short"
        );
        for first in (0..=0xff).filter(|first| *first != 0x41) {
            assert!(!with(&|packet| packet[0] = first), "{first:#x}");
        }
        assert!(!with(&|packet| packet[1] = 1), "an extension that is not there");
        assert!(
            !with(&|packet| {
                packet[1] = 1;
                packet.extend([0, 255, 0]);
            }),
            "one that ends too early"
        );
        assert!(
            !with(&|packet| {
                packet[1] = 1;
                packet.extend([1, 0].repeat(40));
            }),
            "a chain without an end"
        );
    }

    proptest! {
        #[test]
        fn headers_round_trip_and_nothing_panics(bytes: Vec<u8>, head: [u8; 20]) {
            let _ = Header::decode(&bytes);
            let mut head = head;
            head[0] = ((head[0] % 5) << 4) | VERSION;
            head[1] = 0;
            prop_assert_eq!(Header::decode(&head).expect("a header").encode(), head);
        }
    }
}
