//! Extended handshakes that are none, or too much of one (row 2.10), and grants that are asked for again (row 2.17).

use libtest_mimic::Trial;
use potluck_common::wire::{Message, RawSpan};

use super::alone::{self, Memory};
use super::peer::{RawPeer, new_id, request};
use super::scene::{Host, Sample, UNCHANGED};
use super::{ensure, trial};
use crate::support::Outcome;
use crate::support::room::Room;

const MIB: u64 = 1024 * 1024;
const PIECE_LENGTH: u32 = 32 * 1024;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        alone::trial("row_2_10_hostile_extended_handshakes_close_and_cost_no_memory", hostile),
        trial("row_2_10_odd_extended_handshakes_are_taken_for_what_they_say", odd),
        trial("row_2_17_allowed_fast_pieces_come_once_however_often_one_reconnects", once),
    ]
}

fn sample() -> Outcome<Sample> {
    Sample::noise(64 * PIECE_LENGTH as usize, PIECE_LENGTH)
}

fn extended(payload: Vec<u8>) -> Message {
    Message::Extended { id: 0, payload: payload.into() }
}

/// `m` with so many entries.
fn many_names(count: usize) -> Vec<u8> {
    let names = (0..count).flat_map(|number| format!("6:{number:06}i1e").into_bytes());
    b"d1:md".iter().copied().chain(names).chain(*b"ee").collect()
}

/// The name of a client of so many bytes.
fn long_name(length: usize) -> Vec<u8> {
    format!("d1:v{length}:{}e", "x".repeat(length)).into_bytes()
}

async fn hostile(room: &Room) -> Outcome {
    let host = Host::seeder(room, &sample()?, UNCHANGED).await?;
    let nested = |depth: usize| [vec![b'l'; depth], vec![b'e'; depth]].concat();
    let payloads = [
        ("is no bencode", b"spam".to_vec()),
        ("ends early", b"d1:md".to_vec()),
        ("has a string that is longer than all of it", b"d1:v4294967295:xe".to_vec()),
        ("is a list", b"le".to_vec()),
        ("is nested 21 deep", [b"d1:m".to_vec(), nested(21), b"e".to_vec()].concat()),
        ("is nested 30,000 deep", nested(30_000)),
        ("is nested 400,000 deep", nested(400_000)),
        ("names 3,000 extensions", many_names(3_000)),
        ("names 100,000 extensions", many_names(100_000)),
        ("has a client's name of 500 KiB", long_name(500 * 1024)),
    ];
    host.greeted().await?;
    let memory = Memory::watch()?;
    for _ in 0..20 {
        for (what, payload) in &payloads {
            let mut peer = host.greeted().await?;
            peer.say_in_vain(&[extended(payload.clone())]).await;
            peer.ends_at_once(&format!("sent an extended handshake that {what}")).await?;
        }
    }
    memory.ensure_below(8 * MIB)?;
    // Whoever is honest meanwhile is served.
    let mut honest = host.unchoked().await?;
    let asked = request(0, 0, 16 * 1024);
    honest.still_answers(&[asked], |message| matches!(message, Message::Piece { .. })).await?;
    host.shutdown().await;
    Ok(())
}

async fn odd(room: &Room) -> Outcome {
    let sample = sample()?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    for payload in [
        &b"d1:md1:ai0e1:bi256e1:ci-1e1:di255e1:ei99999999999999999999eee"[..],
        b"d4:reqqi0ee",
        b"d4:reqqi-1ee",
        b"d4:reqqi9223372036854775807ee",
        b"d1:mi5e1:p3:abc4:reqqle1:vi7ee",
        b"d1:pi0e13:metadata_sizei-9223372036854775808ee",
        b"de and what a client pads it with",
    ] {
        let mut peer = host.unchoked().await?;
        let span = RawSpan { piece: 1, begin: 0, length: 16 * 1024 };
        let answer = sample.answer(span);
        let question = [extended(payload.to_vec()), Message::Request(span)];
        peer.still_answers(&question, |message| *message == answer)
            .await
            .map_err(|error| format!("{}: {error}", payload.escape_ascii()))?;
    }
    let mut named = host.unchoked().await?;
    let name = "\u{1b}[2J\u{202e}ab".repeat(6_000);
    named.say(&[extended(format!("d1:v{}:{name}e", name.len()).into_bytes())]).await?;
    let is_cut = |name: &str| name.chars().count() <= 64 && !name.contains(['\u{1b}', '\u{202e}']);
    host.shows("the name is cut to 64 printable characters", |snapshot| {
        let mut names = snapshot.detail.peers.iter().map(|peer| peer.client.to_string());
        names.any(|name| name.contains("[2J") && is_cut(&name))
    })
    .await?;
    host.shutdown().await;
    Ok(())
}

