//! The harness of the integration tests: a fake of everything Claude, the real daemon in process, and helpers
//! to wait for states.
//!
//! Nothing here is part of the product, and nothing here reaches beyond loopback.

pub mod binaries;
pub mod client;
pub mod daemon;
pub mod fake_claude;
pub mod faults;
pub mod needs;
pub mod proxy_server;
pub mod sshd;
pub mod terminal;
pub mod tls_front;
pub mod wait;
