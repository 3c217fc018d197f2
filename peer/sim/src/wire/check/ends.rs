//! Everybody ends with the true bytes of all that it wants.

use super::Violation;
use crate::wire::world::World;

impl World<'_> {
    pub(in crate::wire) fn check_the_end(&self) -> Result<(), Violation> {
        for (host, node) in self.waits_for() {
            let machine = node.machine.as_ref().expect("it is complete");
            let config = &node.member;
            let wanted = self.wanted_pieces(&config.priorities);
            if let Some(piece) = wanted.into_iter().find(|piece| !machine.torrent.have().has(*piece)) {
                return Err(Violation::new("byte-exact", format!("{host} is complete without {piece:?}")));
            }
            self.check_have(*host)?;
        }
        self.check_bytes()?;
        match self.tracker_miscounts() {
            Some(why) => Err(Violation::new("the tracker counts right", why)),
            None => Ok(()),
        }
    }

    /// Nobody reads what nobody wrote.
    fn check_bytes(&self) -> Result<(), Violation> {
        let network = self.network();
        if network.read > network.written {
            let what = format!("{} bytes were read, and {} written", network.read, network.written);
            return Err(Violation::new("bytes are conserved", what));
        }
        Ok(())
    }
}
