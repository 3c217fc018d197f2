//! A small world of each kind, checked as a whole while it runs.

use potluck_common::{Duration, Rng};

use super::{
    Role, World,
    deliver::span_of,
    flows::{Flow, fill},
    links::{LinkId, NO_DOWNLOAD, reverse},
};
use crate::scenario::{FreeRiderKind, Scenario};

/// Everybody comes at their own time, lingers, and changes neighbours.
const BUSY: &str = "leechers = 16\npieces = 20\nblocks_per_piece = 4\nneighbours = 7\nconnections_max = 11\n\
                    linger_s = 15.0\nlatency_ms = 300\narrivals = { kind = \"poisson\", pause_s = 3.0 }\n";

fn world(text: &str, seed: u64) -> World {
    World::new(&Scenario::parse(text).expect("valid"), seed).expect("valid")
}

impl World {
    /// Checks that everything that is kept twice says the same.
    fn assert_invariants(&mut self) {
        let mut open = 0;
        for number in 0..self.nodes.len() as u32 {
            self.flush_heard(number);
            let node = &self.nodes[number as usize];
            assert!(node.online || node.links.is_empty(), "{number} is offline and has connections");
            assert!(node.links.len() <= self.connections_max(node), "{number} has too many connections");
            assert_eq!(self.manners[number as usize], node.manners(), "{number}: its manners");
            open += self.uplinks[number as usize].unchoked.len();
            assert_eq!(node.links.len(), node.neighbours.len());
            for (id, neighbour) in node.links.iter().zip(&node.neighbours) {
                assert_eq!(self.links[*id].to, *neighbour, "who is at the other end");
                self.assert_link(number, *id);
            }
            self.assert_availability(number);
            self.rules[number as usize].assert_invariants();
        }
        assert_eq!(open, self.downloads.open(), "every download has a link");
    }

    fn assert_link(&self, owner: u32, id: LinkId) {
        let link = self.links[id];
        let other = &self.nodes[link.to as usize];
        assert!(other.links.contains(&reverse(id)), "{owner} and {} know each other", link.to);
        assert_eq!(self.links[reverse(id)].to, owner);
        assert_eq!(self.links.of_key(self.links.key(id)), Some(id));
        let shown = self.shown(owner, id);
        let wants = shown.iter(&self.geometry).any(|piece| !self.has(link.to, piece));
        assert_eq!(link.wants, wants, "{}: whether it wants anything of {owner}", link.to);
        let is_unchoked = self.uplinks[owner as usize].unchoked.contains(&link.download);
        assert_eq!(link.download != NO_DOWNLOAD, is_unchoked, "{owner} lets {} download", link.to);
        if is_unchoked {
            let download = &self.downloads[link.download];
            let (keys, of_link) =
                ((download.key_of_downloader(), download.key_of_owner()), self.links.key(id));
            assert_eq!(keys, (of_link, self.links.key(reverse(id))));
            assert_eq!(
                (download.to, download.wants, download.weight),
                (link.to, link.wants, link.weight),
                "what a link and its download both say"
            );
        }
        if let Some(picker) = &self.pickers[link.to as usize] {
            let key = self.links.key(reverse(id));
            let asked: Vec<_> = picker.in_flight(key).collect();
            let mut queue = Vec::new();
            if is_unchoked {
                let blocks = self.downloads.blocks(link.download);
                let span = |block| span_of(&self.geometry, self.scenario.blocks_per_piece, block);
                queue.extend(blocks.map(span));
            }
            assert_eq!(queue, asked, "{} and its picker agree on what {owner} owes", link.to);
        }
    }

    fn assert_availability(&self, number: u32) {
        let node = &self.nodes[number as usize];
        let Some(picker) = &self.pickers[number as usize] else { return };
        assert_eq!(picker.have().count(), node.pieces);
        for piece in self.geometry.iter() {
            assert_eq!(picker.have().has(piece), self.has(number, piece), "{number} and its bits agree");
            let shows = |id: &&LinkId| self.shown(self.links[**id].to, reverse(**id)).has(piece);
            let shown = node.links.iter().filter(shows).count() as u32;
            assert_eq!(picker.availability(piece), shown, "{number}: neighbours that show {piece:?}");
        }
    }
}

