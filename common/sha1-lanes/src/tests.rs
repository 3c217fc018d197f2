//! Every kernel against the `sha1` crate.

use proptest::prelude::*;
use sha1::{Digest as _, Sha1};

use crate::{Kernel, LANES_MAX, Sha1Digest, Sha1Lanes, lanes, sha1_many};

fn reference(messages: &[&[u8]]) -> Vec<Sha1Digest> {
    messages.iter().map(|message| Sha1::digest(message).into()).collect()
}

/// Bytes without a pattern that could hide a swap of lanes or words.
fn noise(length: usize) -> Vec<u8> {
    let mut word: u32 = 0x9e37_79b9;
    let step = |_| {
        word ^= word << 13;
        word ^= word >> 17;
        word ^= word << 5;
        word.to_le_bytes()[1]
    };
    (0..length).map(step).collect()
}

/// Hashes `messages`, of equal length, with `kernel`, in chunks of the lengths in `cuts` and then the rest.
fn check(kernel: Kernel, messages: &[&[u8]], cuts: &[usize]) {
    let mut hasher = Sha1Lanes::with_kernel(kernel, messages.len());
    let mut from = 0;
    for cut in cuts.iter().chain([&usize::MAX]) {
        let to = from + (messages[0].len() - from).min(*cut);
        let chunks: Vec<&[u8]> = messages.iter().map(|message| &message[from..to]).collect();
        hasher.update(&chunks);
        from = to;
    }
    let length = messages[0].len();
    assert_eq!(
        hasher.finish(),
        reference(messages),
        "{kernel:?}: {} messages of {length} bytes, cut {cuts:?}",
        messages.len()
    );
}

/// `streams` messages of `length` bytes, none of them aligned.
fn messages(bytes: &[u8], streams: usize, length: usize) -> Vec<&[u8]> {
    (0..streams).map(|number| &bytes[1 + number * (length + 1)..][..length]).collect()
}

#[test]
fn a_published_vector_in_every_lane() {
    // FIPS 180-4, message "abc".
    let expected = [
        0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c,
        0xd0, 0xd8, 0x9d,
    ];
    for kernel in Kernel::available() {
        let mut hasher = Sha1Lanes::with_kernel(kernel, kernel.lanes());
        hasher.update(&vec![&b"abc"[..]; kernel.lanes()]);
        assert_eq!(hasher.finish(), vec![expected; kernel.lanes()], "{kernel:?}");
    }
    assert_eq!(sha1_many(&[&b"abc"[..]; 40]), [expected; 40]);
}

#[test]
fn every_short_length_and_number_of_lanes() {
    let bytes = noise((200 + 1) * LANES_MAX + 1);
    for kernel in Kernel::available() {
        for length in 0..=200 {
            for streams in 1..=kernel.lanes() {
                check(kernel, &messages(&bytes, streams, length), &[]);
            }
        }
    }
}

#[test]
fn long_messages_and_the_borders_of_blocks() {
    let longest = 1024 * 1024 + 1;
    let bytes = noise((longest + 1) * LANES_MAX + 1);
    for kernel in Kernel::available() {
        for length in [4095, 4096, 4097, 16_384, 65_535, 65_536 + 55, 65_536 + 56, longest] {
            check(kernel, &messages(&bytes, kernel.lanes(), length), &[]);
            check(kernel, &messages(&bytes, kernel.lanes(), length), &[1, 63, 64, 65, 4000, 0, 7]);
        }
    }
}

#[test]
fn there_is_a_hasher_where_it_is_worth_it() {
    assert_eq!(lanes(), Kernel::best().map_or(1, Kernel::lanes));
    assert!(lanes() <= LANES_MAX);
    assert!(Sha1Lanes::new(0).is_none());
    assert!(Sha1Lanes::new(1).is_none());
    assert!(Sha1Lanes::new(lanes().max(4) + 1).is_none());
    assert_eq!(Sha1Lanes::new(lanes()).is_some(), lanes() > 1);
    let has_sha_ni = Kernel::available().any(|kernel| format!("{kernel:?}") == "SHA-NI");
    assert_eq!(Sha1Lanes::new(2).is_some(), has_sha_ni);
}

#[test]
#[should_panic(expected = "messages grow in step")]
fn chunks_of_different_lengths_are_a_mistake() {
    let Some(kernel) = Kernel::available().next() else { panic!("messages grow in step: not tried") };
    Sha1Lanes::with_kernel(kernel, 2).update(&[b"ab", b"a"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_chunks_give_the_same_digests(
        bytes in prop::collection::vec(any::<u8>(), 0..8000),
        streams in 1..=LANES_MAX,
        cuts in prop::collection::vec(0..300usize, 0..8),
    ) {
        for kernel in Kernel::available() {
            let streams = streams.min(kernel.lanes());
            let length = bytes.len() / streams;
            let messages: Vec<&[u8]> =
                (0..streams).map(|number| &bytes[number * length..][..length]).collect();
            check(kernel, &messages, &cuts);
        }
    }

    #[test]
    fn messages_of_any_lengths_keep_their_order(
        lengths in prop::collection::vec(prop_oneof![0..4usize, 60..68usize, 0..1000usize], 0..60),
        seed in any::<u8>(),
    ) {
        let bytes = noise(lengths.iter().sum::<usize>() + usize::from(seed));
        let mut rest = &bytes[usize::from(seed)..];
        let mut messages = Vec::new();
        for length in &lengths {
            let (message, after) = rest.split_at(*length);
            messages.push(message);
            rest = after;
        }
        prop_assert_eq!(sha1_many(&messages), reference(&messages));
    }
}
