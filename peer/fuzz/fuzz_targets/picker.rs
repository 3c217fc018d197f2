//! libFuzzer's entry to [`potluck_fuzz::picker`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| potluck_fuzz::picker::run(bytes));
