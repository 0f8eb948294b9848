//! `proxyd` owns a pool of Claude credentials and serves them to local programs over one HTTP endpoint.
//!
//! The modules are layered; ARCHITECTURE.md says which may use which, and a test keeps it so.

pub mod account;
pub mod admin;
pub mod chain;
pub mod claude;
pub mod clock;
pub mod id;
pub mod login;
pub mod pool;
pub mod refresh;
pub mod reload;
pub mod secret;
pub mod store;
pub mod tasks;
