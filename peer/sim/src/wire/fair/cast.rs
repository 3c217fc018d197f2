//! The people of a scenario as members of a swarm of bytes.

use potluck_common::{Duration, Geometry, Instant, Rng, control::FilePriority, limits::BLOCK_LENGTH};

use super::{FairError, patience};
use crate::{
    scenario::{Arrivals, FreeRiderKind, LeechRule, Scenario, SeedRule},
    wire::plan::{Beyond, DiskPlan, FaultPlan, Meeting, Member, NetworkPlan, Plan, Role},
    world::{self, Node},
};

/// How much more the network of a host sends than its user lets it: room for all that is no payload.
const ROOM_UP: f64 = 2.0;
/// As the engine has it unless it is told otherwise.
const BUFFER_BYTES_MAX: u64 = 64 << 20;

/// The plan of a run without faults.
pub(super) fn plan(scenario: &Scenario, people: &[Node], rng: &mut Rng) -> Result<Plan, FairError> {
    refuse_what_is_fluid(scenario)?;
    let total = u64::from(scenario.pieces) * u64::from(scenario.piece_bytes);
    let geometry = Geometry::new(total, u64::from(scenario.piece_bytes))
        .map_err(|_| FairError::Fluid("a payload of these pieces"))?;
    let mut known = acquaintances(scenario, people, rng);
    let members = people.iter().enumerate();
    let members = members.map(|(number, node)| member(scenario, node, std::mem::take(&mut known[number])));
    Ok(Plan {
        geometry,
        files: vec![total],
        members: members.collect(),
        network: network(scenario),
        meeting: Meeting::User,
        pex: false,
        is_public: true,
        claims_every: Duration::from_secs(10),
        faults: FaultPlan(Vec::new()),
        beyond: Beyond::default(),
        sabotage: None,
        storm: Duration::ZERO,
        patience: patience(scenario),
    })
}

fn refuse_what_is_fluid(scenario: &Scenario) -> Result<(), FairError> {
    let cheats = scenario.free_riders.as_ref().is_some_and(|riders| riders.kind != FreeRiderKind::ZeroUpload);
    let others_rules = scenario.rule != LeechRule::Ours || scenario.seed_rule != SeedRule::Ours;
    let seeds_leave =
        scenario.seeds.leave_after_s.is_some() || scenario.seeds.leave_after_full_copy_s.is_some();
    let refused = [
        (cheats, "free riders that do more than upload nothing"),
        (others_rules || scenario.mix.is_some(), "a rule that is not ours"),
        (seeds_leave, "seeds that leave"),
        (scenario.linger_s > 0.0, "staying when one is done"),
        (scenario.arrivals != Arrivals::Flash, "coming one after the other"),
        (scenario.replenish, "looking for more connections (write `replenish = false`)"),
        (scenario.ramp_ms > 0, "a speed that ramps up"),
        (
            scenario.piece_bytes != scenario.blocks_per_piece * BLOCK_LENGTH,
            "pieces of blocks that are not 16 KiB",
        ),
    ];
    match refused.iter().find(|(is_there, _)| *is_there) {
        Some((_, what)) => Err(FairError::Fluid(what)),
        None => Ok(()),
    }
}

/// Whom each leecher dials. One after the other draws from all until it has enough neighbours, those included who drew it; and
/// everybody knows the seeds.
fn acquaintances(scenario: &Scenario, people: &[Node], rng: &mut Rng) -> Vec<Vec<usize>> {
    let seeds: Vec<usize> = (0..scenario.seeds.count as usize).collect();
    let leechers: Vec<usize> = (seeds.len()..people.len()).collect();
    let mut neighbours = vec![seeds.clone(); people.len()];
    let mut known = vec![Vec::new(); people.len()];
    for number in &leechers {
        known[*number].clone_from(&seeds);
        let mut others = leechers.clone();
        rng.shuffle(&mut others);
        for other in others {
            let has_room = neighbours[*number].len() < scenario.neighbours as usize;
            if has_room && other != *number && !neighbours[*number].contains(&other) {
                neighbours[*number].push(other);
                neighbours[other].push(*number);
                known[*number].push(other);
            }
        }
    }
    known
}

fn member(scenario: &Scenario, node: &Node, knows: Vec<usize>) -> Member {
    let class = &scenario.classes[usize::from(node.class)];
    let is_seed = node.role == world::Role::Seed;
    let up = if is_seed { scenario.seeds.up } else { class.up };
    let most = if is_seed { scenario.seeds.connections_max } else { scenario.connections_max };
    Member {
        role: match node.role {
            world::Role::Seed => Role::Seed,
            world::Role::Contributor { .. } => Role::Leecher,
            world::Role::FreeRider(_) => Role::FreeRider,
        },
        joins_after: node.joined.since(Instant::ZERO),
        uplink: (up * ROOM_UP) as u64,
        downlink: (!is_seed).then_some(class.down as u64),
        down_limit: None,
        up_limit: (!node.is_free_rider()).then_some(up as u64),
        knows: Some(knows),
        is_dialable: true,
        connections_max: most as usize,
        buffer_bytes_max: BUFFER_BYTES_MAX,
        slots: match node.role {
            world::Role::FreeRider(_) => Some(0),
            _ => (!scenario.auto_slots).then_some(5),
        },
        sequential: false,
        super_seed: is_seed && scenario.seeds.super_seeding,
        has_percent: if is_seed { 100 } else { 0 },
        begins_with_hash: false,
        priorities: vec![FilePriority::Normal],
        disk: DiskPlan { seek: Duration::from_micros(100), bytes_per_second: 1_000_000_000 },
    }
}

fn network(scenario: &Scenario) -> NetworkPlan {
    // The first byte comes after an unchoke and a request went their way.
    let latency = Duration::from_millis(u64::from(scenario.latency_ms));
    NetworkPlan {
        longest_way: latency.mul_f64(0.5),
        jitter_max: Duration::ZERO,
        segment_bytes_max: 64 * 1024,
        read_bytes_max: 256 * 1024,
        datagram_loss_percent: 0,
        task_delay_max: Duration::from_micros(100),
        torrent_delay_max: Duration::from_micros(100),
    }
}
