//! Sixteen lanes in AVX-512.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32, _mm512_set4_epi32,
    _mm512_shuffle_epi8, _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_ternarylogic_epi32,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

use super::rounds;
use crate::{
    BLOCK_LENGTH,
    kernel::{Lanes, State},
};

const LANES: usize = 16;

/// Appends blocks to every lane; there must be equally many for each.
#[target_feature(enable = "avx512f,avx512bw")]
#[expect(clippy::many_single_char_names, reason = "the names of FIPS 180-4")]
pub(super) fn compress(state: &mut State, lanes: &Lanes<'_>) {
    let [mut a, mut b, mut c, mut d, mut e] = load_state(state);
    for number in 0..lanes[0].len() {
        let mut words = load_blocks(lanes, number);
        let before = [a, b, c, d, e];
        rounds!(a b c d e words);
        (a, b, c) = (add(a, before[0]), add(b, before[1]), add(c, before[2]));
        (d, e) = (add(d, before[3]), add(e, before[4]));
    }
    store_state(state, &[a, b, c, d, e]);
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_state(state: &State) -> [__m512i; 5] {
    let mut words = [splat(0); 5];
    for (word, row) in words.iter_mut().zip(state) {
        // SAFETY: the row is 16 words long, which are 64 bytes, and the load asks for no alignment.
        *word = unsafe { _mm512_loadu_si512(row.as_ptr().cast()) };
    }
    words
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_state(state: &mut State, words: &[__m512i; 5]) {
    for (word, row) in words.iter().zip(state) {
        // SAFETY: the row is 16 words long, which are 64 bytes, and the store asks for no alignment.
        unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), *word) };
    }
}

/// The 16 words of block `number` of each lane: vector `w` holds word `w` of all lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load_blocks(lanes: &Lanes<'_>, number: usize) -> [__m512i; 16] {
    // Words are big-endian in the message.
    let swap = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    let mut rows = [splat(0); LANES];
    for (row, blocks) in rows.iter_mut().zip(lanes) {
        let block: &[u8; BLOCK_LENGTH] = &blocks[number];
        // SAFETY: a block is 64 bytes long, and the load asks for no alignment.
        let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
        *row = _mm512_shuffle_epi8(bytes, swap);
    }
    transpose(&rows)
}

/// Word `w` of row `r` becomes word `r` of row `w`.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: &[__m512i; 16]) -> [__m512i; 16] {
    // First within squares of 4 by 4: afterwards vector 4 g + c has in its quarter q the words 4 q + c of the four
    // rows from 4 g on.
    let mut squares = *rows;
    for first in [0, 4, 8, 12] {
        let low = _mm512_unpacklo_epi32(rows[first], rows[first + 1]);
        let high = _mm512_unpackhi_epi32(rows[first], rows[first + 1]);
        let next_low = _mm512_unpacklo_epi32(rows[first + 2], rows[first + 3]);
        let next_high = _mm512_unpackhi_epi32(rows[first + 2], rows[first + 3]);
        squares[first] = _mm512_unpacklo_epi64(low, next_low);
        squares[first + 1] = _mm512_unpackhi_epi64(low, next_low);
        squares[first + 2] = _mm512_unpacklo_epi64(high, next_high);
        squares[first + 3] = _mm512_unpackhi_epi64(high, next_high);
    }
    // Then the squares change places: 0x88 takes the even quarters of both vectors, 0xdd the odd ones.
    let mut words = squares;
    for column in 0..4 {
        let even = _mm512_shuffle_i32x4::<0x88>(squares[column], squares[4 + column]);
        let odd = _mm512_shuffle_i32x4::<0xdd>(squares[column], squares[4 + column]);
        let next_even = _mm512_shuffle_i32x4::<0x88>(squares[8 + column], squares[12 + column]);
        let next_odd = _mm512_shuffle_i32x4::<0xdd>(squares[8 + column], squares[12 + column]);
        words[column] = _mm512_shuffle_i32x4::<0x88>(even, next_even);
        words[4 + column] = _mm512_shuffle_i32x4::<0x88>(odd, next_odd);
        words[8 + column] = _mm512_shuffle_i32x4::<0xdd>(even, next_even);
        words[12 + column] = _mm512_shuffle_i32x4::<0xdd>(odd, next_odd);
    }
    words
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(x: __m512i, y: __m512i) -> __m512i {
    _mm512_add_epi32(x, y)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate<const LEFT: i32, const RIGHT: i32>(x: __m512i) -> __m512i {
    const { assert!(LEFT + RIGHT == 32) };
    _mm512_rol_epi32::<LEFT>(x)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor4(x: __m512i, y: __m512i, z: __m512i, u: __m512i) -> __m512i {
    _mm512_xor_si512(xor3(x, y, z), u)
}

// The constants are truth tables: bit 4 x + 2 y + z is the result for these bits.

#[inline]
#[target_feature(enable = "avx512f")]
fn xor3(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b1001_0110>(x, y, z)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn choose(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b1100_1010>(x, y, z)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn majority(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b1110_1000>(x, y, z)
}
