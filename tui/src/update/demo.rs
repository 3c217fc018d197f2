//! What a message does to the demo.

use std::sync::Arc;

use potluck_common::control::{EventKind, PeerAction, PeerDecision, TorrentSnapshot};

use crate::{
    model::demo::{Demo, LOG_LINES_MAX, LogLine, Phase, Role, SPEED_SAMPLES_MAX, Tone},
    units::count,
};

/// Something that the demo's screen learns.
#[derive(Clone, Debug)]
pub enum Message {
    /// This many seconds have passed since the start; one sample of the speed is due.
    Tick(f64),
    /// The newest state of the member with this index.
    Snapshot(usize, Arc<TorrentSnapshot>),
    /// Something happened to the member with this index.
    Happened(usize, EventKind),
    /// The demo is further.
    Phase(Phase),
    /// A line for people.
    Note(String),
}

/// Changes `demo` as `message` says.
pub fn update(demo: &mut Demo, message: Message) {
    match message {
        Message::Tick(elapsed) => tick(demo, elapsed),
        Message::Snapshot(index, snapshot) => take_snapshot(demo, index, snapshot),
        Message::Happened(index, kind) => happened(demo, index, &kind),
        Message::Phase(phase) => demo.phase = phase,
        Message::Note(text) => note(demo, Tone::Plain, text),
    }
}

fn tick(demo: &mut Demo, elapsed: f64) {
    demo.elapsed = elapsed;
    if demo.phase != Phase::Sharing {
        return;
    }
    demo.speed.push_back(demo.speed_now());
    if demo.speed.len() > SPEED_SAMPLES_MAX {
        demo.speed.pop_front();
    }
}

fn take_snapshot(demo: &mut Demo, index: usize, snapshot: Arc<TorrentSnapshot>) {
    let elapsed = demo.elapsed;
    let rider = demo.free_rider().map(|rider| rider.ip);
    let Some(member) = demo.members.get_mut(index) else { return };
    let has_some = snapshot.pieces_have > 0;
    member.snapshot = Some(snapshot);
    member.joined_at.get_or_insert(elapsed);
    if let Some(rider) = rider {
        let given = member.gives(rider);
        member.gave_rider.update(given);
    }
    if member.role == Role::Seeder {
        return;
    }
    let name = member.name.clone();
    let is_first = has_some && member.first_piece_at.is_none();
    let is_done = member.is_complete() && member.complete_at.is_none();
    if is_done {
        member.gave_rider_unfinished = member.gave_rider.bytes();
    }
    if is_first {
        member.first_piece_at = Some(elapsed);
        note(demo, Tone::Plain, format!("{name} has its first piece, and something to trade"));
    }
    if is_done {
        demo.members[index].complete_at = Some(elapsed);
        note(demo, Tone::Good, format!("{name} is complete after {elapsed:.1} s"));
    }
    notice_spread(demo);
}

/// Says once that the swarm could go on without its seeder.
fn notice_spread(demo: &mut Demo) {
    let copies_enough = 2;
    if !demo.is_spread && demo.copies().iter().all(|copies| *copies >= copies_enough) {
        demo.is_spread = true;
        let given = demo.copies_given_by_seeder();
        let text = format!("every piece is out: after {given:.2} copies the seeder could leave");
        note(demo, Tone::Good, text);
    }
}

fn happened(demo: &mut Demo, index: usize, kind: &EventKind) {
    let Some(member) = demo.members.get(index) else { return };
    let name = &member.name;
    let other = |addr: &std::net::SocketAddr| {
        demo.member_at(addr.ip()).map_or_else(|| addr.to_string(), |member| member.name.clone())
    };
    let (tone, text) = match kind {
        EventKind::Decision(PeerDecision { peer, action, why, .. }) => {
            let verb = match action {
                PeerAction::Unchoke => "gives to",
                PeerAction::Choke => "stops giving to",
                PeerAction::Evict => "parts with",
            };
            (Tone::Faint, format!("{name} {verb} {}: {why}", other(peer)))
        }
        EventKind::TrackerReplied { peers, .. } => (
            Tone::Faint,
            format!("{name} asked the tracker, which knows {}", count(u64::from(*peers), "other")),
        ),
        EventKind::TrackerFailed { why, .. } => {
            (Tone::Warning, format!("{name} got no answer from the tracker: {why}"))
        }
        EventKind::PeerBanned { peer, why } => {
            (Tone::Warning, format!("{name} banned {}: {why}", other(peer)))
        }
        EventKind::HashFailed { piece, .. } => (Tone::Warning, format!("{name}: piece {piece} was damaged")),
        EventKind::PieceLost { piece, .. } => {
            (Tone::Warning, format!("{name}: piece {piece} cannot be had from the disk"))
        }
        EventKind::DiskFull { why } | EventKind::Stalled { why } => {
            (Tone::Warning, format!("{name} waits: {why}"))
        }
        EventKind::Failed { message } => (Tone::Warning, format!("{name} failed: {message}")),
        EventKind::SuperSeedEnded { why, .. } => (Tone::Plain, format!("{name} stops super-seeding: {why}")),
        EventKind::Completed { .. }
        | EventKind::Checked { .. }
        | EventKind::PeerConnected { .. }
        | EventKind::PeerDisconnected { .. }
        | EventKind::MetadataFailed { .. }
        | EventKind::MetadataComplete { .. }
        | EventKind::DiskFreed
        | EventKind::PieceFound { .. }
        | EventKind::GoalReached { .. }
        | EventKind::Resumed => return,
    };
    note(demo, tone, text);
}

fn note(demo: &mut Demo, tone: Tone, text: String) {
    demo.log.push_back(LogLine { at: demo.elapsed, text, tone });
    if demo.log.len() > LOG_LINES_MAX {
        demo.log.pop_front();
        demo.log_forgotten += 1;
    }
}
