//! One refresh, from the reservation of disk space to the publication of the new token. The order is the
//! invariant: reserve, re-read, write down, ask, save, publish. Runs on a task of its own.

use std::sync::Arc;

use super::steps::{self, Asking, End};
use super::unsaved::{self, Unsaved};
use super::{Inner, RefreshError};
use crate::account::Account;
use crate::chain::ErrorChain;
use crate::claude::oauth::Fate;
use crate::id::AccountId;
use crate::pool::{Member, Trouble};
use crate::store::{Loaded, Reservation, Store, StoreError};

pub(super) async fn fly(inner: &Arc<Inner>, id: &AccountId) -> Result<(), RefreshError> {
    let member = inner.pool.get(id).ok_or(RefreshError::Gone)?;
    let result = attempt(inner, &member).await;
    // A login meanwhile has a file of its own, and this trouble is not its.
    let current = inner.pool.get(id).filter(|current| current.account.file == member.account.file);
    if let (Err(error), Some(member)) = (&result, current) {
        member.set_trouble(Trouble { last_error: Some(ErrorChain(error).to_string()), ..member.trouble() });
    }
    result
}

async fn attempt(inner: &Arc<Inner>, member: &Member) -> Result<(), RefreshError> {
    if inner.has_unsaved(&member.account.id) {
        return Err(RefreshError::Unsaved);
    }
    // Never closed, so there is always a permit to wait for. A stop waits for those that ask, and not for one after
    // the other of those that do not yet: that may take longer than it is given.
    let _permit = tokio::select! {
        biased;
        permit = inner.calls.acquire() => permit,
        () = inner.tasks.stopping() => return Err(RefreshError::Stopping),
    };
    let (known, worker) = (member.account.clone(), Arc::clone(inner));
    let beginning = blocking(inner, move |store| {
        let is_older = |current: &Account| unsaved::mend(&worker, current);
        steps::begin(store, &known, worker.clock.now(), is_older, |current| !worker.is_stale(current))
    });
    let ended = match beginning.await? {
        Ok(asking) => ask(inner, &member.account.id, *asking).await?,
        Err(ended) => ended,
    };
    match ended {
        End::Known { account, result } => {
            publish(inner, *account);
            result
        }
        End::Unsaved { unsaved, reservation, error } => {
            unsaved::keep(inner, *unsaved, reservation, &error);
            Ok(())
        }
        End::Gone => {
            inner.pool.remove_file(&member.account.id, &member.account.file);
            Err(RefreshError::Gone)
        }
        End::Failed(error) => Err(error),
    }
}

async fn ask(inner: &Arc<Inner>, id: &AccountId, asking: Asking) -> Result<End, RefreshError> {
    let token = asking.token.clone();
    inner.remember_tries(&token, asking.tries);
    let asked_before = inner.mark_asked(id);
    let answer = inner.oauth.refresh(&token, &asking.way).await;
    if answer.as_ref().is_err_and(|error| error.fate() == Fate::Unsent) {
        inner.unmark_asked(id, asked_before);
    }
    let now = inner.clock.now();
    let ending = blocking(inner, move |store| {
        let ended = steps::end(store, asking, answer, now);
        // What cannot be read is taken for the worst.
        (ended, store.tries(&token).unwrap_or(crate::store::MOST_TRIES), token)
    });
    let (ended, tries, token) = ending.await?;
    inner.remember_tries(&token, tries);
    if let End::Known { account, result: Ok(()) } = &ended {
        // Before it is published: from then on no scan of the directory takes an older copy for the newest.
        inner.remember_latest(id, &token, account);
    }
    Ok(ended)
}

/// Work on the disk, off the runtime's own threads.
async fn blocking<T: Send + 'static>(
    inner: &Inner,
    work: impl FnOnce(&Store) -> T + Send + 'static,
) -> Result<T, RefreshError> {
    let store = inner.store.clone();
    inner.tasks.spawn_blocking(move || work(&store)).await.map_err(|_panicked| RefreshError::Aborted)
}

/// Tries once more to save what was issued.
pub(super) async fn write(
    inner: &Inner,
    reservation: Reservation,
    unsaved: &Unsaved,
) -> Result<Loaded, (StoreError, Reservation)> {
    let store = inner.store.clone();
    let spent = unsaved.spent.oauth().and_then(|tokens| tokens.refresh.clone());
    let unsaved = Unsaved { spent: unsaved.spent.clone(), grant: unsaved.grant.clone() };
    let work = move || steps::write(&store, reservation, &unsaved);
    let written = match inner.tasks.spawn_blocking(work).await {
        Ok(result) => result,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    if let (Ok(_), Some(spent)) = (&written, spent) {
        inner.remember_tries(&spent, 0);
    }
    written
}

pub(super) fn publish(inner: &Inner, account: Account) {
    if let Some(member) = inner.pool.get(&account.id) {
        member.set_trouble(Trouble { last_error: None, ..member.trouble() });
    }
    inner.pool.replace(account);
}
