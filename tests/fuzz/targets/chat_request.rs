//! A Chat Completions request: refused with a 400 that says why, or translated into one that upstream takes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_fuzz::requests::{chat, check};
use proxy_fuzz::wire::Dialect;

fuzz_target!(|body: &[u8]| check(body, Dialect::Chat, chat));
