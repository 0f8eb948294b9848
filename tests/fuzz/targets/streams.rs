//! A stream of upstream's: in either dialect it ends as the API says, or says that it broke.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_fuzz::answers::{check_stream, events};

fuzz_target!(|stream: &[u8]| {
    if let Some(events) = events(stream, stream.len()) {
        check_stream(&events);
    }
});
