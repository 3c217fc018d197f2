//! libFuzzer's entry to [`potluck_fuzz::session`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| potluck_fuzz::session::run(bytes));
