//! One refresh, from the reservation of disk space to the publication of the new token. The order is the invariant: reserve, re-read,
//! ask, save, publish. Runs on a task of its own.

use std::sync::Arc;
use std::time::Duration;

use super::{Inner, RefreshError};
use crate::account::{Account, Credential, FileName, NeedsLogin, OAuth};
use crate::chain::ErrorChain;
use crate::claude::oauth::{Grant, TokenError};
use crate::id::AccountId;
use crate::pool::{Member, Trouble};
use crate::secret::RefreshToken;
use crate::store::{Edit, Loaded, Reservation, StoreError, Unusable};

/// Between tries to save a token that is in memory only.
const SAVE_RETRY: Duration = Duration::from_secs(2);

pub(super) async fn fly(inner: &Arc<Inner>, id: &AccountId) -> Result<(), RefreshError> {
    let member = inner.pool.get(id).ok_or(RefreshError::Gone)?;
    let result = attempt(inner, &member).await;
    if let Err(error) = &result {
        member.set_trouble(Trouble { last_error: Some(ErrorChain(error).to_string()), ..member.trouble() });
    }
    result
}

async fn attempt(inner: &Arc<Inner>, member: &Member) -> Result<(), RefreshError> {
    if member.trouble().unsaved {
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
    let token = current.renewable().ok_or(RefreshError::NotRenewable)?.clone();
    match inner.oauth.refresh(&token).await {
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

/// Saves what the issuer gave, then publishes it. Where it cannot be saved it is published all the same, marked, and the saving goes on
/// until it succeeds or the daemon stops.
async fn save(
    inner: &Arc<Inner>,
    reservation: Reservation,
    current: Account,
    grant: Grant,
) -> Result<(), RefreshError> {
    match write(inner, reservation, &current, &grant).await {
        Ok(saved) => {
            let is_gone = saved.account.id != current.id;
            publish(inner, saved.account);
            if is_gone {
                // Another account's file stands in its place.
                inner.pool.remove_file(&current.id, &current.file);
                return Err(RefreshError::Gone);
            }
            Ok(())
        }
        Err((StoreError::Unusable(Unusable::Gone), _)) => {
            // Deleted meanwhile: it stays deleted.
            inner.pool.remove_file(&current.id, &current.file);
            Err(RefreshError::Gone)
        }
        Err((error, reservation)) => {
            tracing::error!(error = %ErrorChain(&error), "a new token cannot be saved yet and is kept in memory");
            // Marked first: from then on no scan of the directory puts the older token back.
            mark_unsaved(inner, &current.id, Some(&error));
            inner.pool.replace(with_tokens(current.clone(), &grant));
            let saving = save_later(Arc::clone(inner), current, reservation, grant);
            inner.tasks.spawn(saving);
            Ok(())
        }
    }
}

async fn save_later(inner: Arc<Inner>, spent: Account, mut reservation: Reservation, grant: Grant) {
    let (id, file) = (&spent.id, &spent.file);
    loop {
        let last_try = inner.tasks.is_stopping();
        if !last_try {
            tokio::select! {
                () = tokio::time::sleep(SAVE_RETRY) => {}
                () = inner.tasks.stopping() => {}
            }
        }
        match write(&inner, reservation, &spent, &grant).await {
            Ok(saved) => {
                tracing::info!(account.id = %id, "the token kept in memory is saved");
                mark_unsaved(&inner, id, None);
                if saved.account.id != *id {
                    inner.pool.remove_file(id, file);
                }
                return publish(&inner, saved.account);
            }
            Err((StoreError::Unusable(Unusable::Gone), _)) => return inner.pool.remove_file(id, file),
            Err((error, _)) if last_try => {
                tracing::error!(account.id = %id, error = %ErrorChain(&error), "stopping with an unsaved token: the account needs a new login");
                return;
            }
            Err((error, given_back)) => {
                mark_unsaved(&inner, id, Some(&error));
                reservation = given_back;
            }
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

/// Writes the new tokens where the token that was `spent` for them is. Another login that was put there meanwhile stays.
async fn write(
    inner: &Inner,
    reservation: Reservation,
    spent: &Account,
    grant: &Grant,
) -> Result<Loaded, (StoreError, Reservation)> {
    let (store, spent, grant) = (inner.store.clone(), spent.clone(), grant.clone());
    let work = move || {
        store.update_if(reservation, &spent.file, |found, document| {
            if !is_same_login(found, &spent) {
                return Edit::Leave;
            }
            document.set_tokens(&grant.tokens, grant.scope.as_deref(), grant.issued_at);
            Edit::Write
        })
    };
    match inner.tasks.spawn_blocking(work).await {
        Ok(result) => result,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// Whether the file is still that of the login whose token was spent. An older copy of it that came back is: it holds a token
/// that is spent, too.
fn is_same_login(found: &Account, spent: &Account) -> bool {
    let refresh = |account: &Account| account.oauth().and_then(|tokens| tokens.refresh.clone());
    refresh(found) == refresh(spent) || (found.id == spent.id && found.last_refresh <= spent.last_refresh)
}

fn publish(inner: &Inner, account: Account) {
    if let Some(member) = inner.pool.get(&account.id) {
        member.set_trouble(Trouble { last_error: None, ..member.trouble() });
    }
    inner.pool.replace(account);
}

fn mark_unsaved(inner: &Inner, id: &AccountId, error: Option<&StoreError>) {
    if let Some(member) = inner.pool.get(id) {
        let last_error = error.map(|error| format!("cannot save the newest token: {}", ErrorChain(error)));
        member.set_trouble(Trouble { unsaved: error.is_some(), last_error });
    }
}

fn with_tokens(mut account: Account, grant: &Grant) -> Account {
    let refresh =
        grant.tokens.refresh.clone().or_else(|| account.oauth().and_then(|old| old.refresh.clone()));
    account.credential = Credential::OAuth(OAuth { refresh, ..grant.tokens.clone() });
    account.last_refresh = Some(grant.issued_at);
    account.needs_login = None;
    account
}
