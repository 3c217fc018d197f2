//! Who takes part in a run.

use potluck_common::{Instant, Rng};

use super::{Node, Role};
use crate::scenario::{Arrivals, Class, FreeRiderKind, Scenario};

/// What a trickling free rider uploads, in bytes per second.
const TRICKLE: f64 = 1_000.0;

/// The seeds, then the leechers, by the shares that the scenario says; which leecher is what falls at random.
pub(crate) fn cast(scenario: &Scenario, rng: &mut Rng) -> Vec<Node> {
    let mut classes = classes(scenario);
    rng.shuffle(&mut classes);
    let mut roles = roles(scenario);
    rng.shuffle(&mut roles);
    let mut arrival = Instant::ZERO;
    let mut nodes: Vec<_> = (0..scenario.seeds.count).map(|_| seed(scenario)).collect();
    for (role, class) in roles.into_iter().zip(classes) {
        let Class { up, down, .. } = scenario.classes[usize::from(class)];
        let up = match role {
            Role::FreeRider(FreeRiderKind::Trickle) => TRICKLE,
            Role::FreeRider(kind) if !kind.uploads() => 0.0,
            _ => up,
        };
        let joined = match scenario.arrivals {
            Arrivals::Flash => Instant::ZERO,
            Arrivals::Uniform { over_s } => seconds(rng.fraction() * over_s),
            Arrivals::Poisson { pause_s } => {
                arrival += seconds(-(1.0 - rng.fraction()).ln() * pause_s).since(Instant::ZERO);
                arrival
            }
        };
        nodes.push(Node::new(role, class, up, down, joined));
    }
    nodes
}

fn seconds(seconds: f64) -> Instant {
    Instant::from_micros((seconds * 1e6) as u64)
}

fn seed(scenario: &Scenario) -> Node {
    let mut node = Node::new(Role::Seed, 0, scenario.seeds.up, 0.0, Instant::ZERO);
    node.leaves = scenario.seeds.leave_after_s.map(seconds);
    node
}

fn classes(scenario: &Scenario) -> Vec<u16> {
    let shares: f64 = scenario.classes.iter().map(|class| class.share).sum();
    let mut numbers = Vec::new();
    for (number, class) in scenario.classes.iter().enumerate() {
        let count = (class.share / shares * f64::from(scenario.leechers)).round() as usize;
        numbers.extend(std::iter::repeat_n(number as u16, count));
    }
    numbers.resize(scenario.leechers as usize, 0);
    numbers
}

fn roles(scenario: &Scenario) -> Vec<Role> {
    let all = f64::from(scenario.leechers);
    let mut roles = Vec::new();
    if let Some(riders) = &scenario.free_riders {
        let count = (riders.share * all).round() as usize;
        roles.extend(std::iter::repeat_n(Role::FreeRider(riders.kind), count));
    }
    if let Some(mix) = scenario.mix {
        let contributors = all - roles.len() as f64;
        let count = (mix.share * contributors).round() as usize;
        roles.extend(std::iter::repeat_n(Role::Contributor { mixed: true }, count));
    }
    roles.resize(scenario.leechers as usize, Role::Contributor { mixed: false });
    roles
}
