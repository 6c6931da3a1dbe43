//! libFuzzer's entry to [`ropewalk_fuzz::targets::wire_payload`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ropewalk_fuzz::targets::wire_payload::run(data));
