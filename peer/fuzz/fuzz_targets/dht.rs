//! libFuzzer's entry to [`potluck_fuzz::dht`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| potluck_fuzz::dht::run(bytes));
