//! Bytes become blocks, blocks become pieces, and neighbours hear of them.

use potluck_common::{BlockSpan, Duration, Geometry, Instant, PieceIndex, limits::BLOCK_LENGTH};
use potluck_core::{PeerKey, choker::ChokerEvent, picker::PickLimits};

use super::{
    Manners, World,
    fetch::TOGETHER,
    flows::Flow,
    links::{NO_DOWNLOAD, reverse},
};

/// Steps for which a link's queue lasts when it was filled, and when it is filled again.
const QUEUE_STEPS: (f64, f64) = (3.0, 1.5);

/// Who unchoked us and sends no block for this long snubs us.
const SNUB: Duration = Duration::from_secs(60);

impl World {
    /// What can pass over an unchoked link in this step, in bytes, if its share of the uplink is `share`: asks for
    /// more blocks when few are left.
    pub(super) fn demand(&mut self, owner: u32, number: u32, share: f64) -> f64 {
        let block = self.scenario.block_bytes();
        let download = &self.downloads[number];
        let mut part = self.part_of_step(download.ready());
        if download.is_limited {
            let limit = f64::from(self.links[download.link()].limit) * self.tick.as_secs_f64();
            part = part.min(limit / share);
        }
        if part <= 0.0 {
            return 0.0;
        }
        let queued = self.downloads.queued(number) as f64 * block;
        if queued < share * QUEUE_STEPS.1 + block {
            let more = ((share * QUEUE_STEPS.0 - queued) / block).ceil().max(1.0);
            self.ask(owner, number, more as u32 + 1);
        }
        self.watch_for_snub(number);
        let queued = self.downloads.queued(number) as f64 * block;
        let demand = queued - f64::from(self.downloads[number].carry);
        if part < 1.0 { demand.min(share * part) } else { demand }
    }

    /// The part of a full share that a link carries in this step when the first byte can pass at `ready`: nothing before
    /// it, and less while its speed ramps up.
    pub(super) fn part_of_step(&self, ready: Instant) -> f64 {
        if ready <= self.now && self.scenario.ramp_ms == 0 {
            return 1.0;
        }
        let since = (self.now + self.tick).since(ready).as_secs_f64();
        let speed =
            if self.scenario.ramp_ms > 0 { since * 1e3 / f64::from(self.scenario.ramp_ms) } else { 1.0 };
        (since / self.tick.as_secs_f64()).min(1.0) * speed.min(1.0)
    }

    /// The downloader asks the owner of the link for more blocks.
    fn ask(&mut self, owner: u32, number: u32, count: u32) {
        let download = &self.downloads[number];
        let (to, key) = (download.to, download.key_of_owner());
        if self.has_garbage() {
            // Reservations of pieces end in between, and then it matters what was heard before.
            self.flush_heard(to);
        }
        let scale = f64::from(BLOCK_LENGTH) / self.scenario.block_bytes();
        let rate_bytes_per_second = (self.downloads[number].rate * scale) as u64;
        let limits = PickLimits { rate_bytes_per_second, ..PickLimits::default() };
        let [from, asks] = self
            .pickers
            .get_disjoint_mut([owner as usize, to as usize])
            .expect("nobody is connected to itself");
        let Some(picker) = asks else { return };
        let was_idle = self.downloads.queued(number) == 0;
        let has = match self.manners[owner as usize] {
            Manners::Seeds => &self.full,
            _ => self.nodes[owner as usize].shown_over(
                from.as_deref(),
                self.downloads[number].link(),
                &self.full,
                &self.empty,
            ),
        };
        let mut heard = self.heard[to as usize].pieces();
        for span in picker.pick_hearing(self.now, key, has, count, limits, &mut heard) {
            self.downloads.push(number, number_of(self.scenario.blocks_per_piece, span));
        }
        if heard.is_empty() {
            self.heard[to as usize].clear();
        }
        if was_idle {
            self.downloads[number].set_block_last(self.now);
        }
    }

    fn watch_for_snub(&mut self, number: u32) {
        let has_asked = self.downloads.queued(number) > 0;
        let download = &mut self.downloads[number];
        let waits = has_asked && self.now.since(download.block_last()) > SNUB;
        if waits && !download.snubbed {
            download.snubbed = true;
            let (to, key) = (download.to, download.key_of_owner());
            self.tell(to, ChokerEvent::Snubbed(key, true));
        }
    }

    /// Everything that passes in this step arrives.
    pub(super) fn deliver_all(&mut self) {
        let flows = std::mem::take(&mut self.flows);
        let capacity = self.capacity();
        self.tally.capacity_is(capacity, self.tick);
        for flows in flows.chunks(TOGETHER) {
            self.fetch_flows(flows);
            for flow in flows {
                // Whoever was done earlier in this step may have left.
                if flow.bytes > 0.0 && self.downloads[flow.download].is_of(flow.link) {
                    self.deliver(flow);
                }
            }
        }
        self.flows = flows;
    }

