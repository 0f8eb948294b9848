//! One case: run with a time limit, with everything that can go wrong in it caught, and told in one line.

use std::fmt;
use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::Error;
use proxyd::tasks::Tasks;

/// Longer than any case takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// What a case shows, in a word or a number.
pub(crate) type Shown = Result<String, Error>;
type Running = Pin<Box<dyn Future<Output = Shown> + Send>>;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> Running,
}

/// This machine cannot try it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotRun(pub(crate) String);

pub(crate) enum Verdict {
    Held(String),
    Failed(String),
    NotRun(String),
}

impl Case {
    pub(crate) async fn judge(&self) -> Verdict {
        // A task of its own, so that a panic of the harness is this case's alone.
        let running = Tasks::new().spawn((self.run)());
        let aborted = running.abort_handle();
        match tokio::time::timeout(LIMIT, running).await {
            Ok(Ok(Ok(figure))) => Verdict::Held(figure),
            Ok(Ok(Err(error))) => match error.downcast::<NotRun>() {
                Ok(NotRun(why)) => Verdict::NotRun(why),
                Err(error) => Verdict::Failed(format!("{error:#}")),
            },
            Ok(Err(panicked)) => Verdict::Failed(words(panicked)),
            Err(_) => {
                aborted.abort();
                Verdict::Failed(format!("did not end within {} s", LIMIT.as_secs()))
            }
        }
    }
}

/// What a panic said.
fn words(ended: tokio::task::JoinError) -> String {
    let Ok(panic) = ended.try_into_panic() else { return "ended without a result".to_owned() };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(figure) => write!(f, "({figure})"),
            Self::Failed(why) | Self::NotRun(why) => f.write_str(why.trim_end()),
        }
    }
}

/// Waits until the condition holds, looking at it now and then.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) -> Result<Duration, Error> {
    eventually(what, || std::future::ready(Ok(condition()))).await
}

/// The same of one that takes a while to look at, and may fail at once.
pub(crate) async fn eventually<F>(what: &str, mut condition: impl FnMut() -> F) -> Result<Duration, Error>
where
    F: Future<Output = Result<bool, Error>>,
{
    let since = Instant::now();
    while !condition().await? {
        anyhow::ensure!(since.elapsed() < Duration::from_secs(30), "{what}: did not happen within 30 s");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(since.elapsed())
}
