//! The scenario of most trials: two parties who know only a tracker, and a payload that moves from one to the other.

use super::payload::Payload;
use super::room::Room;
use super::tracker::{self, Meeting};
use super::{Outcome, address};
use crate::clients::{Driver, Job};

/// Moves `payload` from `seeder` to `leecher`, who find each other at `meeting`, and checks every byte.
pub(crate) fn transfer(
    room: &Room,
    seeder: &dyn Driver,
    leecher: &dyn Driver,
    payload: &Payload,
    meeting: Meeting,
) -> Outcome {
    transfer_by(room, seeder, leecher, payload, meeting, Link::Torrent)
}

/// What the leecher is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Link {
    /// The torrent file.
    Torrent,
    /// A magnet link with the tracker.
    Magnet,
}

/// The same, with the leecher being given this.
pub(crate) fn transfer_by(
    room: &Room,
    seeder: &dyn Driver,
    leecher: &dyn Driver,
    payload: &Payload,
    meeting: Meeting,
    link: Link,
) -> Outcome {
    let tracker = tracker::start(room, meeting, payload.info_hash())?;
    let mut seeding = job(room, "seeder", payload, tracker.announce_url())?;
    let mut leeching = job(room, "leecher", payload, tracker.announce_url())?;
    if link == Link::Magnet {
        leeching.magnet = Some(payload.magnet(tracker.announce_url()));
    }
    if meeting.is_ipv6() {
        seeding.listen = address::unused_ipv6();
        leeching.listen = address::unused_ipv6();
    }
    payload.copy_to(&seeding.payload_folder, seeder.stores_padding())?;

    // Who must be dialled starts first, so that the other learns of it when it announces itself.
    let (mut running_seeder, mut running_leecher);
    if leecher.dials_loopback() {
        running_seeder = seeder.start(&seeding)?;
        running_seeder.wait_complete("the seeder checks its payload", room.deadline)?;
        tracker.wait_for_peers(1, room.deadline)?;
        running_leecher = leecher.start(&leeching)?;
    } else {
        running_leecher = leecher.start(&leeching)?;
        tracker.wait_for_peers(1, room.deadline)?;
        running_seeder = seeder.start(&seeding)?;
    }
    running_leecher.wait_complete("the leecher completes", room.deadline)?;
    drop(running_seeder);
    drop(running_leecher);
    payload.check_copy(&leeching.payload_folder, leecher.creates_empty_files())?;
    if !leecher.leaves_other_files() {
        payload.check_nothing_else(&leeching.payload_folder)?;
    }
    Ok(())
}

/// A party's folders, its address, and the torrent.
pub(crate) fn job(room: &Room, name: &str, payload: &Payload, announce_url: &str) -> Outcome<Job> {
    let home = room.folder(name)?;
    let torrent = home.join("it.torrent");
    payload.write_torrent(&torrent, announce_url)?;
    Ok(Job {
        torrent,
        magnet: None,
        info_hash: payload.info_hash(),
        payload_folder: room.folder(&format!("{name}-payload"))?,
        home,
        listen: address::unused(),
        interface: "lo",
        dht: None,
        lsd: false,
    })
}
