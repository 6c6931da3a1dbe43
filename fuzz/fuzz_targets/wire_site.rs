//! libFuzzer's entry to [`ropewalk_fuzz::targets::wire_site`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ropewalk_fuzz::targets::wire_site::run(data));
