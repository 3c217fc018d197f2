//! Up to four messages in turn with the processor's own instructions for SHA-1.
//!
//! Four rounds are one instruction, and each needs the result of the one before: a single message waits for it most of
//! the time. Other messages fill the gaps.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_extract_epi32, _mm_loadu_si128, _mm_set_epi32, _mm_set_epi64x,
    _mm_setzero_si128, _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32,
    _mm_shuffle_epi8, _mm_xor_si128,
};

use crate::{
    BLOCK_LENGTH,
    kernel::{Lanes, State},
};

/// Appends blocks to the first `streams` lanes, at most four; there must be equally many for each.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
pub(super) fn compress(state: &mut State, lanes: &Lanes<'_>, streams: usize) {
    match streams {
        0 => {}
        1 => compress_some::<1>(state, lanes),
        2 => compress_some::<2>(state, lanes),
        3 => compress_some::<3>(state, lanes),
        _ => compress_some::<4>(state, lanes),
    }
}

/// The variables of one message. `abcd` has `a` in its highest word, `e` has it there too.
#[derive(Clone, Copy)]
struct Variables {
    abcd: __m128i,
    e: __m128i,
}

/// Four rounds of each of the messages, number `$group` of 20, with the function and constant of `$function`.
macro_rules! four_rounds {
    ($variables:ident $words:ident $group:literal $function:literal) => {
        for (lane, words) in $variables.iter_mut().zip(&mut $words) {
            if $group >= 4 {
                let [w16, w12, w8, w4] = [0, 1, 2, 3].map(|back: usize| words[($group + back) % 4]);
                let mixed = _mm_xor_si128(_mm_sha1msg1_epu32(w16, w12), w8);
                words[$group % 4] = _mm_sha1msg2_epu32(mixed, w4);
            }
            let word = words[$group % 4];
            let mixed_in =
                if $group == 0 { _mm_add_epi32(lane.e, word) } else { _mm_sha1nexte_epu32(lane.e, word) };
            let abcd = _mm_sha1rnds4_epu32::<$function>(lane.abcd, mixed_in);
            *lane = Variables { abcd, e: lane.abcd };
        }
    };
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn compress_some<const STREAMS: usize>(state: &mut State, lanes: &Lanes<'_>) {
    let mut variables = [Variables { abcd: _mm_setzero_si128(), e: _mm_setzero_si128() }; STREAMS];
    for (number, lane) in variables.iter_mut().enumerate() {
        *lane = load_state(state, number);
    }
    for block in 0..lanes[0].len() {
        let before = variables;
        let mut words = [[_mm_setzero_si128(); 4]; STREAMS];
        for (words, blocks) in words.iter_mut().zip(lanes) {
            *words = load_block(&blocks[block]);
        }
        four_rounds!(variables words 0 0);
        four_rounds!(variables words 1 0);
        four_rounds!(variables words 2 0);
        four_rounds!(variables words 3 0);
        four_rounds!(variables words 4 0);
        four_rounds!(variables words 5 1);
        four_rounds!(variables words 6 1);
        four_rounds!(variables words 7 1);
        four_rounds!(variables words 8 1);
        four_rounds!(variables words 9 1);
        four_rounds!(variables words 10 2);
        four_rounds!(variables words 11 2);
        four_rounds!(variables words 12 2);
        four_rounds!(variables words 13 2);
        four_rounds!(variables words 14 2);
        four_rounds!(variables words 15 3);
        four_rounds!(variables words 16 3);
        four_rounds!(variables words 17 3);
        four_rounds!(variables words 18 3);
        four_rounds!(variables words 19 3);
        for (lane, before) in variables.iter_mut().zip(&before) {
            lane.e = _mm_sha1nexte_epu32(lane.e, before.e);
            lane.abcd = _mm_add_epi32(lane.abcd, before.abcd);
        }
    }
    for (number, lane) in variables.iter().enumerate() {
        store_state(state, number, lane);
    }
}

#[inline]
#[target_feature(enable = "sse2")]
#[expect(clippy::many_single_char_names, reason = "the names of FIPS 180-4")]
fn load_state(state: &State, lane: usize) -> Variables {
    let [a, b, c, d, e] = state.map(|row| row[lane].cast_signed());
    Variables { abcd: _mm_set_epi32(a, b, c, d), e: _mm_set_epi32(e, 0, 0, 0) }
}

#[inline]
#[target_feature(enable = "sse2,sse4.1")]
fn store_state(state: &mut State, lane: usize, variables: &Variables) {
    let words = [
        _mm_extract_epi32::<3>(variables.abcd),
        _mm_extract_epi32::<2>(variables.abcd),
        _mm_extract_epi32::<1>(variables.abcd),
        _mm_extract_epi32::<0>(variables.abcd),
        _mm_extract_epi32::<3>(variables.e),
    ];
    for (row, word) in state.iter_mut().zip(words) {
        row[lane] = word.cast_unsigned();
    }
}

/// The 16 words of a block, the first in the highest place of the first vector.
#[inline]
#[target_feature(enable = "sse2,ssse3")]
fn load_block(block: &[u8; BLOCK_LENGTH]) -> [__m128i; 4] {
    // Words are big-endian in the message.
    let swap = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
    let mut words = [_mm_setzero_si128(); 4];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<16>().0) {
        // SAFETY: the chunk is 16 bytes long, and the load asks for no alignment.
        *word = unsafe { _mm_shuffle_epi8(_mm_loadu_si128(bytes.as_ptr().cast()), swap) };
    }
    words
}
