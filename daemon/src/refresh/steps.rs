//! What a refresh does to the disk, before the call and after it, in the order that is the invariant: reserve,
//! re-read, write down what will be asked; then save, or take back, or give up. All of it blocks, and nothing
//! here calls anybody: the flight makes the call in between, and a test lets the process die at each step.

use super::RefreshError;
use super::unsaved::Unsaved;
use crate::account::{Account, NeedsLogin};
use crate::chain::ErrorChain;
use crate::claude::Way;
use crate::claude::oauth::{Fate, Grant, TokenError};
use crate::clock::Timestamp;
use crate::secret::RefreshToken;
use crate::store::{Edit, Intent, Loaded, MOST_TRIES, Reservation, Store, StoreError, Unusable};

/// Ready to ask: there is space for the answer, and the question is on disk.
#[derive(Debug)]
pub(super) struct Asking {
    reservation: Reservation,
    current: Account,
    pub(super) token: RefreshToken,
    pub(super) way: Way,
    intent: Intent,
    /// With this one.
    pub(super) tries: usize,
}

/// How a refresh ended, by what is left to do in memory.
#[derive(Debug)]
pub(super) enum End {
    /// To be published as it is.
    Known { account: Box<Account>, result: Result<(), RefreshError> },
    /// What was issued could not be saved.
    Unsaved { unsaved: Box<Unsaved>, reservation: Reservation, error: StoreError },
    /// Deleted, or given to another identity meanwhile: so it stays.
    Gone,
    /// The account is as it was.
    Failed(RefreshError),
}

/// Everything up to the call. `is_older` says whether the file is a copy that holds a spent token, and `is_fresh`
/// whether the account's access token needs no refresh.
pub(super) fn begin(
    store: &Store,
    known: &Account,
    now: Timestamp,
    is_older: impl FnOnce(&Account) -> bool,
    is_fresh: impl FnOnce(&Account) -> bool,
) -> Result<Box<Asking>, End> {
    let failed = |error| End::Failed(error);
    let known_end = |account: Account, result| End::Known { account: Box::new(account), result };
    let reservation = store.reserve_update(&known.file).map_err(|e| failed(RefreshError::CannotSave(e)))?;
    let current = store.read(&known.file).map_err(|e| failed(RefreshError::Unusable(e)))?.account;
    if current.id != known.id {
        // The file was given to another identity, whose tokens are its own flight's business.
        return Err(failed(RefreshError::Gone));
    }
    if is_older(&current) {
        return Err(failed(RefreshError::Unsaved));
    }
    if is_renewed(&current, known) && is_fresh(&current) {
        // Somebody else wrote a newer token: use it, spend nothing.
        return Err(known_end(current, Ok(())));
    }
    if let Some(needs_login) = &current.needs_login {
        let reason = needs_login.reason.clone();
        return Err(known_end(current, Err(RefreshError::NeedsLogin { reason })));
    }
    let way = Way::of(&current).map_err(|closed| failed(RefreshError::Closed(closed)))?;
    let token = current.renewable().ok_or(RefreshError::NotRenewable).map_err(failed)?.clone();
    let tries = store.tries(&token).map_err(|e| failed(RefreshError::CannotSave(e)))?;
    if tries >= MOST_TRIES {
        return Err(give_up(store, reservation, current, &token, unknown(now)));
    }
    let intent = store.intend(&token, now).map_err(|e| failed(RefreshError::CannotSave(e)))?;
    Ok(Box::new(Asking { reservation, current, token, way, intent, tries: tries + 1 }))
}