    fn deliver(&mut self, flow: &Flow) {
        let Flow { download: number, link, from, to, bytes, .. } = *flow;
        self.tally.passed_between(self.roles[from as usize], self.roles[to as usize], bytes);
        if self.manners[from as usize] == Manners::Special {
            self.super_seed_sent(from, self.links.key(link), bytes);
        }
        let seconds = self.tick.as_secs_f64();
        let is_due = self.steps.is_multiple_of(u64::from(self.scenario.report_steps));
        self.downloads[number].untold += bytes;
        if is_due {
            self.tell_of_bytes(from, number);
        }
        let block = self.scenario.block_bytes() as f32;
        let download = &mut self.downloads[number];
        download.rate += (bytes / seconds - download.rate) * (0.3 * seconds).min(1.0);
        download.carry += bytes as f32;
        while self.downloads[number].carry >= block {
            let Some(span) = self.next_block(number) else {
                self.downloads[number].carry = 0.0;
                return;
            };
            let download = &mut self.downloads[number];
            download.carry -= block;
            let key = download.key_of_owner();
            self.receive(to, key, span);
            if !self.downloads[number].is_of(link) {
                return;
            }
        }
    }

    /// The rules of both ends hear what passed since they heard last.
    pub(super) fn tell_of_bytes(&mut self, owner: u32, number: u32) {
        let download = &mut self.downloads[number];
        let bytes = std::mem::take(&mut download.untold);
        if bytes > 0.0 {
            let (to, sent, got) = (download.to, download.key_of_downloader(), download.key_of_owner());
            self.tell(owner, ChokerEvent::Sent(sent, bytes as u64));
            self.tell(to, ChokerEvent::Got(got, bytes as u64));
        }
    }

    /// Takes the next block out of a queue, which the end game may have emptied meanwhile.
    fn next_block(&mut self, number: u32) -> Option<BlockSpan> {
        let block = self.downloads.pop(number)?;
        let download = &mut self.downloads[number];
        download.set_block_last(self.now);
        if download.snubbed {
            download.snubbed = false;
            let (to, key) = (download.to, download.key_of_owner());
            self.tell(to, ChokerEvent::Snubbed(key, false));
        }
        Some(span_of(&self.geometry, self.scenario.blocks_per_piece, block))
    }

    fn receive(&mut self, to: u32, from: PeerKey, span: BlockSpan) {
        let Some(picker) = &mut self.pickers[to as usize] else { return };
        let receipt = picker.received(from, span);
        for other in receipt.cancel {
            self.cancel(other, span);
        }
        if receipt.piece_complete && self.verify(to, span.piece) {
            self.complete(to, span.piece);
        }
    }

    /// A block came from somebody else too.
    fn cancel(&mut self, from: PeerKey, span: BlockSpan) {
        let Some(id) = self.links.of_key(from) else { return };
        let download = self.links[reverse(id)].download;
        if download != NO_DOWNLOAD {
            self.downloads.remove(download, number_of(self.scenario.blocks_per_piece, span));
        }
    }

    /// A node has a piece, and everybody it is connected to hears of it.
    fn complete(&mut self, number: u32, piece: PieceIndex) {
        let picker = self.pickers[number as usize].as_mut().expect("whoever completes a piece lacked it");
        picker.stored(piece);
        let is_done = picker.have().is_full();
        self.nodes[number as usize].pieces += 1;
        self.tally.completed(&self.nodes[number as usize], piece);
        self.tell_neighbours(number, piece);
        if is_done {
            self.done(number);
        }
    }

    /// A node has everything.
    fn done(&mut self, number: u32) {
        let at = self.now + self.tick;
        let linger = Duration::from_secs_f64(self.scenario.linger_s);
        let node = &mut self.nodes[number as usize];
        node.done = Some(at);
        node.complete = true;
        self.pickers[number as usize] = None;
        let node = &mut self.nodes[number as usize];
        let leaves_now = node.is_free_rider() || linger.is_zero();
        node.leaves = Some(at + linger);
        self.leave_next = self.leave_next.min(at + linger);
        let node = &self.nodes[number as usize];
        self.tally.done(node.is_contributor());
        self.manners[number as usize] = self.nodes[number as usize].manners();
        self.heard[number as usize].clear();
        if leaves_now {
            return self.leave(number);
        }
        self.tell(number, ChokerEvent::BecameSeed(true));
        for place in 0..self.nodes[number as usize].links.len() {
            let id = self.nodes[number as usize].links[place];
            let key = self.links.key(reverse(id));
            self.tell(self.links[id].to, ChokerEvent::UploadOnly(key, true));
        }
    }
}

/// The blocks of the payload are numbered from the first to the last, which takes less room than a span.
fn number_of(blocks_per_piece: u32, span: BlockSpan) -> u32 {
    span.piece.get() * blocks_per_piece + span.begin / BLOCK_LENGTH
}

/// The block of this number.
pub(super) fn span_of(geometry: &Geometry, blocks_per_piece: u32, number: u32) -> BlockSpan {
    let piece = geometry.piece(number / blocks_per_piece);
    let span = piece.and_then(|piece| geometry.block(piece, number % blocks_per_piece));
    span.expect("only blocks of the payload are numbered")
}
