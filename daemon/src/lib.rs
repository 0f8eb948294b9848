//! `proxyd` owns a pool of Claude credentials and serves them to local programs over one HTTP endpoint.
//!
//! The modules are layered; ARCHITECTURE.md says which may use which, and a test keeps it so.

pub mod account;
pub mod address;
pub mod admin;
pub mod announce;
pub mod app;
pub mod chain;
pub mod claude;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod diagnosis;
pub mod events;
pub mod http;
pub mod id;
pub mod keeper;
pub mod keys;
pub mod login;
pub mod notice;
pub mod otlp;
pub mod owners;
pub mod pool;
pub mod proxy;
pub mod refresh;
pub mod reload;
pub mod sandbox;
pub mod seal;
pub mod secret;
pub mod socket;
pub mod store;
pub mod stored;
pub mod systemd;
pub mod tasks;
pub mod telemetry;
pub mod translate;
pub mod usage;
pub mod users;
pub mod wire;
