//! libFuzzer's entry to [`potluck_fuzz::magnet`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| potluck_fuzz::magnet::run(bytes));
