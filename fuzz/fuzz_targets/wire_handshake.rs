//! libFuzzer's entry to [`ropewalk_fuzz::targets::wire_handshake`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ropewalk_fuzz::targets::wire_handshake::run(data));
