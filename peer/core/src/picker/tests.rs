//! The picker's rules, one by one.

use potluck_common::{Bitfield, BlockSpan, Duration, Geometry, Instant, PieceIndex, limits::BLOCK_LENGTH};

use super::{Order, Outcome, PickLimits, Picker, PickerConfig, Priority};
use crate::PeerKey;

const A: PeerKey = PeerKey(1);
const B: PeerKey = PeerKey(2);
const C: PeerKey = PeerKey(3);
const NOW: Instant = Instant::from_secs(100);

/// A torrent of `pieces` pieces of four blocks each.
fn geometry(pieces: u32) -> Geometry {
    Geometry::new(u64::from(pieces) * 4 * u64::from(BLOCK_LENGTH), 4 * u64::from(BLOCK_LENGTH))
        .expect("valid")
}

fn picker(pieces: u32, config: PickerConfig) -> Picker {
    Picker::new(geometry(pieces), &Bitfield::empty(pieces), 7, config)
}

fn rarest_first() -> PickerConfig {
    PickerConfig { random_first_pieces: 0, ..PickerConfig::default() }
}

fn at(pieces: u32, number: u32) -> PieceIndex {
    geometry(pieces).piece(number).expect("exists")
}

fn bits(pieces: u32, numbers: &[u32]) -> Bitfield {
    let mut field = Bitfield::empty(pieces);
    for number in numbers {
        field.insert(at(pieces, *number));
    }
    field
}

fn numbers(spans: &[BlockSpan]) -> Vec<(u32, u32)> {
    spans.iter().map(|span| (span.piece.get(), span.begin / BLOCK_LENGTH)).collect()
}

fn pick(picker: &mut Picker, peer: PeerKey, has: &Bitfield, count: u32) -> Vec<BlockSpan> {
    let spans = picker.pick(NOW, peer, has, count, PickLimits::default());
    picker.assert_invariants();
    spans
}

fn fast() -> PickLimits<'static> {
    PickLimits { rate_bytes_per_second: 1 << 30, ..PickLimits::default() }
}

#[test]
fn the_rarest_piece_comes_first_and_its_blocks_in_order() {
    let mut picker = picker(4, rarest_first());
    let everything = Bitfield::full(4);
    picker.peer_added(&everything);
    picker.peer_added(&bits(4, &[0, 1, 3]));
    picker.peer_added(&bits(4, &[0, 1]));
    picker.peer_has(at(4, 0));
    assert_eq!([0, 1, 2, 3].map(|number| picker.availability(at(4, number))), [4, 3, 1, 2]);
    let spans = pick(&mut picker, A, &everything, 6);
    assert_eq!(numbers(&spans), [(2, 0), (2, 1), (2, 2), (2, 3), (3, 0), (3, 1)]);
    assert!(pick(&mut picker, B, &bits(4, &[2]), 5).is_empty(), "all blocks of the only piece are asked for");
}

#[test]
fn a_lone_seed_is_asked_for_what_nobody_else_has_before_what_others_have_begun() {
    let mut picker = picker(6, rarest_first());
    let (everything, some) = (Bitfield::full(6), bits(6, &[0, 1, 2]));
    picker.peer_added(&everything);
    picker.peer_added(&some);
    // B begins pieces that the seed has too, and leaves them open.
    let begun = pick(&mut picker, B, &some, 9);
    for span in &begun {
        picker.released(B, *span);
    }
    let from_seed: Vec<u32> = numbers(&pick(&mut picker, A, &everything, 12)).iter().map(|n| n.0).collect();
    assert!(from_seed.iter().all(|number| *number >= 3), "{from_seed:?}");
    let rest: Vec<u32> = numbers(&pick(&mut picker, A, &everything, 12)).iter().map(|n| n.0).collect();
    assert!(rest.iter().all(|number| *number < 3) && rest.len() == 12, "then what is under way: {rest:?}");
    // What the seed left unfinished comes before anything new of it.
    let mut picker = Picker::new(geometry(6), &Bitfield::empty(6), 8, rarest_first());
    picker.peer_added(&everything);
    let first = pick(&mut picker, A, &everything, 2);
    picker.released(A, first[0]);
    picker.released(A, first[1]);
    let again = picker.pick(NOW + Duration::from_secs(5), C, &everything, 2, PickLimits::default());
    assert_eq!(first, again);
}

