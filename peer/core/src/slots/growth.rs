//! How many slots: more while the uplink has room for them, fewer while it has not.
//!
//! Under a limit the uplink is busy when 90 % of it is used. But how much an uplink without a limit (or with a limit
//! above what the network carries) can take, nobody tells. Nor do full sockets: they are as full where each peer's own
//! downlink is slow. So it is tried out: a slot that is added must bring at least half of what the others carry on
//! average, and twice what comes and goes by itself. It is judged by its second round, as in the first its peer's share also
//! fills the buffers on the way. If it brings less, it goes again, and the rate that was reached is taken for what the uplink
//! can do, for a minute at first, and for up to five where that is found again. A fast uplink that one peer fills has one
//! slot more than it needs now and then, and never hundreds.

use super::{SLOTS_MAX, SLOTS_PER_TORRENT, worthwhile};

/// Of the limit, or of what the uplink turned out to carry, in hundredths.
const BUSY_PERCENT: u64 = 90;
/// Rounds that an uplink has room for before it gets a slot more, and that a slot idles for before it goes.
const ROUNDS_MIN: u32 = 2;
/// How many times the noise a gain must be.
const NOISE_TIMES: u64 = 2;
/// The most that counts as noise.
const NOISE_PERMILLE_MAX: u64 = 400;
/// Rounds until added slots are judged.
const TRIAL_ROUNDS: u32 = 2;
/// How long what the uplink was found to carry is believed at first, in rounds.
const CEILING_ROUNDS_MIN: u64 = 6;
/// And at most.
const CEILING_ROUNDS_MAX: u64 = 30;

/// What a round was like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) number: u64,
    /// Sent in it, by the whole session.
    pub(super) bytes_per_second: u64,
    pub(super) limit: Option<u64>,
    /// Slots that somebody had.
    pub(super) taken: u32,
    /// Slots that there were.
    pub(super) size: u32,
    pub(super) bounds: Bounds,
    /// Somebody wants something and has no slot.
    pub(super) waits: bool,
    /// Some slot carries next to nothing.
    pub(super) idles: bool,
    /// There are more slots than anybody wants.
    pub(super) spare: bool,
}

/// Where the number of slots begins and ends, whatever the uplink turns out to carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    at_first: u32,
    most: u32,
}

impl Bounds {
    /// For so many torrents under this limit, in bytes per second.
    pub(super) fn new(torrents: usize, limit: Option<u64>) -> Self {
        let most = limit.map_or(SLOTS_MAX, worthwhile).min(SLOTS_MAX);
        let each = u32::try_from(torrents).unwrap_or(u32::MAX).saturating_mul(SLOTS_PER_TORRENT);
        Self { at_first: each.min(most), most }
    }

    /// How many so many slots are beyond those at first.
    fn extra_for(self, size: u32) -> i32 {
        size.cast_signed() - self.at_first.cast_signed()
    }
}

/// What the uplink turned out to carry.
#[derive(Clone, Copy, Debug)]
struct Ceiling {
    bytes_per_second: u64,
    /// The round in which it is believed no more.
    until: u64,
}

/// Slots that must show what they are worth.
#[derive(Clone, Copy, Debug)]
struct Trial {
    /// What was sent before they were added, in two rounds on average.
    bytes_per_second: u64,
    /// Half of what each is to bring.
    gain_min: u64,
    slots: i32,
    rounds: u32,
}

/// The number of slots beyond those that each torrent has at first.
#[derive(Debug)]
pub(super) struct Growth {
    /// Below 0 where the uplink is too thin for those of all torrents.
    extra: i32,
    /// Rounds in a row in which the uplink had room.
    roomy: u32,
    /// Rounds in a row in which there was a slot too many.
    idle: u32,
    /// What was sent in the last round.
    last_bytes_per_second: u64,
    /// By how much that differs from one round to the next by itself, in thousandths.
    noise_permille: u64,
    /// Slots that were added in the last two rounds.
    trial: Option<Trial>,
    ceiling: Option<Ceiling>,
    /// How long the next ceiling is believed, in rounds.
    belief: u64,
}

impl Default for Growth {
    fn default() -> Self {
        Self {
            extra: 0,
            roomy: 0,
            idle: 0,
            last_bytes_per_second: 0,
            noise_permille: 0,
            trial: None,
            ceiling: None,
            belief: CEILING_ROUNDS_MIN,
        }
    }
}

impl Growth {
    /// All slots, between these bounds.
    pub(super) fn size(&self, bounds: Bounds) -> u32 {
        let most = self.ceiling.map_or(u32::MAX, |ceiling| worthwhile(ceiling.bytes_per_second));
        let size = bounds.at_first.saturating_add_signed(self.extra);
        // What is known of the uplink forbids more, but takes nothing away at one blow.
        let size = if self.extra > 0 { size.min(most.max(bounds.at_first)) } else { size };
        size.max(SLOTS_PER_TORRENT).min(bounds.most)
    }

