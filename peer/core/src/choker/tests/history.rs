//! Any history.

use potluck_common::Duration;
use proptest::prelude::*;

use super::Rig;
use crate::{
    PeerKey,
    choker::{ChokerConfig, ChokerEvent, Slots},
};

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Event(ChokerEvent),
    Connect(u64, u16),
    Gives(u64, u64),
    Takes(u64, u64),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let peer = || 1u64..12;
    let event = prop_oneof![
        (peer(), any::<bool>()).prop_map(|(peer, is)| ChokerEvent::Interested(PeerKey(peer), is)),
        (peer(), any::<bool>()).prop_map(|(peer, is)| ChokerEvent::Snubbed(PeerKey(peer), is)),
        (peer(), any::<bool>()).prop_map(|(peer, is)| ChokerEvent::UploadOnly(PeerKey(peer), is)),
        (peer(), 0u64..100_000).prop_map(|(peer, bytes)| ChokerEvent::HashFail(PeerKey(peer), bytes)),
        (peer(), 0u64..1_000_000).prop_map(|(peer, bytes)| ChokerEvent::Sent(PeerKey(peer), bytes)),
        any::<bool>().prop_map(ChokerEvent::BecameSeed),
        (0u32..8).prop_map(|slots| ChokerEvent::SetSlots(Slots::fixed(slots))),
    ];
    let step = prop_oneof![
        4 => event.prop_map(Step::Event),
        4 => (peer(), Just(true)).prop_map(|(peer, is)| Step::Event(ChokerEvent::Interested(PeerKey(peer), is))),
        3 => (peer(), 0u16..6).prop_map(|(peer, address)| Step::Connect(peer, address)),
        1 => peer().prop_map(|peer| Step::Event(ChokerEvent::Gone(PeerKey(peer)))),
        3 => (peer(), 0u64..1_000_000).prop_map(|(peer, rate)| Step::Gives(peer, rate)),
        3 => (peer(), 0u64..1_000_000).prop_map(|(peer, rate)| Step::Takes(peer, rate)),
        4 => (1u64..15_000).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The rig checks after every step that commands change something, that nobody flips twice within ten seconds,
    /// and the choker's own invariants: slots are never exceeded and only held by those who want something.
    #[test]
    fn no_history_breaks_the_rule(seed: u64, steps in steps()) {
        let config = ChokerConfig { connections_max: Some(8), decisions_max: 9, ..ChokerConfig::default() };
        let mut rig = Rig::with(config, seed);
        for step in steps {
            match step {
                Step::Connect(peer, address) if !rig.unchoked.contains_key(&PeerKey(peer)) => {
                    rig.connect_from(peer, address);
                }
                Step::Connect(..) => {}
                Step::Event(event) => rig.event(event),
                Step::Gives(peer, rate) => drop(rig.gives.insert(PeerKey(peer), rate)),
                Step::Takes(peer, rate) => drop(rig.takes.insert(PeerKey(peer), rate)),
                Step::Pass(millis) => rig.pass(Duration::from_millis(millis)),
            }
        }
        // Slots never stay empty while somebody could have one.
        rig.event(ChokerEvent::SetSlots(Slots::BEP_3));
        // A round later, or two for whom the first finds flipped too recently.
        rig.seconds(21);
        let waiting = rig.choker.wanting - rig.choker.slotted;
        prop_assert!(waiting == 0 || rig.choker.slots_taken() >= 5, "{waiting} wait for free slots");
    }
}
