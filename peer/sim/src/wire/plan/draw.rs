//! A plan from a seed.

use potluck_common::{Duration, Geometry, Rng, control::FilePriority};

use super::{Beyond, DiskPlan, FaultPlan, Meeting, Member, NetworkPlan, Plan, Role, Ruse};

/// Payloads are small: what matters happens at the edges, and a thousand runs must take minutes.
const TOTAL_MIN: u32 = 200_000;
const TOTAL_MAX: u32 = 4_000_000;
/// Pieces, so that recounts stay cheap.
const PIECES_MAX: u64 = 300;

impl Plan {
    /// The plan of a seed.
    pub(in crate::wire) fn draw(rng: &mut Rng) -> Self {
        let (mut plan, mut later) = Self::draw_first(rng);
        // What came later draws after all else, so that a seed without it is the run that it was.
        plan.beyond = Beyond::draw(&mut later, plan.meeting);
        plan.beyond.join(&mut later, &mut plan.members);
        plan.patience += plan.beyond.patience();
        plan
    }

    /// The plan of a seed as it was before there was anything but pieces.
    pub(in crate::wire) fn draw_early(rng: &mut Rng) -> Self {
        Self::draw_first(rng).0
    }

    /// What is about pieces, and the entropy for what is not.
    fn draw_first(rng: &mut Rng) -> (Self, Rng) {
        // Each part has entropy of its own, so that a new choice in one leaves the others of a seed as they are.
        let [mut shape, mut people, mut ways, mut bad, mut talk] = std::array::from_fn(|_| rng.fork());
        let geometry = geometry(&mut shape);
        let files = files(&mut shape, geometry.total());
        let mut members = members(&mut people, &geometry, files.len());
        let storm = Duration::from_secs(u64::from(20 + bad.below(100)));
        let patience = patience(&geometry, &members);
        let meetings = [Meeting::Tracker, Meeting::Tracker, Meeting::User, Meeting::Both];
        let exchanges = talk.below(4) == 0;
        let network = network(&mut ways);
        let meeting = *ways.choose(&meetings).expect("not empty");
        let is_public = ways.below(4) > 0;
        let pex = exchanges || talk.below(4) > 0;
        let looks_up = !exchanges && talk.below(4) == 0;
        if looks_up {
            let bystander = Member { role: Role::Bystander, super_seed: false, ..members[0].clone() };
            members.extend(vec![bystander; 6 + talk.below(10) as usize]);
        }
        let network = NetworkPlan { datagram_loss_percent: talk.below(30), ..network };
        let meeting = match meeting {
            _ if exchanges => Meeting::Exchange,
            _ if looks_up => Meeting::Dht,
            meeting => meeting,
        };
        let plan = Self {
            files,
            network,
            meeting,
            beyond: Beyond::default(),
            pex,
            // Nobody is told of private addresses by strangers.
            is_public: is_public || looks_up,
            claims_every: Duration::from_secs(u64::from(1 + bad.below(10))),
            faults: FaultPlan::draw(&mut bad),
            sabotage: None,
            members,
            geometry,
            storm,
            patience,
        };
        (plan, talk)
    }
}

/// Odd piece lengths, short last pieces, a single piece, many tiny ones.
fn geometry(rng: &mut Rng) -> Geometry {
    loop {
        let total = match rng.below(20) {
            0 => 1 + rng.below(20_000),
            1..6 => TOTAL_MIN + rng.below(TOTAL_MAX - TOTAL_MIN),
            _ => TOTAL_MIN + rng.below(TOTAL_MAX / 3),
        };
        let piece_length = match rng.below(10) {
            0 => 1 + rng.below(5_000),
            1 => 5_000 + rng.below(60_000),
            2 => 16_384 * 3 + 1,
            3 => 131_072 << rng.below(3),
            _ => 16_384 << rng.below(4),
        };
        // A last piece that is full, or of one byte.
        let total = match rng.below(6) {
            0 => total.div_ceil(piece_length) * piece_length,
            1 => total / piece_length * piece_length + 1,
            _ => total,
        };
        let (total, piece_length) = (u64::from(total), u64::from(piece_length));
        if total.div_ceil(piece_length) <= PIECES_MAX
            && let Ok(geometry) = Geometry::new(total, piece_length)
        {
            return geometry;
        }
    }
}

fn files(rng: &mut Rng, total: u64) -> Vec<u64> {
    let count = if rng.below(2) == 0 { 1 } else { 1 + rng.below(6) };
    let mut cuts: Vec<u64> = (1..count).map(|_| (total as f64 * rng.fraction()) as u64).collect();
    cuts.push(total);
    cuts.sort_unstable();
    let mut begin = 0;
    cuts.iter().map(|end| end - std::mem::replace(&mut begin, *end)).collect()
}

fn members(rng: &mut Rng, geometry: &Geometry, files: usize) -> Vec<Member> {
    let seeds = 1 + rng.below(3) / 2;
    let leechers = match rng.below(4) {
        0 => 1 + rng.below(3),
        1 => 12 + rng.below(14),
        _ => 3 + rng.below(10),
    };
    let mut roles = vec![Role::Seed; seeds as usize];
    roles.extend(vec![Role::Leecher; leechers as usize]);
    if rng.below(3) == 0 {
        roles.extend(vec![Role::FreeRider; 1 + rng.below(3) as usize]);
    }
    if rng.below(4) == 0 {
        roles.extend(vec![Role::Poisoner; 1 + rng.below(2) as usize]);
    }
    if rng.below(2) == 0 {
        for _ in 0..=rng.below(4) {
            roles.push(Role::Hostile(*rng.choose(&Ruse::ALL).expect("not empty")));
        }
    }
    // In whole swarms somebody is always there at the start, seeds or not.
    let options = Options::draw(rng);
    (roles.into_iter().enumerate())
        .map(|(number, role)| member(rng, geometry, files, &options, number, role))
        .collect()
}

