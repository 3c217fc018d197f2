//! libFuzzer's entry to [`potluck_fuzz::ut_metadata`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| potluck_fuzz::ut_metadata::run(bytes));
