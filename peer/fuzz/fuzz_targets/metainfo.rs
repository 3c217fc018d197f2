//! libFuzzer's entry to [`potluck_fuzz::metainfo`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| potluck_fuzz::metainfo::run(bytes));
