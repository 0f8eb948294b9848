//! A whole reply of upstream's: an answer in either dialect, or upstream's fault.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_fuzz::answers::check_whole;

fuzz_target!(|body: &[u8]| check_whole(body));
