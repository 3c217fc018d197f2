//! What goes wrong, and how often.

use potluck_common::{Duration, Rng};

/// Something that goes wrong once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::wire) enum Fault {
    Reset,
    HalfOpen,
    Clog,
    Partition,
    Kill,
    PowerCut,
    Stop,
    DiskFull,
    DiskBusy,
    WriteFails,
    ReadFails,
    SyncFails,
    SlowDisk,
    Rot,
    TrackerDown,
}

impl Fault {
    const ALL: [Self; 15] = [
        Self::Reset,
        Self::HalfOpen,
        Self::Clog,
        Self::Partition,
        Self::Kill,
        Self::PowerCut,
        Self::Stop,
        Self::DiskFull,
        Self::DiskBusy,
        Self::WriteFails,
        Self::ReadFails,
        Self::SyncFails,
        Self::SlowDisk,
        Self::Rot,
        Self::TrackerDown,
    ];

    /// How often it is among the faults of a run, in percent, and the mean time between two of them at the most.
    fn usual(self) -> (u32, Duration) {
        let (percent, seconds) = match self {
            Self::Reset => (60, 5),
            Self::Clog => (50, 5),
            Self::HalfOpen => (40, 15),
            Self::Kill | Self::DiskFull => (40, 30),
            Self::SlowDisk => (30, 20),
            Self::Partition | Self::PowerCut | Self::Stop | Self::TrackerDown => (30, 40),
            Self::DiskBusy | Self::ReadFails => (20, 20),
            Self::Rot => (15, 40),
            Self::WriteFails | Self::SyncFails => (10, 60),
        };
        (percent, Duration::from_secs(seconds))
    }
}

/// Which faults there are, with the mean time between two of a kind.
#[derive(Clone, Debug)]
pub(in crate::wire) struct FaultPlan(pub(in crate::wire) Vec<(Fault, Duration)>);

impl FaultPlan {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        // A run without any fault says whether faults are to blame.
        if rng.below(8) == 0 {
            return Self(Vec::new());
        }
        let mut faults = Vec::new();
        for kind in Fault::ALL {
            let (percent, mean) = kind.usual();
            if rng.below(100) < percent {
                faults.push((kind, mean.mul_f64(0.3 + 2.0 * rng.fraction())));
            }
        }
        Self(faults)
    }
}
