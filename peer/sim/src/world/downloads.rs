//! What passes over unchoked links: all that a flow needs of each lies in one line of the cache.

use std::collections::VecDeque;

use potluck_common::Instant;
use potluck_core::PeerKey;

use super::links::{Link, LinkId, key_of, reverse};

/// Blocks that are kept beside the rest of a download.
const NEAR_MAX: usize = 4;

/// Whoever has this link has none: its number is given again.
const NO_LINK: LinkId = LinkId::MAX;

/// What one node, the owner of a link, uploads to the node at its other end, while it lets it.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Download {
    /// Smoothed over some seconds, in bytes per second.
    pub(super) rate: f64,
    /// Bytes that passed and that neither rule has been told of.
    pub(super) untold: f64,
    /// The first of the blocks that are asked for, in order.
    near: [u32; NEAR_MAX],
    link: LinkId,
    serial: u32,
    /// Who downloads.
    pub(super) to: u32,
    /// Bytes of a block that is not complete.
    pub(super) carry: f32,
    ready_ms: u32,
    block_last_ms: u32,
    near_count: u8,
    /// What it counts for while the uplink is saturated, in percent.
    pub(super) weight: u8,
    /// The downloader lacks a piece that the owner shows.
    pub(super) wants: bool,
    /// The downloader's rule knows that nothing comes.
    pub(super) snubbed: bool,
    /// The owner sends no more over it than its link says.
    pub(super) is_limited: bool,
}

const _: () = assert!(size_of::<Download>() == 64, "a download takes one line");

impl Download {
    /// Whether this is still what passes over this link.
    pub(super) fn is_of(&self, link: LinkId) -> bool {
        self.link == link
    }

    /// The link over which it comes.
    pub(super) fn link(&self) -> LinkId {
        self.link
    }

    /// What its owner calls the downloader.
    pub(super) fn key_of_downloader(&self) -> PeerKey {
        key_of(self.serial, self.link)
    }

    /// What the downloader calls its owner.
    pub(super) fn key_of_owner(&self) -> PeerKey {
        key_of(self.serial, reverse(self.link))
    }

    /// The first of the blocks that are asked for.
    pub(super) fn first(&self) -> Option<u32> {
        self.near[..usize::from(self.near_count)].first().copied()
    }

    /// When the first byte can come.
    pub(super) fn ready(&self) -> Instant {
        Instant::from_millis(u64::from(self.ready_ms))
    }

    /// When a block came last, or when it began.
    pub(super) fn block_last(&self) -> Instant {
        Instant::from_millis(u64::from(self.block_last_ms))
    }

    pub(super) fn set_block_last(&mut self, now: Instant) {
        self.block_last_ms = millis(now);
    }
}

/// All downloads.
///
/// Invariant: of a download whose first blocks are fewer than there is room for, no more are asked for.
#[derive(Debug, Default)]
pub(super) struct Downloads {
    arena: Vec<Download>,
    /// The blocks of each after the first ones, which are rarely more.
    far: Vec<VecDeque<u32>>,
    free: Vec<u32>,
}

impl Downloads {
    /// One over this link; its first byte can pass at `ready`.
    pub(super) fn begin(&mut self, id: LinkId, link: &Link, ready: Instant) -> u32 {
        let download = Download {
            rate: 0.0,
            untold: 0.0,
            near: [0; NEAR_MAX],
            link: id,
            serial: link.serial(),
            to: link.to,
            carry: link.carry,
            ready_ms: millis(ready),
            block_last_ms: millis(ready),
            near_count: 0,
            weight: link.weight,
            wants: link.wants,
            snubbed: false,
            is_limited: link.limit.is_finite(),
        };
        if let Some(number) = self.free.pop() {
            self.arena[number as usize] = download;
            return number;
        }
        self.arena.push(download);
        self.far.push(VecDeque::new());
        self.arena.len() as u32 - 1
    }

    /// It ends, and its number may be given again.
    pub(super) fn end(&mut self, number: u32) {
        self.clear(number);
        self[number].link = NO_LINK;
        self.free.push(number);
    }

    /// The blocks that are asked for.
    pub(super) fn queued(&self, number: u32) -> usize {
        let near = usize::from(self[number].near_count);
        if near < NEAR_MAX { near } else { near + self.far[number as usize].len() }
    }

    /// The same in order.
    pub(super) fn blocks(&self, number: u32) -> impl Iterator<Item = u32> + '_ {
        let download = &self[number];
        let near = &download.near[..usize::from(download.near_count)];
        near.iter().chain(&self.far[number as usize]).copied()
    }

    /// A block is asked for.
    pub(super) fn push(&mut self, number: u32, block: u32) {
        let download = &mut self.arena[number as usize];
        let near = usize::from(download.near_count);
        if near < NEAR_MAX {
            download.near[near] = block;
            download.near_count += 1;
        } else {
            self.far[number as usize].push_back(block);
        }
    }

    /// The block that comes next.
    pub(super) fn pop(&mut self, number: u32) -> Option<u32> {
        let near = self.arena[number as usize].near;
        self.take_at(number, 0).then_some(near[0])
    }

    /// A block is asked for no more.
    pub(super) fn remove(&mut self, number: u32, block: u32) {
        let place = self.blocks(number).position(|other| other == block);
        if let Some(place) = place {
            self.take_at(number, place);
        }
    }

    /// No block is asked for any more.
    pub(super) fn clear(&mut self, number: u32) {
        self[number].near_count = 0;
        self.far[number as usize].clear();
    }

    /// Takes the block at this place out; false if there is none.
    fn take_at(&mut self, number: u32, place: usize) -> bool {
        let download = &mut self.arena[number as usize];
        let near = usize::from(download.near_count);
        if place >= near {
            return near == NEAR_MAX && self.far[number as usize].remove(place - near).is_some();
        }
        download.near.copy_within(place + 1..near, place);
        download.near_count -= 1;
        if near == NEAR_MAX
            && let Some(block) = self.far[number as usize].pop_front()
        {
            self.push(number, block);
        }
        true
    }

    /// Those that never ended.
    #[cfg(test)]
    pub(super) fn open(&self) -> usize {
        self.arena.len() - self.free.len()
    }
}

/// Time passes in whole milliseconds.
fn millis(at: Instant) -> u32 {
    (at.as_micros() / 1_000) as u32
}

impl std::ops::Index<u32> for Downloads {
    type Output = Download;

    fn index(&self, number: u32) -> &Download {
        &self.arena[number as usize]
    }
}

impl std::ops::IndexMut<u32> for Downloads {
    fn index_mut(&mut self, number: u32) -> &mut Download {
        &mut self.arena[number as usize]
    }
}

#[cfg(test)]
mod tests {
    use potluck_common::Rng;

    use super::{super::links::Links, *};

    #[test]
    fn blocks_are_queued_in_order() {
        let mut links = Links::default();
        let id = links.connect(1, 2);
        let mut downloads = Downloads::default();
        let number = downloads.begin(id, &links[id], Instant::ZERO);
        let mut model = VecDeque::new();
        let mut rng = Rng::new(1);
        for _ in 0..10_000 {
            let block = rng.below(9);
            match rng.below(5) {
                0..=2 if !model.contains(&block) => {
                    downloads.push(number, block);
                    model.push_back(block);
                }
                3 => assert_eq!(downloads.pop(number), model.pop_front()),
                _ => {
                    downloads.remove(number, block);
                    model.retain(|other| *other != block);
                }
            }
            assert_eq!(downloads.queued(number), model.len());
            assert!(downloads.blocks(number).eq(model.iter().copied()));
        }
    }
}
