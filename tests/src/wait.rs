//! Waiting for a state with a deadline; never for a time.

use std::time::Duration;

/// Longer than anything a test waits for on a busy machine, shorter than anybody's patience.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The future's output.
///
/// # Panics
/// When it does not come within [`DEADLINE`]; the text names what was waited for.
#[expect(clippy::panic, reason = "the caller is a test, and this is how it fails")]
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(DEADLINE, future).await;
    waited.unwrap_or_else(|_elapsed| panic!("{what}: did not happen within {DEADLINE:?}"))
}
