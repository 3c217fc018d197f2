//! libFuzzer's entry to [`potluck_fuzz::lsd`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| potluck_fuzz::lsd::run(bytes));
