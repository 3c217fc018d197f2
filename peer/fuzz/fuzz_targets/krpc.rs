//! libFuzzer's entry to [`potluck_fuzz::krpc`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| potluck_fuzz::krpc::run(bytes));
