//! Connections in an arena: each is a pair of directed links, and a link and its reverse differ in the last bit of
//! their numbers.

use potluck_core::PeerKey;

/// The number of a directed link.
pub(crate) type LinkId = u32;

/// No download is under way on a link.
pub(crate) const NO_DOWNLOAD: u32 = u32::MAX;

/// What one end of a connection, the owner, does for the other one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// The number of the node at the other end.
    pub(crate) to: u32,
    /// Grows with every connection of the world, so that no key is used twice.
    serial: u32,
    /// What the other end downloads from the owner, while it is unchoked.
    pub(crate) download: u32,
    /// Bytes of a block that is not complete; while the other end is unchoked, its download knows better.
    pub(crate) carry: f32,
    /// When the owner last choked or unchoked the other end, in milliseconds; `u32::MAX` is never.
    pub(crate) flipped_ms: u32,
    /// The most that the owner sends over it, in bytes per second.
    pub(crate) limit: f32,
    /// What the other end counts for while the owner's uplink is saturated, in percent.
    pub(crate) weight: u8,
    /// The owner shows a piece that the other end lacks: it is interested.
    pub(crate) wants: bool,
}

impl Link {
    /// The number of its connection, the same for both ends.
    pub(super) fn serial(&self) -> u32 {
        self.serial
    }
}

/// Both links of a connection, in one line of the cache.
#[derive(Debug)]
#[repr(align(64))]
struct Pair([Link; 2]);

const _: () = assert!(size_of::<Pair>() == 64, "a connection takes one line");

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Links {
    arena: Vec<Pair>,
    free: Vec<LinkId>,
    serial: u32,
}

impl Links {
    /// Connects two nodes; the number of the link that `from` owns. That of `to` is its [`reverse`].
    pub(crate) fn connect(&mut self, from: u32, to: u32) -> LinkId {
        self.serial += 1;
        let link = |to| Link {
            to,
            serial: self.serial,
            download: NO_DOWNLOAD,
            carry: 0.0,
            flipped_ms: u32::MAX,
            limit: f32::INFINITY,
            weight: 100,
            wants: false,
        };
        let pair = Pair([link(to), link(from)]);
        if let Some(id) = self.free.pop() {
            self.arena[id as usize / 2] = pair;
            return id;
        }
        self.arena.push(pair);
        (self.arena.len() as LinkId - 1) * 2
    }

    /// Ends a connection; its numbers may be given again.
    pub(crate) fn disconnect(&mut self, id: LinkId) {
        // No key is ever this old: what a rule still says of it concerns nobody.
        self[id].serial = 0;
        self[reverse(id)].serial = 0;
        self.free.push(id & !1);
    }

    /// What the owner of a link calls the other end.
    pub(crate) fn key(&self, id: LinkId) -> PeerKey {
        key_of(self[id].serial, id)
    }

    /// The link that its owner calls `key`, if the connection still stands.
    pub(crate) fn of_key(&self, key: PeerKey) -> Option<LinkId> {
        let id = key.0 as LinkId;
        let exists = (id as usize) / 2 < self.arena.len();
        (exists && u64::from(self[id].serial) == key.0 >> 32).then_some(id)
    }
}

/// What the owner of the link with this number calls the other end of the connection with this serial number.
pub(super) const fn key_of(serial: u32, id: LinkId) -> PeerKey {
    PeerKey((serial as u64) << 32 | id as u64)
}

/// The link of the other end of the same connection.
pub(crate) const fn reverse(id: LinkId) -> LinkId {
    id ^ 1
}

impl std::ops::Index<LinkId> for Links {
    type Output = Link;

    fn index(&self, id: LinkId) -> &Link {
        &self.arena[id as usize / 2].0[id as usize % 2]
    }
}

impl std::ops::IndexMut<LinkId> for Links {
    fn index_mut(&mut self, id: LinkId) -> &mut Link {
        &mut self.arena[id as usize / 2].0[id as usize % 2]
    }
}
