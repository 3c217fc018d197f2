//! libFuzzer's entry to [`potluck_fuzz::ut_pex`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| potluck_fuzz::ut_pex::run(bytes));