/// Everything after the call.
pub(super) fn end(store: &Store, asking: Asking, answer: Result<Grant, TokenError>, now: Timestamp) -> End {
    let Asking { reservation, current, token, intent, tries, .. } = asking;
    let error = match answer {
        Ok(grant) => return save(store, reservation, Unsaved { spent: current, grant }),
        Err(error) => error,
    };
    match (error.fate(), error) {
        (Fate::Refused, TokenError::InvalidGrant { description }) => {
            let said = description.unwrap_or_else(|| "its refresh token was refused".to_owned());
            let reason = match tries {
                1 => said,
                _ => format!("{said} (the answer to an earlier refresh was lost, and its token with it)"),
            };
            let why = NeedsLogin { since: now, reason, serving: false };
            give_up(store, reservation, current, &token, why)
        }
        (Fate::Unknown, _) if tries >= MOST_TRIES => {
            give_up(store, reservation, current, &token, unknown(now))
        }
        (Fate::Unsent | Fate::Unused, error) => {
            if let Err(error) = store.withdraw(&intent) {
                tracing::warn!(error = %ErrorChain(&error), "a call that spent nothing counts as one that may have");
            }
            End::Failed(RefreshError::Issuer(error))
        }
        (Fate::Unknown | Fate::Refused, error) => End::Failed(RefreshError::Issuer(error)),
    }
}

/// Writes the new tokens where the token that was spent for them is. Another login that was put there
/// meanwhile stays.
pub(super) fn write(
    store: &Store,
    reservation: Reservation,
    unsaved: &Unsaved,
) -> Result<Loaded, (StoreError, Reservation)> {
    let saved = store.update_if(reservation, &unsaved.spent.file, |found, document| {
        if !unsaved.applies_to(found) {
            return Edit::Leave;
        }
        let Grant { tokens, scope, issued_at, .. } = &unsaved.grant;
        document.set_tokens(tokens, scope.as_deref(), *issued_at);
        Edit::Write
    })?;
    if let Some(spent) = unsaved.spent.oauth().and_then(|tokens| tokens.refresh.as_ref()) {
        settle(store, spent);
    }
    Ok(saved)
}

fn save(store: &Store, reservation: Reservation, unsaved: Unsaved) -> End {
    match write(store, reservation, &unsaved) {
        Ok(saved) if saved.account.id == unsaved.spent.id => {
            End::Known { account: Box::new(saved.account), result: Ok(()) }
        }
        Ok(_) | Err((StoreError::Unusable(Unusable::Gone), _)) => End::Gone,
        Err((error, reservation)) => End::Unsaved { unsaved: Box::new(unsaved), reservation, error },
    }
}

/// The token is of no use any more: no more calls until the file holds another one.
fn give_up(
    store: &Store,
    reservation: Reservation,
    current: Account,
    token: &RefreshToken,
    why: NeedsLogin,
) -> End {
    let reason = why.reason.clone();
    let saved = store.update_if(reservation, &current.file, |found, document| {
        if found.oauth().and_then(|tokens| tokens.refresh.as_ref()) != Some(token) {
            return Edit::Leave;
        }
        document.set_needs_login(token, &why);
        Edit::Write
    });
    match saved {
        // The file holds another token by now: this was about one that is spent.
        Ok(saved) if saved.account.needs_login.is_none() => {
            End::Known { account: Box::new(saved.account), result: Ok(()) }
        }
        Ok(saved) => {
            if !why.serving {
                settle(store, token);
            }
            let result = Err(RefreshError::NeedsLogin { reason });
            End::Known { account: Box::new(saved.account), result }
        }
        Err((StoreError::Unusable(Unusable::Gone), _)) => End::Gone,
        Err((error, _)) => {
            // Not on disk, so at least in memory: the issuer is not asked with this token again.
            tracing::error!(error = %ErrorChain(&error), "cannot record that the account needs a new login");
            let account = Account { needs_login: Some(why), ..current };
            End::Known { account: Box::new(account), result: Err(RefreshError::NeedsLogin { reason }) }
        }
    }
}

/// Nobody knows what became of the token, and it may not be tried any more. Nobody refused the access token.
fn unknown(since: Timestamp) -> NeedsLogin {
    let reason = "the answers to two refreshes were lost, so its refresh token may be spent; its access token \
                  is used until it ends";
    NeedsLogin { since, reason: reason.to_owned(), serving: true }
}

/// What is left behind counts for nothing: the file holds another token, or says that this one is of no use.
fn settle(store: &Store, token: &RefreshToken) {
    if let Err(error) = store.settle(token) {
        tracing::debug!(error = %ErrorChain(&error), "what was asked stays written down until the next start");
    }
}

fn is_renewed(current: &Account, known: &Account) -> bool {
    match (current.oauth(), known.oauth()) {
        (Some(current), Some(known)) => current.access != known.access,
        _ => true,
    }
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
