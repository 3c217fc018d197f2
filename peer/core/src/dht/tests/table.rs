//! The routing table against a list of nodes and BEP 5's words.

use std::net::SocketAddr;

use potluck_common::{
    Duration, Instant, Rng,
    krpc::{NodeId, NodeInfo},
};
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use crate::dht::table::Table;

const OWN: NodeId = NodeId([0x35; 20]);

/// All nodes in one list, those heard of last at its end, and how often the range around us was divided.
#[derive(Default)]
struct Model {
    nodes: Vec<(NodeInfo, u8)>,
    splits: usize,
}

impl Model {
    fn range(&self, id: &NodeId) -> usize {
        OWN.bits_shared(id).min(self.splits)
    }

    fn in_range(&self, range: usize) -> impl Iterator<Item = &(NodeInfo, u8)> {
        self.nodes.iter().filter(move |(node, _)| self.range(&node.id) == range)
    }

    fn answered(&mut self, node: NodeInfo) {
        if let Some(place) = self.nodes.iter().position(|(known, _)| *known == node) {
            self.nodes.remove(place);
            self.nodes.push((node, 0));
            return;
        }
        self.nodes.retain(|(known, _)| known.addr != node.addr);
        if self.nodes.iter().any(|(known, failures)| known.id == node.id && *failures == 0) {
            return;
        }
        self.nodes.retain(|(known, _)| known.id != node.id);
        while self.in_range(self.range(&node.id)).count() == 8 && self.range(&node.id) == self.splits {
            self.splits += 1;
        }
        let range = self.range(&node.id);
        if self.in_range(range).count() == 8 {
            let Some((failed, _)) = self.in_range(range).find(|(_, failures)| *failures > 0) else { return };
            let failed = *failed;
            self.nodes.retain(|(known, _)| *known != failed);
        }
        self.nodes.push((node, 0));
    }

    fn failed(&mut self, node: NodeInfo) {
        if let Some((_, failures)) = self.nodes.iter_mut().find(|(known, _)| *known == node) {
            *failures += 1;
        }
        self.nodes.retain(|(_, failures)| *failures < 2);
    }

    fn closest(&self, target: &NodeId, count: usize) -> Vec<NodeInfo> {
        let mut nodes: Vec<_> =
            self.nodes.iter().filter(|(_, failures)| *failures == 0).map(|(node, _)| *node).collect();
        nodes.sort_by_key(|node| node.id.distance(target));
        nodes.truncate(count);
        nodes
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Answered(usize),
    Failed(usize),
    Closest([u8; 20], usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => (0..120_usize).prop_map(Operation::Answered),
        2 => (0..120_usize).prop_map(Operation::Failed),
        1 => (any::<[u8; 20]>(), 0..20_usize).prop_map(|(target, count)| Operation::Closest(target, count)),
    ]
}

/// Nodes near and far, all on one local network, where only addresses with their ports are told apart.
fn nodes(seed: u64) -> Vec<NodeInfo> {
    let mut rng = Rng::new(seed);
    let node = |n: u16| NodeInfo {
        id: OWN.random_sharing(usize::from(n % 12), &mut rng),
        addr: SocketAddr::from(([10, 0, 0, 1], 1_000 + n % 115)),
    };
    (0..120).map(node).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn the_table_is_what_the_bep_says(seed: u64, operations in proptest::collection::vec(operation(), 0..300)) {
        let nodes = nodes(seed);
        let mut now = Instant::from_secs(10);
        let mut table = Table::new(OWN, now);
        let mut model = Model::default();
        for operation in operations {
            now += Duration::from_millis(10);
            match operation {
                Operation::Answered(n) => {
                    table.answered(now, nodes[n], Duration::from_millis(50), false);
                    model.answered(nodes[n]);
                }
                Operation::Failed(n) => {
                    table.failed(now, nodes[n]);
                    model.failed(nodes[n]);
                }
                Operation::Closest(target, count) => {
                    let target = NodeId(target);
                    let closest: Vec<_> = table.closest(&target, count).iter().map(|node| node.info).collect();
                    prop_assert_eq!(closest, model.closest(&target, count));
                }
            }
            table.assert_invariants();
            let mut held: Vec<NodeInfo> = table.nodes().map(|node| node.info).collect();
            let mut expected: Vec<NodeInfo> = model.nodes.iter().map(|(node, _)| *node).collect();
            held.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(held, expected);
        }
    }
}

/// Two nodes that ask each other whenever one is asked would do so for ever.
#[test]
fn whoever_was_asked_because_there_was_a_place_is_not_asked_again() {
    for seed in 0..30 {
        let mut rng = Rng::new(seed);
        let mut table = Table::new(OWN, Instant::from_secs(1));
        for second in 0..400 {
            let now = Instant::from_secs(1 + 30 * second);
            let mut id = [0; 20];
            rng.fill(&mut id);
            // Some are near us, many are of one network, and ids and addresses come twice.
            let near = rng.below(20) as usize;
            id[..near].copy_from_slice(&OWN.0[..near]);
            id[19] &= 3;
            let ip = [45, 80, rng.below(3) as u8, rng.below(40) as u8];
            let node = NodeInfo { id: NodeId(id), addr: SocketAddr::from((ip, 6881 + rng.below(2) as u16)) };
            if !table.wants(now, node, true) {
                continue;
            }
            if rng.below(4) == 0 {
                table.failed(now, node);
                continue;
            }
            table.answered(now, node, Duration::from_millis(50), false);
            assert!(!table.wants(now, node, true), "seed {seed}: {node:?} would be asked again and again");
            let known = table.nodes().nth(rng.below(table.len() as u32) as usize).map(|known| known.info);
            known.filter(|_| rng.below(3) == 0).and_then(|known| table.failed(now, known));
        }
        table.assert_invariants();
    }
}

/// Whoever was to be asked and could not be, as too many were, is still one that has answered.
#[test]
fn a_spare_that_goes_back_loses_no_place_to_those_who_only_spoke() {
    let now = Instant::from_secs(10);
    let mut rng = Rng::new(1);
    let mut node = |shared: usize, port: u16| NodeInfo {
        id: OWN.random_sharing(shared, &mut rng),
        addr: SocketAddr::from(([10, 0, 0, 1], port)),
    };
    let far: Vec<NodeInfo> = (1..=9).map(|port| node(0, port)).collect();
    let near = node(5, 10);
    let strangers: Vec<NodeInfo> = (11..=30).map(|port| node(0, port)).collect();
    let mut table = Table::new(OWN, now);
    for node in far[..8].iter().chain([&near]).chain([&far[8]]) {
        table.answered(now, *node, Duration::from_millis(50), false);
    }
    assert!(!table.contains(far[8]), "it waits for a place");
    let spare = table.failed(now, far[0]).expect("somebody waits");
    assert_eq!(spare.info, far[8]);
    table.keep_spare(spare);
    table.answered(now, far[0], Duration::from_millis(50), false);
    for stranger in &strangers {
        assert!(!table.wants(now, *stranger, true), "there is no place");
    }
    table.assert_invariants();
    assert_eq!(table.failed(now, far[0]), Some(spare));
}
