#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gcnrec_fuzz::reader(bytes));
