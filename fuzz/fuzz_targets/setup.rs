#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sentby_fuzz::setup::holds(data));
