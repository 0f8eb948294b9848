//! The one place that reads the time. Everything that decides or prints takes it as an argument.

use jiff::Timestamp;

/// The time of the system's clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// A time of the control API. A daemon that sends one outside of all calendars is taken to have sent none.
pub(crate) fn from_proto(time: prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// A time for the control API.
pub(crate) fn to_proto(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}
