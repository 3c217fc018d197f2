//! libFuzzer's entry to [`potluck_fuzz::wire`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| potluck_fuzz::wire::run(bytes));