/// It is choked all the time, and asks for all that it was ever granted, again and again.
async fn once(room: &Room) -> Outcome {
    let sample = sample()?;
    // With a slot that somebody else has, so that it stays choked and may still have allowed-fast pieces.
    let host = Host::seeder(room, &sample, &|_, params| params.slots = Some(1)).await?;
    let mut favoured = host.unchoked().await?;
    // Two who have everything between them: whoever alone has a piece allows nothing.
    let have: Vec<Message> = (1..64).map(Message::Have).collect();
    favoured.say(&have).await?;
    let mut other = host.greeted().await?;
    other.say(&[Message::HaveNone, Message::Have(0)]).await?;
    host.shows("each piece is there twice", |snapshot| snapshot.summary.distributed_copies >= 2.0).await?;
    let id = new_id();
    let mut granted: Vec<u32> = Vec::new();
    let mut bytes = 0;
    for round in 0..5 {
        let mut peer = host.greeted_as(id).await?;
        peer.say(&[Message::HaveNone, Message::Interested]).await?;
        host.shows("its torrent knows of it", |snapshot| {
            snapshot.detail.peers.iter().filter(|peer| peer.is_interested).count() == 2
        })
        .await?;
        let Some(served) = ask_for_grants(&mut peer, &mut granted).await? else {
            // On a slow machine it is its turn for the slot, and it may have everything.
            break;
        };
        bytes += served;
        ensure((1..=10).contains(&granted.len()), || format!("{} pieces were granted", granted.len()))?;
        let most = granted.len() as u64 * u64::from(PIECE_LENGTH);
        ensure(bytes == most, || format!("{bytes} of {most} bytes were served after {} rounds", round + 1))?;
        drop(peer);
        host.shows("it is gone", |snapshot| snapshot.detail.peers.len() == 2).await?;
    }
    host.shutdown().await;
    Ok(())
}

/// Asks twice for each piece that is or was granted, and counts the bytes that come; `None` if it is unchoked meanwhile.
async fn ask_for_grants(peer: &mut RawPeer, granted: &mut Vec<u32>) -> Outcome<Option<u64>> {
    // A request that cannot be served is rejected behind whatever was said before.
    let marker = RawSpan { piece: u32::MAX, begin: 0, length: 1 };
    peer.say(&[Message::Request(marker)]).await?;
    let is_marker = |message: &Message| *message == Message::Reject(marker);
    loop {
        match peer.hear().await? {
            Message::AllowedFast(piece) => granted.push(piece),
            Message::Unchoke => return Ok(None),
            message if is_marker(&message) => break,
            _ => {}
        }
    }
    let mut requests = Vec::new();
    for _ in 0..2 {
        for piece in granted.iter() {
            requests.extend([request(*piece, 0, 16 * 1024), request(*piece, 16 * 1024, 16 * 1024)]);
        }
    }
    let mut bytes = 0;
    // One at a time, since of two equal requests that wait one is enough.
    for question in requests {
        peer.say(&[question]).await?;
        let served = peer.hear_until(|message| match message {
            Message::Piece { payload, .. } => Some(Some(payload.len() as u64)),
            Message::Reject(_) => Some(Some(0)),
            Message::Unchoke => Some(None),
            _ => None,
        });
        let Some(served) = served.await? else { return Ok(None) };
        bytes += served;
    }
    Ok(Some(bytes))
}