/// What the members of a run have in common.
struct Options {
    joins_over: u32,
    uplink: u32,
    behind_nat_percent: u32,
    picky_percent: u32,
    sequential_percent: u32,
    partial_percent: u32,
    super_seeds: bool,
    is_crowded: bool,
    slow_disks: bool,
}

impl Options {
    fn draw(rng: &mut Rng) -> Self {
        let one_in = |rng: &mut Rng, n: u32| rng.below(n) == 0;
        Self {
            joins_over: if one_in(rng, 2) { 0 } else { 1 + rng.below(30) },
            uplink: 60_000 << rng.below(5),
            behind_nat_percent: if one_in(rng, 2) { 0 } else { rng.below(80) },
            picky_percent: if one_in(rng, 3) { 40 } else { 0 },
            sequential_percent: if one_in(rng, 4) { 50 } else { 0 },
            partial_percent: if one_in(rng, 4) { 50 } else { 0 },
            super_seeds: one_in(rng, 5),
            is_crowded: one_in(rng, 6),
            slow_disks: one_in(rng, 6),
        }
    }
}

fn member(
    rng: &mut Rng,
    geometry: &Geometry,
    files: usize,
    options: &Options,
    number: usize,
    role: Role,
) -> Member {
    let percent = |rng: &mut Rng, chance: u32| rng.below(100) < chance;
    let piece = u64::from(geometry.piece_length());
    // The first seed is who everybody can count on.
    let is_anchor = number == 0;
    let picky = role == Role::Leecher && percent(rng, options.picky_percent);
    Member {
        role,
        joins_after: if is_anchor || options.joins_over == 0 {
            Duration::ZERO
        } else {
            Duration::from_millis(u64::from(rng.below(options.joins_over * 1_000)))
        },
        uplink: u64::from(options.uplink / 2 + rng.below(options.uplink * 2)),
        downlink: None,
        down_limit: percent(rng, 10).then(|| u64::from(20_000 + rng.below(400_000))),
        up_limit: None,
        knows: None,
        is_dialable: is_anchor || !percent(rng, options.behind_nat_percent),
        connections_max: if options.is_crowded && !is_anchor { 3 + rng.below(8) as usize } else { 60 },
        buffer_bytes_max: if percent(rng, 15) { piece * u64::from(1 + rng.below(4)) } else { 8 << 20 },
        slots: match role {
            Role::FreeRider => Some(0),
            Role::Leecher if percent(rng, 10) => Some(1 + rng.below(6)),
            _ => None,
        },
        sequential: percent(rng, options.sequential_percent),
        super_seed: role == Role::Seed && options.super_seeds,
        has_percent: match role {
            Role::Seed | Role::Poisoner => 100,
            Role::Leecher if percent(rng, options.partial_percent) => rng.below(100),
            _ => 0,
        },
        begins_with_hash: false,
        priorities: (0..files).map(|_| if picky { priority(rng) } else { FilePriority::Normal }).collect(),
        disk: if options.slow_disks && !is_anchor {
            DiskPlan {
                seek: Duration::from_millis(u64::from(rng.below(60))),
                bytes_per_second: u64::from(100_000 + rng.below(2_000_000)),
            }
        } else {
            DiskPlan {
                seek: Duration::from_micros(u64::from(rng.below(5_000))),
                bytes_per_second: 50_000_000,
            }
        },
    }
}

fn priority(rng: &mut Rng) -> FilePriority {
    let all = [FilePriority::Skip, FilePriority::Low, FilePriority::Normal, FilePriority::High];
    *rng.choose(&all).expect("not empty")
}

fn network(rng: &mut Rng) -> NetworkPlan {
    let millis = |rng: &mut Rng, most: u32| Duration::from_micros(u64::from(rng.below(most * 1_000)));
    NetworkPlan {
        longest_way: *rng.choose(&[1, 20, 100, 300].map(Duration::from_millis)).expect("not empty"),
        jitter_max: if rng.below(2) == 0 { Duration::ZERO } else { millis(rng, 80) },
        datagram_loss_percent: 0,
        segment_bytes_max: *rng.choose(&[1_460, 16_384, 16_384, 65_536]).expect("not empty"),
        read_bytes_max: *rng.choose(&[700, 16_384, 65_536, 262_144]).expect("not empty"),
        task_delay_max: if rng.below(4) == 0 { millis(rng, 20) } else { Duration::from_micros(100) },
        torrent_delay_max: match rng.below(6) {
            0 => millis(rng, 300),
            1 | 2 => millis(rng, 20),
            _ => Duration::from_micros(100),
        },
    }
}

/// Long enough for the anchor to send everybody everything several times over, after all waits of a heal.
fn patience(geometry: &Geometry, members: &[Member]) -> Duration {
    let leechers = members.iter().filter(|member| member.role == Role::Leecher).count() as u64;
    let takers = members.len() as u64;
    let slowest = members.iter().filter_map(|member| member.down_limit).min().unwrap_or(u64::MAX);
    let anchor = members[0].uplink.min(slowest).max(1);
    Duration::from_secs(240 + 3 * (leechers + takers) * geometry.total() / anchor)
}
