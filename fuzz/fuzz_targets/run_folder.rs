#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gcnrec_fuzz::run_folder(bytes));
