//! Every integration test, in one binary so that it links once.

#[cfg(test)]
mod account_settings;
#[cfg(test)]
mod accounts;
#[cfg(test)]
mod activity;
#[cfg(test)]
mod binaries;
#[cfg(test)]
mod caller;
#[cfg(test)]
mod canary;
#[cfg(test)]
mod chat;
#[cfg(test)]
mod client_keys_control;
#[cfg(test)]
mod completions;
#[cfg(test)]
mod config_reload;
mod control_tools;
#[cfg(test)]
mod data_plane;
#[cfg(test)]
mod declared_loss;
#[cfg(test)]
mod diagnosis;
#[cfg(test)]
mod ends_soon;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod fake_claude;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod keep_alive;
#[cfg(test)]
mod login;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod models;
#[cfg(test)]
mod monitoring;
#[cfg(test)]
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(test)]
mod owners;
#[cfg(test)]
mod packages;
#[cfg(test)]
mod passthrough;
#[cfg(test)]
mod passthrough_own;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod prompt_cache;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod refresh;
#[cfg(test)]
mod refresh_clock;
#[cfg(test)]
mod refresh_intent;
#[cfg(test)]
mod refresh_pace;
#[cfg(test)]
mod refresh_refused;
#[cfg(test)]
mod refresh_saved;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod setup_tokens;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod stored_responses;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod surface;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod transfer;
#[cfg(test)]
mod translation;
#[cfg(test)]
mod uploads;
#[cfg(test)]
mod upstream_limits;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod vault;
#[cfg(test)]
mod watch;
