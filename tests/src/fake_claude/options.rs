//! How a fake is started. The defaults are what tests want; the program sets them from its command line.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use jiff::Timestamp;

use super::authorize::Decision;
use super::routes::Control;
use super::state::Now;

/// What a correct client never does, once it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSurprise {
    /// The drop panics, which fails the test.
    Fail,
    /// It stays in the record.
    Keep,
}

/// How a fake is started. [`Options::default`] is what tests want.
#[derive(Clone)]
pub struct Options {
    /// Loopback only.
    pub listen: SocketAddr,
    /// Life of an access token in seconds, as the token endpoint tells it.
    pub expires_in: i64,
    /// What happens at the authorize page.
    pub decision: Decision,
    pub control: Control,
    pub on_surprise: OnSurprise,
    pub now: Now,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("decision", &self.decision)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            expires_in: 8 * 3600,
            decision: Decision::Allow,
            control: Control::Off,
            on_surprise: OnSurprise::Fail,
            now: Arc::new(system_now),
        }
    }
}

/// The real time.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the fake meets the real clock; tests may pass theirs"
)]
pub fn system_now() -> Timestamp {
    Timestamp::now()
}
