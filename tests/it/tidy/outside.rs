//! Who may touch what lies outside the daemon's own code: files, the environment, the runtime, the network,
//! and the crates that stand for them.

use super::source::{self, Source};
use super::{hold, layers, uses};

/// Each of these only in files below these paths of `daemon/src`.
const ONLY: &[(&[&str], &[&str])] = &[
    (&["notify"], &["reload/"]),
    // Claude's and a collector's, which `claude` makes the client for.
    (&["reqwest"], &["claude/", "otlp/"]),
    (&["hyper_rustls", "rustls_native_certs", "hyper_util::client"], &["claude/"]),
    (&["opentelemetry_proto"], &["otlp/"]),
    (&["rustls"], &["claude/", "http/tls.rs"]),
    (&["axum", "hyper::server", "tokio_rustls"], &["http/"]),
    (&["hyper"], &["claude/", "http/"]),
    (&["tonic", "tonic_health", "tonic_reflection"], &["control/"]),
    (&["anyhow"], &["main.rs"]),
    (&["clap"], &["cli.rs"]),
    (&["tracing_subscriber", "tracing_journald"], &["telemetry/"]),
    (&["sd_notify", "listenfd"], &["systemd/"]),
    (&["landlock"], &["sandbox.rs"]),
    // Certificates are read in transport.rs and tls.rs, the kernel's table of connections in peer.rs, and log lines are
    // written to stderr, which is a file, too, in writer.rs.
    (
        &["std::fs", "tokio::fs"],
        &[
            "store/",
            "config/",
            "socket.rs",
            "claude/transport.rs",
            "http/peer.rs",
            "http/tls.rs",
            "telemetry/writer.rs",
        ],
    ),
    (&["std::env"], &["config/"]),
    (&["std::process::Command", "tokio::process"], &[]),
];

const RUNTIME: &[&str] = &["tokio", "tokio_util", "tokio_stream"];
/// The last row that does without the runtime.
const LAST_ROW_WITHOUT_RUNTIME: usize = 2;

fn is_below(source: &Source, places: &[&str]) -> bool {
    places.iter().any(|place| source.in_daemon().starts_with(place))
}

fn has_runtime(source: &Source) -> bool {
    let module = source.module().swap_remove(0);
    // Tasks and events are what the rest does without the runtime for.
    matches!(module.as_str(), "tasks" | "events")
        || layers::row(&module).is_some_and(|row| row > LAST_ROW_WITHOUT_RUNTIME)
}

fn broken(source: &Source) -> Vec<String> {
    let denied = ONLY.iter().filter(|(_, places)| !is_below(source, places)).flat_map(|(what, _)| *what);
    let runtime = RUNTIME.iter().filter(|_| !has_runtime(source));
    let denied: Vec<_> = denied.chain(runtime).collect();
    let uses = uses::of(source).paths;
    let wrong = uses.iter().filter(|used| denied.iter().any(|denied| used.is_within(denied)));
    wrong.map(|used| format!("{}:{}: {}", source.path, used.line, used.name())).collect()
}

#[test]
fn the_outside_world_is_touched_only_where_it_is_meant_to_be() {
    let broken: Vec<_> = source::daemon().flat_map(broken).collect();
    hold("these may be used elsewhere, but not here", &broken);
}

#[test]
fn each_place_of_the_table_exists_and_uses_what_it_may() {
    let uses: Vec<_> = source::daemon().map(|source| (source, uses::of(source).paths)).collect();
    for (what, places) in ONLY {
        for place in *places {
            let here = uses.iter().filter(|(source, _)| is_below(source, &[place]));
            let mut paths = here.flat_map(|(_, paths)| paths);
            assert!(
                paths.any(|used| what.iter().any(|what| used.is_within(what))),
                "{place} may use {what:?} and does not: take it out of the table"
            );
        }
    }
}

#[test]
fn what_is_used_in_the_wrong_place_is_found() {
    for (path, text) in [
        ("daemon/src/store/scan.rs", "use notify::Watcher;"),
        ("daemon/src/login/mod.rs", "fn f(c: &reqwest::Client) {}"),
        ("daemon/src/http/server.rs", "use hyper_util::{client::legacy, rt::TokioIo};"),
        ("daemon/src/proxy/mod.rs", "use axum::Router;"),
        ("daemon/src/app.rs", "fn f() -> anyhow::Result<()> { Ok(()) }"),
        ("daemon/src/reload/mod.rs", "use std::{fs::File, io};"),
        ("daemon/src/http/guard.rs", "fn f() { ::std::fs::read(\"x\"); }"),
        ("daemon/src/claude/api.rs", "use std::env;"),
        ("daemon/src/pool/mod.rs", "use tokio::sync::watch;"),
        ("daemon/src/id.rs", "async fn f() { x!(tokio::time::sleep(d)); }"),
        ("daemon/src/login/mod.rs", "use std::process::Command;"),
    ] {
        assert_eq!(broken(&Source::new(path, text)).len(), 1, "{path}: {text}");
    }
}

#[test]
fn what_is_used_where_it_belongs_is_fine() {
    for (path, text) in [
        ("daemon/src/reload/watch.rs", "use notify::Watcher; use tokio::sync::mpsc;"),
        ("daemon/src/http/server.rs", "use hyper_util::rt::TokioIo; use axum::Router;"),
        ("daemon/src/store/atomic.rs", "use std::fs::File; #[cfg(test)] mod tests { use tokio::fs; }"),
        ("daemon/src/tasks.rs", "use tokio_util::task::TaskTracker;"),
        ("daemon/src/pool/mod.rs", "use std::os::unix::fs::MetadataExt; fn f(notify: u8) { notify; }"),
    ] {
        assert_eq!(broken(&Source::new(path, text)), Vec::<String>::new(), "{path}: {text}");
    }
}
