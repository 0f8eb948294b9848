//! Whether all is well with the daemon and with what it stands on: the auth directory, the limits of the process, the
//! provider, the accounts. It looks and tells; it changes nothing, and no credential leaves it.

mod accounts;
mod directory;
mod process;
mod upstream;

use std::sync::Arc;

use tokio::sync::Mutex;
use url::Url;

pub use accounts::warnings;

use crate::claude::OAuthClient;
use crate::clock::Clock;
use crate::pool::Pool;
use crate::reload::Watching;
use crate::store::Store;
use crate::tasks::Tasks;

/// How bad a finding is, the worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    Ok,
    /// Worth knowing, and nothing is wrong.
    Note,
    /// It serves, and will not for long, or not as well as it could.
    Warning,
    /// Something does not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is about, in words.
    pub area: String,
    pub severity: Severity,
    pub found: String,
    /// Mends it, or shows more.
    pub command: Option<String>,
}

impl Finding {
    fn new(area: impl Into<String>, severity: Severity, found: impl Into<String>) -> Self {
        Self { area: area.into(), severity, found: found.into(), command: None }
    }

    fn mended_by(self, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..self }
    }
}

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    pub store: Store,
    pub pool: Arc<Pool>,
    pub oauth: OAuthClient,
    /// What everything depends on.
    pub hosts: Vec<Url>,
    /// Whether changes of the directory are seen at once.
    pub watching: Watching,
    pub clock: Clock,
    pub tasks: Tasks,
    /// One look at a time: each asks the provider and writes a file.
    pub looking: Arc<Mutex<()>>,
}

impl Diagnosis {
    /// Looks at everything anew.
    pub async fn findings(&self) -> Vec<Finding> {
        let _looking = self.looking.lock().await;
        let store = self.store.clone();
        // A look that panicked has seen nothing.
        let directory = self.tasks.spawn_blocking(move || directory::look(&store)).await;
        let mut findings = directory.unwrap_or_default();
        findings.push(directory::watch(&self.watching));
        findings.push(process::descriptors());
        findings.extend(upstream::look(&self.oauth, &self.hosts).await);
        findings.extend(accounts::look(&self.pool.snapshot(), self.clock.now()));
        findings
    }
}
