//! What a run has beyond pieces: metadata that some must fetch, words of the DHT, and peers that are remembered.

use potluck_common::{Duration, Rng};

use super::{Meeting, Member, Role, Ruse};

/// Hostile peers have their way with the metadata in so many of the runs that have some, in percent.
const HOSTILE_PERCENT: u32 = 50;
/// A node that asks for metadata and was refused waits as long as this; some such waits must fit in the end of a run.
const PATIENCE: Duration = Duration::from_secs(240);

/// The options of a run that are not about pieces.
#[derive(Clone, Copy, Default, Debug)]
pub(in crate::wire) struct Beyond {
    /// The torrent's metadata is real, and some members begin with its hash.
    pub(in crate::wire) metadata: Option<MetadataPlan>,
    /// The torrent is private (BEP 27).
    pub(in crate::wire) is_private: bool,
    /// Everybody is a node of the DHT and tells its peers so (BEP 5).
    pub(in crate::wire) tells_ports: bool,
    /// Hostile peers tell of ports at which nobody is.
    pub(in crate::wire) has_false_ports: bool,
    /// Who is started again knows the good peers of the last time.
    pub(in crate::wire) remembers_peers: bool,
}

/// What the `info` dictionary is like.
#[derive(Clone, Copy, Debug)]
pub(in crate::wire) struct MetadataPlan {
    /// Bytes beyond what it must have, so that it takes several pieces to fetch it.
    pub(in crate::wire) padding: usize,
    /// What those bytes are.
    pub(in crate::wire) seed: u64,
}

impl Beyond {
    /// Each option has entropy of its own.
    pub(super) fn draw(rng: &mut Rng, meeting: Meeting) -> Self {
        let [mut metadata, mut private, mut ports, mut memory] = std::array::from_fn(|_| rng.fork());
        // Whoever meets others by what is forbidden to private torrents meets nobody.
        let may_be_private = matches!(meeting, Meeting::Tracker | Meeting::User | Meeting::Both);
        Self {
            metadata: (metadata.below(3) == 0).then(|| MetadataPlan::draw(&mut metadata)),
            is_private: may_be_private && private.below(6) == 0,
            tells_ports: ports.below(6) == 0,
            has_false_ports: ports.below(2) == 0,
            remembers_peers: memory.below(4) == 0,
        }
    }

    /// Some of the members begin with the hash alone, and some more come who do not mean well.
    pub(super) fn join(self, rng: &mut Rng, members: &mut Vec<Member>) {
        if self.metadata.is_none() {
            return;
        }
        let percent = 20 + rng.below(81);
        let fetches = |member: &&mut Member| matches!(member.role, Role::Leecher | Role::FreeRider);
        for member in members.iter_mut().filter(fetches) {
            member.begins_with_hash = rng.below(100) < percent;
        }
        if !members.iter().any(|member| member.begins_with_hash)
            && let Some(first) = members.iter_mut().find(|member| member.role == Role::Leecher)
        {
            first.begins_with_hash = true;
        }
        if rng.below(100) >= HOSTILE_PERCENT {
            return;
        }
        for _ in 0..=rng.below(4) {
            let ruse = *rng.choose(&Ruse::ABOUT_METADATA).expect("not empty");
            members.push(Member {
                role: Role::Hostile(ruse),
                joins_after: Duration::from_millis(u64::from(rng.below(20_000))),
                uplink: u64::from(20_000 + rng.below(400_000)),
                super_seed: false,
                ..members[0].clone()
            });
        }
    }

    /// How much longer than others such a run may take.
    pub(super) fn patience(self) -> Duration {
        self.metadata.map_or(Duration::ZERO, |_| PATIENCE)
    }
}

impl MetadataPlan {
    fn draw(rng: &mut Rng) -> Self {
        let padding = match rng.below(4) {
            0 => 0,
            1 => rng.below(16_384),
            2 => rng.below(60_000),
            _ => rng.below(400_000),
        };
        Self { padding: padding as usize, seed: rng.next_u64() }
    }

    /// In words, for people.
    pub(super) fn in_words(self) -> String {
        format!("metadata with {} bytes of padding", self.padding)
    }
}
