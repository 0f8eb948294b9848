//! The real `proxyd` and `proxyctl`, started as a person or a unit starts them: exit codes, messages, files
//! and signals.

mod browser;
mod commands;
mod crash;
mod credentials;
mod explain;
mod full_disk;
mod hardening;
mod login;
mod logs;
mod reload;
mod rights;
mod service;
mod ssh;
mod start;
mod stop;
mod verbs;
