//! How uplinks and downlinks are divided within one step.

use std::ops::Range;

use super::{Node, World, fetch::TOGETHER, links::LinkId};

/// What passes over one link in one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) download: u32,
    pub(super) link: LinkId,
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) bytes: f64,
    /// The most that can pass: what is asked for.
    pub(super) demand: f64,
    pub(super) weight: f64,
}

/// What is looked at for every node in every step, side by side: a node itself is too large for that.
#[derive(Debug)]
pub(super) struct Uplink {
    /// Bytes per second, up and down.
    pub(super) up: f64,
    pub(super) down: f64,
    /// The downloads of others from it.
    pub(super) unchoked: Vec<u32>,
}

impl Uplink {
    pub(super) fn of(node: &Node) -> Self {
        Self { up: node.up, down: node.down, unchoked: Vec::new() }
    }
}

/// Less than this is nothing.
const EPSILON: f64 = 1e-3;

impl World {
    /// Divides every uplink among those who are unchoked and want something, by weight, within what each has asked
    /// for and what its downlink takes; what one leaves goes to the others.
    pub(super) fn share(&mut self) {
        self.flows.clear();
        self.incoming.fill(0.0);
        for number in 0..self.uplinks.len() {
            if number.is_multiple_of(TOGETHER) {
                self.fetch_uplinks(number..self.uplinks.len().min(number + TOGETHER));
            }
            let uplink = &self.uplinks[number];
            if uplink.up > 0.0 && !uplink.unchoked.is_empty() {
                self.share_uplink(number);
            }
        }
        self.fit_downlinks();
        self.give_rest();
    }

    fn share_uplink(&mut self, number: usize) {
        let begin = self.flows.len();
        let capacity = self.uplinks[number].up * self.tick.as_secs_f64();
        let wanting = self.uplinks[number].unchoked.iter().map(|download| &self.downloads[*download]);
        let weights: f64 = wanting.filter(|it| it.wants).map(|it| f64::from(it.weight)).sum();
        for place in 0..self.uplinks[number].unchoked.len() {
            let download = self.uplinks[number].unchoked[place];
            let it = &self.downloads[download];
            let (link, to) = (it.link(), it.to);
            if !it.wants {
                continue;
            }
            let weight = f64::from(it.weight);
            let demand = self.demand(number as u32, download, capacity * weight / weights);
            if demand > EPSILON {
                let flow = Flow { download, link, from: number as u32, to, bytes: 0.0, demand, weight };
                self.flows.push(flow);
            }
        }
        let flows = &mut self.flows[begin..];
        fill(flows, capacity);
        for flow in flows {
            self.incoming[flow.to as usize] += flow.bytes;
        }
    }

    fn downlink(&self, to: u32) -> f64 {
        self.uplinks[to as usize].down * self.tick.as_secs_f64()
    }

    /// Whoever is offered more than its downlink takes gets the same part of each offer.
    fn fit_downlinks(&mut self) {
        let tick = self.tick.as_secs_f64();
        for flow in &mut self.flows {
            let (offered, takes) =
                (self.incoming[flow.to as usize], self.uplinks[flow.to as usize].down * tick);
            if offered > takes {
                flow.bytes *= takes / offered;
            }
        }
    }

    /// What saturated downlinks left of an uplink goes to those that can take it.
    fn give_rest(&mut self) {
        let mut begin = 0;
        while begin < self.flows.len() {
            let from = self.flows[begin].from;
            let count = self.flows[begin..].iter().take_while(|flow| flow.from == from).count();
            self.give_rest_of(from, begin..begin + count);
            begin += count;
        }
    }

    fn give_rest_of(&mut self, from: u32, flows: Range<usize>) {
        let capacity = self.uplinks[from as usize].up * self.tick.as_secs_f64();
        let mut spare = capacity - self.flows[flows.clone()].iter().map(|flow| flow.bytes).sum::<f64>();
        let mut left = flows.len() as f64;
        for place in flows {
            if spare <= 1.0 {
                return;
            }
            let flow = self.flows[place];
            let room = self.downlink(flow.to) - self.incoming[flow.to as usize];
            let more = (spare / left).min(room).min(flow.demand - flow.bytes);
            if more > EPSILON {
                self.flows[place].bytes += more;
                self.incoming[flow.to as usize] += more;
                spare -= more;
            }
            left -= 1.0;
        }
    }
}

/// Divides `capacity` by weight, and what those who ask for less leave among the others.
pub(super) fn fill(flows: &mut [Flow], capacity: f64) {
    let mut spare = capacity;
    loop {
        let weights: f64 = flows.iter().filter(|flow| flow.bytes < flow.demand).map(|flow| flow.weight).sum();
        if weights <= 0.0 || spare <= EPSILON {
            return;
        }
        let each = spare / weights;
        for flow in flows.iter_mut().filter(|flow| flow.bytes < flow.demand) {
            let more = (each * flow.weight).min(flow.demand - flow.bytes);
            flow.bytes += more;
            spare -= more;
        }
    }
}