#[test]
fn priorities_and_skips_are_kept() {
    let mut picker = picker(4, rarest_first());
    let everything = Bitfield::full(4);
    picker.peer_added(&everything);
    picker.set_priority(at(4, 0), Priority::Skip);
    picker.set_priority(at(4, 1), Priority::Low);
    picker.set_priority(at(4, 3), Priority::High);
    let order: Vec<_> = pick(&mut picker, A, &everything, 99).iter().map(|span| span.piece.get()).collect();
    assert_eq!(order, [3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1]);
    assert_eq!(picker.wanted_left(), 3);
    assert!(!picker.is_interesting(&bits(4, &[0])));
    let cancelled = picker.set_priority(at(4, 3), Priority::Skip);
    assert_eq!(cancelled.len(), 4);
    picker.assert_invariants();
    assert_eq!(picker.received(A, cancelled[0].1).outcome, Outcome::Unwanted);
}

#[test]
fn sequential_goes_from_first_to_last() {
    let mut picker = picker(4, PickerConfig { order: Order::Sequential, ..rarest_first() });
    picker.peer_added(&Bitfield::full(4));
    let order: Vec<_> =
        pick(&mut picker, A, &Bitfield::full(4), 16).iter().map(|span| span.piece.get()).collect();
    assert!(order.is_sorted());
}

#[test]
fn fast_peers_get_pieces_of_their_own_and_help_slow_ones() {
    let mut picker = picker(8, rarest_first());
    let everything = Bitfield::full(8);
    picker.peer_added(&everything);
    let of_a = picker.pick(NOW, A, &everything, 2, fast());
    let of_b = picker.pick(NOW, B, &everything, 2, fast());
    assert_ne!(of_a[0].piece, of_b[0].piece);
    let of_c = pick(&mut picker, C, &everything, 1);
    assert!(
        of_c[0].piece != of_a[0].piece && of_c[0].piece != of_b[0].piece,
        "a slow peer holds up no fast one"
    );
    let more_of_a = picker.pick(NOW, A, &everything, 4, fast());
    assert_eq!(more_of_a[1].piece, of_a[0].piece, "its own first");
    assert_eq!(more_of_a[2].piece, of_c[0].piece, "then what a slow peer began");
}

#[test]
fn new_pieces_are_bounded() {
    let mut picker = picker(8, rarest_first());
    let everything = Bitfield::full(8);
    picker.peer_added(&everything);
    let limits = PickLimits { start_pieces_max: 2, ..PickLimits::default() };
    assert_eq!(picker.pick(NOW, A, &everything, 99, limits).len(), 8);
    assert_eq!(picker.started_pieces().len(), 2);
}

#[test]
fn only_allowed_pieces_while_choked() {
    let mut picker = picker(8, rarest_first());
    let everything = Bitfield::full(8);
    picker.peer_added(&everything);
    let allowed = [at(8, 5), at(8, 2)];
    let limits = PickLimits { allowed: Some(&allowed), ..PickLimits::default() };
    let spans = picker.pick(NOW, A, &everything, 99, limits);
    assert_eq!(spans.len(), 8);
    assert!(spans.iter().all(|span| allowed.contains(&span.piece)));
}

