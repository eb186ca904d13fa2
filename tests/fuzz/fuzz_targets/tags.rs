#![no_main]

// The reader catches what panics in it, but the hook that libfuzzer-sys sets would end the program before that.
libfuzzer_sys::fuzz_target!(init: drop(std::panic::take_hook()), |bytes: &[u8]| harness::fuzz::tags(bytes));
