//! libFuzzer's entry to [`ropewalk_fuzz::targets::bridge_rstp`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ropewalk_fuzz::targets::bridge_rstp::run(data));
