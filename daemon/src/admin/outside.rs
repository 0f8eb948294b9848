//! The one thread that is not restricted to the daemon's own directories ([`crate::sandbox`]). A person names the directory of an
//! import and the file of an export while the daemon runs, so they lie outside of what it may open.
//!
//! It does these three pieces of file work and nothing else: it parses no request, holds no connection, and what it is told to
//! open comes from callers of the control socket with the right to it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::AdminError;
use crate::account::FileName;
use crate::store::{Candidate, DeleteError, ImportError, Source, Store, StoreError};

/// Pieces of work that wait; whoever has one more waits to hand it over.
const WAITING: usize = 8;

/// The handle to the thread, which ends with the last clone.
#[derive(Clone, Debug)]
pub struct Outside {
    jobs: mpsc::Sender<Job>,
}

type Reply<T, E> = oneshot::Sender<Result<T, E>>;

#[derive(Debug)]
enum Job {
    Read { store: Store, dir: PathBuf, reply: Reply<(Source, Vec<Candidate>), ImportError> },
    Delete { source: Arc<Source>, candidate: Candidate, reply: Reply<(), DeleteError> },
    Export { store: Store, file: FileName, path: PathBuf, reply: Reply<(), AdminError> },
}

impl Outside {
    /// Starts the thread. What it may open is what the calling thread may, so this comes before the restriction.
    pub fn start() -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING);
        thread::Builder::new().name("outside".to_owned()).spawn(move || work(waiting))?;
        Ok(Self { jobs })
    }

    /// Every account file of another directory.
    pub(super) async fn read(
        &self,
        store: Store,
        dir: PathBuf,
    ) -> Result<(Source, Vec<Candidate>), AdminError> {
        Ok(self.ask(|reply| Job::Read { store, dir, reply }).await??)
    }

    /// Deletes one of them.
    pub(super) async fn delete(
        &self,
        source: Arc<Source>,
        candidate: Candidate,
    ) -> Result<Result<(), DeleteError>, AdminError> {
        self.ask(|reply| Job::Delete { source, candidate, reply }).await
    }

    /// Writes an account to a new file.
    pub(super) async fn export(&self, store: Store, file: FileName, path: PathBuf) -> Result<(), AdminError> {
        self.ask(|reply| Job::Export { store, file, path, reply }).await?
    }

    async fn ask<T, E>(&self, job: impl FnOnce(Reply<T, E>) -> Job) -> Result<Result<T, E>, AdminError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| AdminError::Aborted)?;
        answer.await.map_err(|_| AdminError::Aborted)
    }
}

fn work(mut waiting: mpsc::Receiver<Job>) {
    while let Some(job) = waiting.blocking_recv() {
        // Whoever asked is told by the lost reply; the next one is served all the same.
        let _panicked = catch_unwind(AssertUnwindSafe(|| do_one(job)));
    }
}

fn export(store: &Store, file: &FileName, path: &Path) -> Result<(), AdminError> {
    let loaded = store.read(file).map_err(StoreError::Unusable)?;
    Ok(store.export(path, &loaded.document)?)
}

fn do_one(job: Job) {
    // Whoever asked may have gone.
    match job {
        Job::Read { store, dir, reply } => {
            let read = store.open_source(&dir).and_then(|source| Ok((source.candidates()?, source)));
            let _gone = reply.send(read.map(|(candidates, source)| (source, candidates)));
        }
        Job::Delete { source, candidate, reply } => {
            let _gone = reply.send(source.delete(&candidate));
        }
        Job::Export { store, file, path, reply } => {
            let _gone = reply.send(export(&store, &file, &path));
        }
    }
}