#[test]
fn a_block_counts_once_and_others_are_cancelled() {
    let mut picker = picker(1, rarest_first());
    let everything = Bitfield::full(1);
    picker.peer_added(&everything);
    let spans = pick(&mut picker, A, &everything, 99);
    let later = NOW + Duration::from_secs(60);
    let again = picker.pick(later, B, &everything, 99, fast());
    assert_eq!(again.len(), 4, "the first peer is overdue");
    let receipt = picker.received(B, spans[0]);
    assert_eq!((receipt.outcome, receipt.cancel, receipt.piece_complete), (Outcome::New, vec![A], false));
    assert_eq!(picker.received(A, spans[0]).outcome, Outcome::Duplicate);
    for span in &spans[1..3] {
        picker.received(A, *span);
    }
    assert!(picker.received(B, spans[3]).piece_complete);
    assert_eq!(picker.contributors(at(1, 0)), [Some(B), Some(A), Some(A), Some(B)]);
    picker.assert_invariants();
    picker.stored(at(1, 0));
    picker.assert_invariants();
    assert_eq!(picker.wanted_left(), 0);
    picker.lost(at(1, 0));
    picker.assert_invariants();
    assert_eq!(picker.wanted_left(), 1);
}

#[test]
fn a_failed_piece_goes_to_one_peer_only() {
    let mut picker = picker(2, rarest_first());
    let everything = Bitfield::full(2);
    picker.peer_added(&everything);
    let piece = at(2, 0);
    for span in pick(&mut picker, A, &everything, 8) {
        picker.received(A, span);
    }
    picker.failed(piece);
    picker.set_exclusive(piece, Some(B));
    picker.assert_invariants();
    assert!(pick(&mut picker, A, &everything, 8).is_empty());
    let spans = pick(&mut picker, B, &everything, 3);
    assert_eq!(numbers(&spans), [(0, 0), (0, 1), (0, 2)]);
    assert_eq!(picker.received(A, spans[0]).outcome, Outcome::Unwanted);
    picker.peer_gone(B);
    picker.assert_invariants();
    assert_eq!(pick(&mut picker, A, &everything, 8).len(), 4, "the reservation ended with its peer");
}

#[test]
fn a_reservation_that_leads_to_nothing_ends() {
    let mut picker = picker(1, rarest_first());
    let everything = Bitfield::full(1);
    picker.peer_added(&everything);
    picker.peer_added(&everything);
    picker.set_exclusive(at(1, 0), Some(B));
    let mut pick_at = |seconds, peer, count| {
        picker.pick(Instant::from_secs(seconds), peer, &everything, count, PickLimits::default()).len()
    };
    assert_eq!([pick_at(100, A, 1), pick_at(115, A, 1)], [0, 0]);
    assert_eq!(pick_at(116, A, 1), 1, "its peer was never asked");
    picker.abandon(at(1, 0));
    picker.set_exclusive(at(1, 0), Some(B));
    let mut pick_at = |seconds, peer, count| {
        picker.pick(Instant::from_secs(seconds), peer, &everything, count, PickLimits::default()).len()
    };
    assert_eq!([pick_at(200, B, 1), pick_at(380, A, 4)], [1, 0]);
    assert_eq!(pick_at(381, A, 4), 4, "it took too long");
    picker.assert_invariants();
}

#[test]
fn the_idle_piece_is_the_one_least_missed() {
    let mut picker = picker(3, rarest_first());
    let everything = Bitfield::full(3);
    picker.peer_added(&everything);
    let spans = pick(&mut picker, A, &everything, 12);
    assert_eq!(picker.idle_piece(), None, "all are asked for");
    for span in spans.iter().filter(|span| span.piece != at(3, 2) && span.begin > 0) {
        picker.released(A, *span);
    }
    assert_eq!(picker.idle_piece(), None);
    picker.received(A, geometry(3).block(at(3, 0), 0).expect("exists"));
    assert_eq!(picker.idle_piece(), Some(at(3, 0)));
    picker.released(A, geometry(3).block(at(3, 1), 0).expect("exists"));
    assert_eq!(picker.idle_piece(), Some(at(3, 1)), "nothing of it is there");
}