fn check(text: &str) {
    for seed in 1..=2 {
        let mut world = world(text, seed);
        while world.tally.leechers_left > 0 {
            world.step();
            if world.steps.is_multiple_of(3) {
                world.assert_invariants();
            }
            assert!(world.now.as_micros() < 3_000_000_000, "everybody is done within 3,000 s: {text}");
        }
        world.assert_invariants();
        let leechers = world.nodes.iter().filter(|node| node.role != Role::Seed);
        assert!(leechers.clone().all(|node| node.done.is_some() && node.pieces == 20), "{text}");
    }
}

#[test]
fn a_world_of_every_kind_of_free_rider_stays_consistent() {
    for kind in FreeRiderKind::ALL {
        check(&format!("{BUSY}free_riders = {{ share = 0.25, kind = \"{}\" }}\n", kind.name()));
    }
}

#[test]
fn a_world_of_every_rule_stays_consistent() {
    for rules in [
        ("ours", "ours"),
        ("bep3", "fastest"),
        ("superseedr", "superseedr"),
        ("libtorrent", "libtorrent"),
        ("unchoke-all", "unchoke-all"),
    ] {
        check(&format!("{BUSY}rule = \"{}\"\nseed_rule = \"{}\"\n", rules.0, rules.1));
    }
}

#[test]
fn a_world_with_a_super_seed_stays_consistent() {
    check(&format!("{BUSY}seeds = {{ super_seeding = true, up = 60000.0 }}\n"));
}

#[test]
fn a_seed_leaves_when_each_piece_is_with_a_leecher_and_not_before() {
    let mut world = world(&format!("{BUSY}seeds = {{ leave_after_full_copy_s = 5.0 }}\n"), 1);
    world.step();
    while world.nodes[0].online {
        let full_copy = world.tally.first_full_copy;
        assert_eq!(world.nodes[0].leaves, full_copy.map(|at| at + Duration::from_secs(5)));
        world.step();
    }
    let full_copy = world.tally.first_full_copy.expect("it stayed for it");
    assert!(world.now.since(full_copy) >= Duration::from_secs(5), "{:?}", world.now);
}

#[test]
fn an_uplink_is_divided_by_weight_and_nothing_that_somebody_wants_is_left() {
    let mut rng = Rng::new(1);
    for _ in 0..2_000 {
        let flow = |rng: &mut Rng| {
            let weight = [25.0, 50.0, 100.0][rng.below(3) as usize];
            Flow {
                download: 0,
                link: 0,
                from: 0,
                to: 0,
                bytes: 0.0,
                demand: f64::from(rng.below(1_000) + 1),
                weight,
            }
        };
        let mut flows: Vec<_> = (0..=rng.below(8)).map(|_| flow(&mut rng)).collect();
        let capacity = f64::from(rng.below(4_000) + 1);
        fill(&mut flows, capacity);
        let (given, wanted): (f64, f64) =
            flows.iter().fold((0.0, 0.0), |sum, flow| (sum.0 + flow.bytes, sum.1 + flow.demand));
        assert!((given - wanted.min(capacity)).abs() < 0.1, "{given} of {wanted} by {capacity}");
        for a in &flows {
            assert!(a.bytes <= a.demand + 1e-9, "nobody gets more than it asked for");
            for b in &flows {
                let hungry = b.bytes < b.demand - 0.1;
                assert!(!hungry || a.bytes / a.weight <= b.bytes / b.weight + 0.1, "{a:?} took from {b:?}");
            }
        }
    }
}

#[test]
fn a_trial_at_half_weight_gets_half_of_a_full_slot() {
    let flow = |weight| Flow { download: 0, link: 0, from: 0, to: 0, bytes: 0.0, demand: 1e6, weight };
    let mut flows = [flow(100.0), flow(100.0), flow(50.0)];
    fill(&mut flows, 1_000.0);
    assert!(
        flows.iter().zip([400.0, 400.0, 200.0]).all(|(flow, bytes)| (flow.bytes - bytes).abs() < 1e-6),
        "{flows:?}"
    );
}

#[test]
fn nothing_passes_before_the_latency_has_and_less_while_a_link_ramps_up() {
    let world = world("latency_ms = 400\nramp_ms = 2000\n", 1);
    let after = |millis| world.part_of_step(world.now + Duration::from_millis(millis));
    assert!(after(1_000) <= 0.0 && after(1_500) <= 0.0);
    // 600 ms of the step are left, at 0.6 s / 2 s of the speed.
    assert!((after(400) - 0.6 * 0.3).abs() < 1e-9, "{}", after(400));
}