    /// What the uplink turned out to carry, in bytes per second, as long as that is believed.
    pub(super) fn ceiling(&self) -> Option<u64> {
        self.ceiling.map(|ceiling| ceiling.bytes_per_second)
    }

    /// A round is over: a slot more, one less, or neither.
    pub(super) fn round(&mut self, round: Round) {
        self.ceiling = self.ceiling.filter(|ceiling| {
            let outdone = round.bytes_per_second > ceiling.bytes_per_second / 100 * (200 - BUSY_PERCENT);
            round.number < ceiling.until && !outdone
        });
        let in_vain = self.judge(round);
        let busy = self.is_busy(round);
        self.roomy = if busy { 0 } else { self.roomy.saturating_add(1) };
        // A slot that carries little is one too many only where it takes it from others. Where there cannot be more, so that
        // it cannot be tried out whether it does, one goes for a trial.
        let full = round.size >= round.bounds.most;
        let too_many = (busy || full) && round.idles || self.extra > 0 && round.spare;
        self.idle = if too_many { self.idle.saturating_add(1) } else { 0 };
        if in_vain > 0 {
            self.extra -= in_vain;
        } else if self.roomy >= ROUNDS_MIN && round.waits && !full {
            self.add(round);
        } else if self.idle >= ROUNDS_MIN {
            // One less than there are, whatever they are bounded by.
            self.extra = round.bounds.extra_for(round.size) - 1;
            self.idle = 0;
        }
        self.listen(round);
        // Five stay, however many torrents share them.
        self.extra = self.extra.max(round.bounds.extra_for(SLOTS_PER_TORRENT.min(round.bounds.at_first)));
    }

    /// Learns how much comes and goes by itself.
    fn listen(&mut self, round: Round) {
        let last = std::mem::replace(&mut self.last_bytes_per_second, round.bytes_per_second);
        if self.trial.is_some() || last == 0 {
            return;
        }
        let difference = last.abs_diff(round.bytes_per_second).saturating_mul(1_000);
        // A leap is hardly noise, and counts for no more than the most that is: peers came or went, or the uplink changed.
        let difference = (difference / last.max(round.bytes_per_second)).min(NOISE_PERMILLE_MAX);
        self.noise_permille = (self.noise_permille * 3 + difference) / 4;
    }

    fn is_busy(&self, round: Round) -> bool {
        let fills =
            |most: u64| round.bytes_per_second.saturating_mul(100) >= most.saturating_mul(BUSY_PERCENT);
        round.limit.is_some_and(fills) || self.ceiling.is_some_and(|ceiling| fills(ceiling.bytes_per_second))
    }

    /// Adds slots, which must show what they are worth: more than one where a single one would not be noticed. Under a
    /// limit, of which most uplinks carry more, one more need not wait until the one before it has shown that.
    fn add(&mut self, round: Round) {
        let bytes_per_second = self.last_bytes_per_second.midpoint(round.bytes_per_second);
        let gain_min = bytes_per_second / u64::from(round.taken.max(1)) / 2;
        let noticed =
            (self.noise(bytes_per_second) / gain_min.max(1)).clamp(1, u64::from(round.size / 4).max(1));
        let waits_for_trial = self.trial.is_some() && (round.limit.is_none() || noticed > 1);
        // It would be none where something else bounds them.
        if waits_for_trial || self.size(round.bounds) > round.size {
            return;
        }
        let slots = u32::try_from(noticed).unwrap_or(1).min(round.bounds.most - round.size).cast_signed();
        self.extra += slots;
        let trial = self.trial.get_or_insert(Trial { bytes_per_second, gain_min, slots: 0, rounds: 0 });
        trial.slots += slots;
    }

    /// What a gain must be more than, where so much is sent.
    fn noise(&self, bytes_per_second: u64) -> u64 {
        bytes_per_second / 1_000 * self.noise_permille * NOISE_TIMES
    }

    /// How many slots turn out to bring nothing.
    fn judge(&mut self, round: Round) -> i32 {
        let Some(mut trial) = self.trial.take() else { return 0 };
        trial.rounds += 1;
        if trial.rounds < TRIAL_ROUNDS {
            self.trial = Some(trial);
            return 0;
        }
        let gain_min = trial
            .gain_min
            .saturating_mul(trial.slots.unsigned_abs().into())
            .max(self.noise(trial.bytes_per_second));
        if round.bytes_per_second >= trial.bytes_per_second.saturating_add(gain_min).max(1) {
            self.belief = CEILING_ROUNDS_MIN;
            return 0;
        }
        let bytes_per_second = trial.bytes_per_second.max(round.bytes_per_second);
        self.ceiling = Some(Ceiling { bytes_per_second, until: round.number + self.belief });
        self.belief = (self.belief * 2).min(CEILING_ROUNDS_MAX);
        trial.slots
    }
}
