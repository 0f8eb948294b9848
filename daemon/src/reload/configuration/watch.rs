//! The watch on the configuration's directory and its drop-ins (`config.watch`). Like that on the auth directory it carries no
//! data: something may be otherwise, so everything is read.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::watch::{Watch, Watching};

/// What an editor does to a file, and a package to several, causes one reload.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// Between two looks whether the directories are still those that are watched.
const LOOK: Duration = Duration::from_secs(30);

/// Watches for as long as it lives.
pub struct ConfigurationWatch {
    watches: Vec<Watch>,
    woken: mpsc::Receiver<()>,
}

impl ConfigurationWatch {
    /// Directories that are not there yet are watched once they are.
    pub fn new<'a>(directories: impl IntoIterator<Item = &'a Path>) -> Self {
        let (wake, woken) = mpsc::channel(1);
        // What changed between the last reading and the watch raises no event.
        let _first = wake.try_send(());
        let watch = |dir: &'a Path| {
            Watch::new(dir, "the directory of the configuration", wake.clone(), Watching::default())
        };
        Self { watches: directories.into_iter().map(watch).collect(), woken }
    }

    /// Resolves when something may have changed. Dropped before, it has missed nothing.
    pub async fn changed(&mut self) {
        loop {
            tokio::select! {
                _ = self.woken.recv() => {
                    tokio::time::sleep(DEBOUNCE).await;
                    // What came meanwhile is read with it.
                    let _seen = self.woken.try_recv();
                    self.follow();
                    return;
                }
                () = tokio::time::sleep(LOOK) => if self.follow() { return },
            }
        }
    }

    /// Whether a directory is another than the one that was watched.
    fn follow(&mut self) -> bool {
        // Each of them looks, whatever the others saw.
        self.watches.iter_mut().filter_map(|watch| watch.follow().then_some(())).count() > 0
    }
}

impl std::fmt::Debug for ConfigurationWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigurationWatch").finish_non_exhaustive()
    }
}
