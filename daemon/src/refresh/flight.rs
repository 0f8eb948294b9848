//! One refresh, from the reservation of disk space to the publication of the new token. The order is the
//! invariant: reserve, re-read, ask, save, publish. Runs on a task of its own.

use std::sync::Arc;

use super::unsaved::{self, Unsaved};
use super::{Inner, RefreshError};
use crate::account::{Account, FileName, NeedsLogin};
use crate::chain::ErrorChain;
use crate::claude::Way;
use crate::claude::oauth::{Grant, TokenError};
use crate::id::AccountId;
use crate::pool::{Member, Trouble};
use crate::secret::RefreshToken;
use crate::store::{Edit, Loaded, Reservation, StoreError, Unusable};

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
    // Never closed, so there is always a permit to wait for.
    let _permit = inner.calls.acquire().await;
    let (reservation, current) = reserve_and_read(inner, &member.account.file).await?;
    if current.id != member.account.id {
        // The file was given to another identity, whose tokens are its own flight's business.
        return Err(RefreshError::Gone);
    }
    if is_renewed(&current, &member.account) && !super::schedule::is_stale(&current, inner.clock.now()) {
        // Somebody else wrote a newer token: use it, spend nothing.
        publish(inner, current);
        return Ok(());
    }
    if let Some(needs_login) = &current.needs_login {
        let reason = needs_login.reason.clone();
        publish(inner, current);
        return Err(RefreshError::NeedsLogin { reason });
    }
    let way = Way::of(&current).map_err(RefreshError::Closed)?;
    let token = current.renewable().ok_or(RefreshError::NotRenewable)?.clone();
    match inner.oauth.refresh(&token, &way).await {
        Ok(grant) => save(inner, reservation, current, grant).await,
        Err(TokenError::InvalidGrant { description }) => {
            let reason = description.unwrap_or_else(|| "its refresh token was refused".to_owned());
            refused(inner, reservation, current, token, reason).await
        }
        Err(error) => Err(RefreshError::Issuer(error)),
    }
}

/// Takes the space for the answer *before* the question, then reads what is to be refreshed as it is now.
async fn reserve_and_read(inner: &Inner, file: &FileName) -> Result<(Reservation, Account), RefreshError> {
    let (store, file) = (inner.store.clone(), file.clone());
    let work = move || {
        let reservation = store.reserve_update(&file).map_err(RefreshError::CannotSave)?;
        let current = store.read(&file).map_err(RefreshError::Unusable)?;
        Ok((reservation, current.account))
    };
    inner.tasks.spawn_blocking(work).await.unwrap_or(Err(RefreshError::Aborted))
}

fn is_renewed(current: &Account, known: &Account) -> bool {
    match (current.oauth(), known.oauth()) {
        (Some(current), Some(known)) => current.access != known.access,
        _ => true,
    }
}

/// Saves what the issuer gave, then publishes it. Where it cannot be saved it is published all the same,
/// marked, and the saving goes on until it succeeds or the daemon stops.
async fn save(
    inner: &Arc<Inner>,
    reservation: Reservation,
    spent: Account,
    grant: Grant,
) -> Result<(), RefreshError> {
    let unsaved = Unsaved { spent, grant };
    match write(inner, reservation, &unsaved).await {
        Ok(saved) if saved.account.id == unsaved.spent.id => {
            publish(inner, saved.account);
            Ok(())
        }
        Ok(_) | Err((StoreError::Unusable(Unusable::Gone), _)) => {
            // Deleted, or given to another identity meanwhile: so it stays.
            inner.pool.remove_file(&unsaved.spent.id, &unsaved.spent.file);
            Err(RefreshError::Gone)
        }
        Err((error, reservation)) => {
            unsaved::keep(inner, unsaved, reservation, &error);
            Ok(())
        }
    }
}

/// The issuer refused the token: no more calls until the file holds another one.
async fn refused(
    inner: &Arc<Inner>,
    reservation: Reservation,
    current: Account,
    token: RefreshToken,
    reason: String,
) -> Result<(), RefreshError> {
    let (store, since, why) = (inner.store.clone(), inner.clock.now(), reason.clone());
    let file = current.file.clone();
    let work =
        move || store.update(reservation, &file, |document| document.set_needs_login(&token, since, &why));
    match inner.tasks.spawn_blocking(work).await {
        Ok(Ok(saved)) if saved.account.needs_login.is_none() => {
            // The file holds another token by now: the refusal was of one that is spent.
            publish(inner, saved.account);
            Ok(())
        }
        Ok(Ok(saved)) => {
            publish(inner, saved.account);
            Err(RefreshError::NeedsLogin { reason })
        }
        Ok(Err((StoreError::Unusable(Unusable::Gone), _))) => {
            inner.pool.remove_file(&current.id, &current.file);
            Err(RefreshError::Gone)
        }
        Ok(Err((error, _))) => {
            // Not on disk, so at least in memory: the issuer is not asked with this token again.
            tracing::error!(error = %ErrorChain(&error), "cannot record that the account needs a new login");
            publish(
                inner,
                Account { needs_login: Some(NeedsLogin { since, reason: reason.clone() }), ..current },
            );
            Err(RefreshError::NeedsLogin { reason })
        }
        Err(_) => Err(RefreshError::Aborted),
    }
}

/// Writes the new tokens where the token that was spent for them is. Another login that was put there
/// meanwhile stays.
pub(super) async fn write(
    inner: &Inner,
    reservation: Reservation,
    unsaved: &Unsaved,
) -> Result<Loaded, (StoreError, Reservation)> {
    let store = inner.store.clone();
    let unsaved = Unsaved { spent: unsaved.spent.clone(), grant: unsaved.grant.clone() };
    let work = move || {
        store.update_if(reservation, &unsaved.spent.file, |found, document| {
            if !unsaved.applies_to(found) {
                return Edit::Leave;
            }
            let Grant { tokens, scope, issued_at, .. } = &unsaved.grant;
            document.set_tokens(tokens, scope.as_deref(), *issued_at);
            Edit::Write
        })
    };
    match inner.tasks.spawn_blocking(work).await {
        Ok(result) => result,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

pub(super) fn publish(inner: &Inner, account: Account) {
    if let Some(member) = inner.pool.get(&account.id) {
        member.set_trouble(Trouble { last_error: None, ..member.trouble() });
    }
    inner.pool.replace(account);
}
