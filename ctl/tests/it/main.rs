//! Drives the real `proxyctl` against a scripted daemon on a unix socket.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod client_keys;
#[cfg(test)]
mod clients_env;
#[cfg(test)]
mod clients_run;
#[cfg(test)]
mod clients_setup;
#[cfg(test)]
mod complete;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod connect;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod goldens;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod login;
#[cfg(test)]
mod login_failures;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod process;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod revoke;
#[cfg(test)]
mod screens;
#[cfg(test)]
mod spinner;
#[cfg(test)]
mod status;
#[cfg(test)]
mod strategy;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod token;
#[cfg(test)]
mod top;
#[cfg(test)]
mod verbs;
#[cfg(test)]
mod watch;
#[cfg(test)]
mod web;
