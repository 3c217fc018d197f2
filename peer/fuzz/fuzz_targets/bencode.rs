//! libFuzzer's entry to [`potluck_fuzz::bencode`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| potluck_fuzz::bencode::run(bytes));
