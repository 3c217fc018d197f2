//! Whoever asks for metadata again and again gets it twice a minute (BEP 9).

use potluck_common::{Duration, Instant};

use super::Violation;
use crate::wire::world::World;

/// What a peer has a right to within [`WINDOW`], in times of all metadata.
const TIMES: u64 = 2;
/// See [`TIMES`].
const WINDOW: Duration = Duration::from_secs(60);

impl World<'_> {
    /// Looks at what was given to those who ask too often.
    pub(in crate::wire) fn check_asked(&self) -> Result<(), Violation> {
        let Some(info) = &self.metadata().info else { return Ok(()) };
        let (now, whole) = (self.now(), info.len() as u64);
        let most = |since: Instant| (now.since(since).as_secs() / WINDOW.as_secs() + 1) * TIMES * whole;
        for (host, hostile) in self.hostile() {
            for (end, since, bytes) in hostile.metadata_given() {
                let giver = self.host_at_other_end(end).filter(|other| self.role(*other).is_node());
                if let Some(giver) = giver.filter(|_| bytes > most(since)) {
                    return Err(Violation::new(
                        "metadata is given twice a minute",
                        format!("{giver} gave {host} {bytes} bytes since {since:?}, and all are {whole}"),
                    ));
                }
            }
        }
        Ok(())
    }
}
