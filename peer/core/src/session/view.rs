//! What a session can be asked about itself.

use potluck_common::{Bitfield, Duration, PieceIndex};

use super::{Phase, Session, config::WEIGHT_CHOKED_PERCENT, timers::Timer};

impl Session {
    /// How many of the peer's requests wait to be served.
    pub fn uploads_queued(&self) -> usize {
        self.uploads.len()
    }

    /// Whether the session is over; effects may still wait.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether the handshake is complete in both directions.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether both sides speak the fast extension (BEP 6).
    pub fn is_fast(&self) -> bool {
        self.fast
    }

    /// Whether we choke the peer.
    pub fn am_choking(&self) -> bool {
        self.am_choking
    }

    /// The share of a saturated uplink that the peer is to have, in hundredths of an ordinary one. One that we choke, and
    /// that may have its allowed-fast pieces all the same (BEP 6), has at most a quarter.
    pub fn weight_percent(&self) -> u8 {
        if self.am_choking { self.weight_percent.min(WEIGHT_CHOKED_PERCENT) } else { self.weight_percent }
    }

    /// Whether we told the peer that we are interested.
    pub fn am_interested(&self) -> bool {
        self.am_interested
    }

    /// Whether the peer chokes us.
    pub fn remote_choking(&self) -> bool {
        self.remote_choking
    }

    /// Whether the peer is interested.
    pub fn peer_interested(&self) -> bool {
        self.remote_interested
    }

    /// Whether we have this piece, as far as the torrent told.
    pub fn has_piece(&self, piece: PieceIndex) -> bool {
        self.have.has(piece)
    }

    /// The peer's pieces, as far as it told.
    pub fn remote_pieces(&self) -> &Bitfield {
        &self.remote_have
    }

    /// How many of our requests are sent and not answered.
    pub fn requests_outstanding(&self) -> usize {
        self.requests.outstanding()
    }

    /// How many assigned blocks are not requested yet.
    pub fn requests_waiting(&self) -> usize {
        self.requests.backlog()
    }

    /// How many requests may be outstanding now.
    pub fn depth(&self) -> u32 {
        self.requests.depth()
    }

    /// Whether the peer owes us blocks for too long.
    pub fn is_snubbed(&self) -> bool {
        self.requests.is_snubbed()
    }

    /// The smoothed round trip from a request to its block.
    pub fn round_trip(&self) -> Option<Duration> {
        self.requests.round_trip()
    }

    /// Payload bytes that came in vain, because they were late or never asked for.
    pub fn wasted(&self) -> u64 {
        self.wasted
    }

    /// Checks what must always hold between two calls; for tests and simulation.
    ///
    /// # Panics
    /// When something does not hold, which is a defect here.
    pub fn assert_invariants(&self) {
        self.requests.assert_invariants();
        self.uploads.assert_invariants(self.am_choking);
        let asking = self.requests.outstanding() + self.requests.backlog() > 0;
        assert!(self.received.is_empty(), "every block is accounted when a call returns");
        assert!(!asking || self.phase == Phase::Open, "requests need an open session");
        assert!(!asking || self.fast || !self.remote_choking, "a choke without BEP 6 ends every request");
        assert_eq!(
            self.timers.is_set(Timer::Block),
            self.requests.outstanding() > 0,
            "requests have a deadline"
        );
        self.timers.assert_fit(self.phase);
        assert!(self.phase != Phase::Silent || self.output.is_empty(), "strangers are sent nothing");
    }
}
