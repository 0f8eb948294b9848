//! The fake itself: that it is on the wire what the other tests take it for.

mod client;
mod messages;
mod oauth;
mod program;
mod scripts;
