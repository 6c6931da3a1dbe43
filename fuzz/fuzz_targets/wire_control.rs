//! libFuzzer's entry to [`ropewalk_fuzz::targets::wire_control`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ropewalk_fuzz::targets::wire_control::run(data));
