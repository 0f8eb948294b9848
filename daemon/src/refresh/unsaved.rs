//! Tokens that were issued and could not be saved: kept in memory, used from there, and saved as soon as that
//! is possible. Until then the account is not refreshed, since spending a token whose successor is not on
//! disk could lose it.

use std::sync::Arc;
use std::time::Duration;

use super::{Inner, Record, flight};
use crate::account::{Account, Credential, OAuth};
use crate::chain::ErrorChain;
use crate::claude::oauth::Grant;
use crate::events::Kind;
use crate::id::AccountId;
use crate::pool::Trouble;
use crate::store::{Reservation, StoreError, Unusable};

/// Between tries to save.
const SAVE_RETRY: Duration = Duration::from_secs(2);

/// What was issued, and to whom.
#[derive(Debug)]
pub(super) struct Unsaved {
    /// The account as it was when its token was spent.
    pub(super) spent: Account,
    pub(super) grant: Grant,
}

impl Unsaved {
    /// Whether `found` is still the login whose token was spent. An older copy of its file that came back is:
    /// it holds a token that is spent, too.
    pub(super) fn applies_to(&self, found: &Account) -> bool {
        let refresh = |account: &Account| account.oauth().and_then(|tokens| tokens.refresh.clone());
        let same_token = refresh(found) == refresh(&self.spent);
        same_token || (found.id == self.spent.id && found.last_refresh <= self.spent.last_refresh)
    }

    pub(super) fn apply(&self, mut account: Account) -> Account {
        let issued = &self.grant.tokens;
        let kept = || account.oauth().and_then(|old| old.refresh.clone());
        let refresh = issued.refresh.clone().or_else(kept);
        account.credential = Credential::OAuth(OAuth { refresh, ..issued.clone() });
        account.last_refresh = Some(self.grant.issued_at);
        account.needs_login = None;
        account
    }
}

/// Takes over tokens that could not be saved: they serve from now on, and are saved later.
pub(super) fn keep(inner: &Arc<Inner>, unsaved: Unsaved, reservation: Reservation, error: &StoreError) {
    tracing::error!(error = %ErrorChain(error), "a new token cannot be saved yet and is kept in memory");
    let unsaved = Arc::new(unsaved);
    let id = &unsaved.spent.id;
    // Known before it is published: from then on no scan of the directory puts the older token back.
    inner.records().entry(id.clone()).or_default().unsaved = Some(Arc::clone(&unsaved));
    inner.pool.replace(unsaved.apply(unsaved.spent.clone()));
    mark(inner, id, Some(error));
    inner.tell(id, Kind::Unsaved, || ErrorChain(error).to_string());
    inner.tasks.spawn(save_later(Arc::clone(inner), unsaved, reservation));
}

async fn save_later(inner: Arc<Inner>, unsaved: Arc<Unsaved>, mut reservation: Reservation) {
    let (id, file) = (&unsaved.spent.id, &unsaved.spent.file);
    loop {
        let last_try = inner.tasks.is_stopping();
        if !last_try {
            tokio::select! {
                () = tokio::time::sleep(SAVE_RETRY) => {}
                () = inner.tasks.stopping() => {}
            }
        }
        if !inner.still_unsaved(&unsaved) {
            // The account logged in again or was revoked: these tokens are of the past.
            return;
        }
        match flight::write(&inner, reservation, &unsaved).await {
            Ok(saved) => {
                tracing::info!(account.id = %id, "the token kept in memory is saved");
                return inner.settle_unsaved(&unsaved, || {
                    if saved.account.id != *id {
                        inner.pool.remove_file(id, file);
                    }
                    flight::publish(&inner, saved.account);
                    inner.tell(id, Kind::Saved, String::new);
                });
            }
            Err((StoreError::Unusable(Unusable::Gone), _)) => {
                return inner.settle_unsaved(&unsaved, || inner.pool.remove_file(id, file));
            }
            Err((error, _)) if last_try => {
                tracing::error!(account.id = %id, error = %ErrorChain(&error), "stopping with an unsaved token: the account needs a new login");
                return;
            }
            Err((error, given_back)) => {
                mark(&inner, id, Some(&error));
                reservation = given_back;
            }
        }
    }
}

impl Inner {
    pub(super) fn has_unsaved(&self, id: &AccountId) -> bool {
        self.records().get(id).is_some_and(|record| record.unsaved.is_some())
    }

    fn still_unsaved(&self, unsaved: &Arc<Unsaved>) -> bool {
        let is_it =
            |record: &Record| record.unsaved.as_ref().is_some_and(|known| Arc::ptr_eq(known, unsaved));
        self.records().get(&unsaved.spent.id).is_some_and(is_it)
    }

    /// The tokens are saved, or nobody's any more.
    fn settle_unsaved(&self, unsaved: &Arc<Unsaved>, publish: impl FnOnce()) {
        if !self.still_unsaved(unsaved) {
            return;
        }
        mark(self, &unsaved.spent.id, None);
        publish();
        if let Some(record) = self.records().get_mut(&unsaved.spent.id) {
            record.unsaved = None;
        }
    }
}

/// Shows it.
fn mark(inner: &Inner, id: &AccountId, error: Option<&StoreError>) {
    if let Some(member) = inner.pool.get(id) {
        let last_error = error.map(|error| format!("cannot save the newest token: {}", ErrorChain(error)));
        member.set_trouble(Trouble { unsaved: error.is_some(), last_error });
    }
}
