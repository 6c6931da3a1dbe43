//! libFuzzer's entry to [`ropewalk_fuzz::targets::ethernet_flow`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ropewalk_fuzz::targets::ethernet_flow::run(data));
