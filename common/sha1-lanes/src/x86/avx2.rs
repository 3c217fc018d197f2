//! Eight lanes in AVX2.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_shuffle_epi8, _mm256_slli_epi32,
    _mm256_srli_epi32, _mm256_storeu_si256, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::rounds;
use crate::{
    BLOCK_LENGTH,
    kernel::{Lanes, State},
};

const LANES: usize = 8;

/// Appends blocks to the first eight lanes; there must be equally many for each.
#[target_feature(enable = "avx2")]
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
#[target_feature(enable = "avx2")]
fn load_state(state: &State) -> [__m256i; 5] {
    let mut words = [splat(0); 5];
    for (word, row) in words.iter_mut().zip(state) {
        // SAFETY: the row is 16 words long, of which this loads 8, and the load asks for no alignment.
        *word = unsafe { _mm256_loadu_si256(row.as_ptr().cast()) };
    }
    words
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_state(state: &mut State, words: &[__m256i; 5]) {
    for (word, row) in words.iter().zip(state) {
        // SAFETY: the row is 16 words long, of which this stores 8, and the store asks for no alignment.
        unsafe { _mm256_storeu_si256(row.as_mut_ptr().cast(), *word) };
    }
}

/// The 16 words of block `number` of each lane: vector `w` holds word `w` of all lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn load_blocks(lanes: &Lanes<'_>, number: usize) -> [__m256i; 16] {
    // Words are big-endian in the message.
    let swap = _mm256_setr_epi32(
        0x0001_0203,
        0x0405_0607,
        0x0809_0a0b,
        0x0c0d_0e0f,
        0x0001_0203,
        0x0405_0607,
        0x0809_0a0b,
        0x0c0d_0e0f,
    );
    let mut left = [splat(0); LANES];
    let mut right = [splat(0); LANES];
    for ((left, right), blocks) in left.iter_mut().zip(&mut right).zip(lanes) {
        let block: &[u8; BLOCK_LENGTH] = &blocks[number];
        let (left_half, right_half) = block.split_at(BLOCK_LENGTH / 2);
        // SAFETY: half a block is 32 bytes long, and the load asks for no alignment.
        *left = _mm256_shuffle_epi8(unsafe { _mm256_loadu_si256(left_half.as_ptr().cast()) }, swap);
        // SAFETY: as above.
        *right = _mm256_shuffle_epi8(unsafe { _mm256_loadu_si256(right_half.as_ptr().cast()) }, swap);
    }
    let mut words = [splat(0); 16];
    words[..LANES].copy_from_slice(&transpose(&left));
    words[LANES..].copy_from_slice(&transpose(&right));
    words
}

/// Word `w` of row `r` becomes word `r` of row `w`.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(rows: &[__m256i; 8]) -> [__m256i; 8] {
    // First within squares of 4 by 4: afterwards vector 4 g + c has in its half h the words 4 h + c of the four rows
    // from 4 g on.
    let mut squares = *rows;
    for first in [0, 4] {
        let low = _mm256_unpacklo_epi32(rows[first], rows[first + 1]);
        let high = _mm256_unpackhi_epi32(rows[first], rows[first + 1]);
        let next_low = _mm256_unpacklo_epi32(rows[first + 2], rows[first + 3]);
        let next_high = _mm256_unpackhi_epi32(rows[first + 2], rows[first + 3]);
        squares[first] = _mm256_unpacklo_epi64(low, next_low);
        squares[first + 1] = _mm256_unpackhi_epi64(low, next_low);
        squares[first + 2] = _mm256_unpacklo_epi64(high, next_high);
        squares[first + 3] = _mm256_unpackhi_epi64(high, next_high);
    }
    // Then the squares change places: 0x20 takes the lower halves of both vectors, 0x31 the upper ones.
    let mut words = squares;
    for column in 0..4 {
        words[column] = _mm256_permute2x128_si256::<0x20>(squares[column], squares[4 + column]);
        words[4 + column] = _mm256_permute2x128_si256::<0x31>(squares[column], squares[4 + column]);
    }
    words
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(x: __m256i, y: __m256i) -> __m256i {
    _mm256_add_epi32(x, y)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const LEFT: i32, const RIGHT: i32>(x: __m256i) -> __m256i {
    const { assert!(LEFT + RIGHT == 32) };
    _mm256_or_si256(_mm256_slli_epi32::<LEFT>(x), _mm256_srli_epi32::<RIGHT>(x))
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor3(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_xor_si256(x, y), z)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor4(x: __m256i, y: __m256i, z: __m256i, u: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_xor_si256(x, y), _mm256_xor_si256(z, u))
}

#[inline]
#[target_feature(enable = "avx2")]
fn choose(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_and_si256(x, _mm256_xor_si256(y, z)), z)
}

#[inline]
#[target_feature(enable = "avx2")]
fn majority(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_and_si256(x, _mm256_xor_si256(y, z)), _mm256_and_si256(y, z))
}
