//! The pure modules: the same input gives the same output. They do no I/O, wait for nothing and read neither
//! a clock nor the machine's randomness.

use super::source::{self, Source};
use super::{hold, uses};

/// Below `daemon/src`.
const PURE: &[&str] = &[
    "address.rs",
    "wire/",
    "account/",
    "translate/",
    "owners/journal.rs",
    "owners/mark.rs",
    "owners/record.rs",
    "owners/scan.rs",
    "stored/record.rs",
    "stored/shelf.rs",
    "keys/document.rs",
    "keys/limit.rs",
    "keys/rules.rs",
    "pool/affinity.rs",
    "pool/asked.rs",
    "pool/news.rs",
    "pool/quota.rs",
    "pool/route.rs",
    "pool/select.rs",
    "pool/health.rs",
    "refresh/schedule.rs",
    "reload/diff.rs",
    "config/diff.rs",
    "config/effect.rs",
    "claude/chunks.rs",
    "claude/classify.rs",
    "claude/ratelimit.rs",
    "claude/refusal.rs",
    "proxy/budget.rs",
    "proxy/conversation.rs",
    "proxy/headers.rs",
    "proxy/listing.rs",
    "proxy/native_events.rs",
    "proxy/steady.rs",
    "http/guard.rs",
    "http/paths.rs",
];

const IMPURE: &[&str] = &[
    // The clock. A `Timestamp` that is handed in is data.
    "crate::clock::Clock",
    "crate::clock::ManualClock",
    "crate::clock::Timestamp::now",
    "Timestamp::now",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "SystemTime::now",
    "std::time::SystemTime",
    "Instant::now",
    "std::time::Instant",
    // I/O and the machine.
    "tokio",
    "tokio_util",
    "tokio_stream",
    "std::env",
    "std::fs",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os::unix::fs",
    "std::os::unix::net",
    "std::process",
    "std::thread",
    "nix",
    "hyper",
    "hyper_util",
    "reqwest",
    "tracing",
    // Randomness.
    "getrandom",
    "uuid::Uuid::new_v4",
    "uuid::Uuid::now_v7",
    "Uuid::new_v4",
    "Uuid::now_v7",
];

fn is_pure(source: &Source) -> bool {
    PURE.iter().any(|place| source.in_daemon().starts_with(place))
}

fn broken(source: &Source) -> Vec<String> {
    let uses = uses::of(source);
    let impure = uses.paths.iter().filter(|used| IMPURE.iter().any(|impure| used.is_within(impure)));
    let impure = impure.map(|used| format!("{}:{}: {}", source.path, used.line, used.name()));
    let waits = uses.waits.iter().map(|line| format!("{}:{line}: async", source.path));
    impure.chain(waits).collect()
}

#[test]
fn pure_modules_do_no_io_wait_for_nothing_and_read_no_clock() {
    let broken: Vec<_> = source::daemon().filter(|source| is_pure(source)).flat_map(broken).collect();
    hold("pure modules take what they need as arguments", &broken);
}

#[test]
fn each_pure_module_exists() {
    for place in PURE {
        assert!(source::daemon().any(|source| source.in_daemon().starts_with(place)), "there is no {place}");
    }
}

#[test]
fn what_is_not_pure_is_found() {
    for text in [
        "use crate::clock::Clock;",
        "use crate::clock::Timestamp; fn f() { Timestamp::now(); }",
        "fn f() { std::time::Instant::now(); }",
        "use std::time::{Duration, SystemTime};",
        "use std::fs;",
        "use std::net::TcpStream;",
        "async fn f() {}",
        "fn f() { log!(tokio::task::id()); }",
        "fn f() { uuid::Uuid::new_v4(); }",
    ] {
        assert_eq!(broken(&Source::new("daemon/src/wire/sse.rs", text)).len(), 1, "{text}");
    }
}

#[test]
fn data_that_was_read_elsewhere_is_fine() {
    let text = "use crate::clock::{SignedDuration, Timestamp}; use std::net::SocketAddr; use std::io;
                #[cfg(test)] mod tests { use crate::clock::Clock; }";
    assert_eq!(broken(&Source::new("daemon/src/pool/health.rs", text)), Vec::<String>::new());
}
