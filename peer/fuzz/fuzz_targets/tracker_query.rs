//! libFuzzer's entry to [`potluck_fuzz::tracker_query`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| potluck_fuzz::tracker_query::run(bytes));
