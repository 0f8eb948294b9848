//! The clock that all parts of a bench share, whatever process they are.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since the machine started. 0 if there is no such clock.
pub(crate) fn now() -> u64 {
    let Ok(time) = clock_gettime(ClockId::CLOCK_MONOTONIC) else { return 0 };
    let part = |value: i64| u64::try_from(value).unwrap_or_default();
    part(time.tv_sec()) * 1_000_000_000 + part(time.tv_nsec())
}
