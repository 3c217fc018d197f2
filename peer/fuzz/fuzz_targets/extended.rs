//! libFuzzer's entry to [`potluck_fuzz::extended`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| potluck_fuzz::extended::run(bytes));
