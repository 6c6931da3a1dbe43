//! libFuzzer's entry to [`ropewalk_fuzz::targets::wire_beacon`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ropewalk_fuzz::targets::wire_beacon::run(data));
