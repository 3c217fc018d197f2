//! Bytes become blocks, blocks become pieces, and neighbours hear of them.

use potluck_common::{BlockSpan, Duration, Instant, PieceIndex};
use potluck_core::{PeerKey, choker::ChokerEvent, picker::PickLimits};

use super::{
    World,
    fetch::TOGETHER,
    flows::Flow,
    interest::Heard,
    links::{Link, LinkId, NO_DOWNLOAD, reverse},
};

/// Steps for which a link's queue lasts when it was filled, and when it is filled again.
const QUEUE_STEPS: (f64, f64) = (3.0, 1.5);

/// Who unchoked us and sends no block for this long snubs us.
const SNUB: Duration = Duration::from_secs(60);

impl World {
    /// What can pass over an unchoked link in this step, in bytes, if its share of the uplink is `share`: asks for
    /// more blocks when few are left.
    pub(super) fn demand(&mut self, owner: u32, id: LinkId, share: f64) -> f64 {
        let block = self.scenario.block_bytes();
        let download = self.links[id].download as usize;
        let limit = f64::from(self.links[id].limit) * self.tick.as_secs_f64();
        let part = self.part_of_step(self.downloads[download].ready).min(limit / share);
        if part <= 0.0 {
            return 0.0;
        }
        let queued = self.downloads[download].queue.len() as f64 * block;
        if queued < share * QUEUE_STEPS.1 + block {
            let more = ((share * QUEUE_STEPS.0 - queued) / block).ceil().max(1.0);
            self.ask(owner, id, more as u32 + 1);
        }
        self.watch_for_snub(id);
        let queued = self.downloads[download].queue.len() as f64 * block;
        let demand = queued - f64::from(self.links[id].carry);
        if part < 1.0 { demand.min(share * part) } else { demand }
    }

    /// The part of a full share that a link carries in this step when the first byte can pass at `ready`: nothing before
    /// it, and less while its speed ramps up.
    pub(super) fn part_of_step(&self, ready: Instant) -> f64 {
        let since = (self.now + self.tick).since(ready).as_secs_f64();
        let speed =
            if self.scenario.ramp_ms > 0 { since * 1e3 / f64::from(self.scenario.ramp_ms) } else { 1.0 };
        (since / self.tick.as_secs_f64()).min(1.0) * speed.min(1.0)
    }

    /// The other end of a link asks its owner for more blocks.
    fn ask(&mut self, owner: u32, id: LinkId, count: u32) {
        let to = self.links[id].to;
        self.flush_heard(to);
        let scale = f64::from(potluck_common::limits::BLOCK_LENGTH) / self.scenario.block_bytes();
        let download = &mut self.downloads[self.links[id].download as usize];
        let rate_bytes_per_second = (download.rate * scale) as u64;
        let limits = PickLimits { rate_bytes_per_second, ..PickLimits::default() };
        let key = self.links.key(reverse(id));
        let [from, to] = self
            .nodes
            .get_disjoint_mut([owner as usize, to as usize])
            .expect("nobody is connected to itself");
        let Some(picker) = &mut to.picker else { return };
        let was_idle = download.queue.is_empty();
        let has = from.shown_over(id, &self.full, &self.empty);
        download.queue.extend(picker.pick(self.now, key, has, count, limits));
        if was_idle {
            download.block_last = self.now;
        }
    }

    fn watch_for_snub(&mut self, id: LinkId) {
        let download = &mut self.downloads[self.links[id].download as usize];
        let waits = !download.queue.is_empty() && self.now.since(download.block_last) > SNUB;
        if waits && !download.snubbed {
            download.snubbed = true;
            let key = self.links.key(reverse(id));
            self.tell(self.links[id].to, ChokerEvent::Snubbed(key, true));
        }
    }

    /// Everything that passes in this step arrives.
    pub(super) fn deliver_all(&mut self) {
        let flows = std::mem::take(&mut self.flows);
        self.tally.capacity(&self.nodes, self.tick);
        for flows in flows.chunks(TOGETHER) {
            self.fetch_flows(flows);
            for flow in flows {
                // Whoever was done earlier in this step may have left.
                if flow.bytes > 0.0 && self.links[flow.link].download != NO_DOWNLOAD {
                    self.deliver(flow);
                }
            }
        }
        self.flows = flows;
    }

    fn deliver(&mut self, flow: &Flow) {
        let Flow { link: id, from, to, bytes, .. } = *flow;
        self.tally.passed(&self.nodes, flow.from, flow.to, bytes);
        self.super_seed_sent(from, self.links.key(id), bytes);
        let got = self.links.key(reverse(id));
        let seconds = self.tick.as_secs_f64();
        let is_due = self.steps.is_multiple_of(u64::from(self.scenario.report_steps));
        let download = &mut self.downloads[self.links[id].download as usize];
        download.untold += bytes;
        if is_due {
            self.tell_of_bytes(id);
        }
        let download = &mut self.downloads[self.links[id].download as usize];
        download.rate += (bytes / seconds - download.rate) * (0.3 * seconds).min(1.0);
        let block = self.scenario.block_bytes() as f32;
        self.links[id].carry += bytes as f32;
        while self.links[id].carry >= block {
            let Some(span) = self.next_block(id) else {
                self.links[id].carry = 0.0;
                return;
            };
            self.links[id].carry -= block;
            self.receive(to, id, got, span);
            if self.links[id].download == NO_DOWNLOAD {
                return;
            }
        }
    }

    /// The rules of both ends hear what passed over a link since they heard last.
    pub(super) fn tell_of_bytes(&mut self, id: LinkId) {
        let Link { to, download, .. } = self.links[id];
        if download == NO_DOWNLOAD {
            return;
        }
        let bytes = std::mem::take(&mut self.downloads[download as usize].untold);
        if bytes > 0.0 {
            let (sent, got) = (self.links.key(id), self.links.key(reverse(id)));
            self.tell(self.links[reverse(id)].to, ChokerEvent::Sent(sent, bytes as u64));
            self.tell(to, ChokerEvent::Got(got, bytes as u64));
        }
    }

    /// Takes the next block out of a link's queue, which the end game may have emptied meanwhile.
    fn next_block(&mut self, id: LinkId) -> Option<BlockSpan> {
        let now = self.now;
        let download = &mut self.downloads[self.links[id].download as usize];
        let span = download.queue.pop_front()?;
        download.block_last = now;
        if download.snubbed {
            download.snubbed = false;
            let key = self.links.key(reverse(id));
            self.tell(self.links[id].to, ChokerEvent::Snubbed(key, false));
        }
        Some(span)
    }

    fn receive(&mut self, to: u32, id: LinkId, from: PeerKey, span: BlockSpan) {
        let Some(picker) = &mut self.nodes[to as usize].picker else { return };
        let receipt = picker.received(from, span);
        for other in receipt.cancel {
            self.cancel(other, span);
        }
        debug_assert_eq!(self.links.of_key(from), Some(reverse(id)));
        if receipt.piece_complete && self.verify(to, span.piece) {
            self.complete(to, span.piece);
        }
    }

    /// A block came from somebody else too.
    fn cancel(&mut self, from: PeerKey, span: BlockSpan) {
        let Some(id) = self.links.of_key(from) else { return };
        let download = self.links[reverse(id)].download;
        if download != NO_DOWNLOAD {
            self.downloads[download as usize].queue.retain(|other| *other != span);
        }
    }

    /// A node has a piece, and everybody it is connected to hears of it.
    fn complete(&mut self, number: u32, piece: PieceIndex) {
        let node = &mut self.nodes[number as usize];
        let picker = node.picker.as_mut().expect("whoever completes a piece lacked it");
        picker.stored(piece);
        let is_done = picker.have().is_full();
        node.pieces += 1;
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
        node.picker = None;
        let leaves_now = node.is_free_rider() || linger.is_zero();
        node.leaves = Some(at + linger);
        self.tally.done(node.is_contributor());
        self.manners[number as usize] = self.nodes[number as usize].manners();
        self.heard[number as usize] = Heard::default();
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
