//! Tokens that were issued and are not on disk, since they could not be saved or an older copy of the file was put in
//! its place: kept in memory, used from there, and saved as soon as that is possible. Until then the account is not
//! refreshed, since spending a token whose successor is not on disk could lose it.

use std::sync::Arc;
use std::time::Duration;

use super::record::Record;
use super::{Inner, RefreshError, Refresher, flight};
use crate::account::{Account, Credential, Identity, OAuth};
use crate::chain::ErrorChain;
use crate::claude::oauth::Grant;
use crate::events::Kind;
use crate::id::AccountId;
use crate::pool::Trouble;
use crate::secret::RefreshToken;
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

/// The tokens that were saved last.
#[derive(Debug)]
pub(super) struct Latest {
    /// The refresh token that was spent for them.
    spent: RefreshToken,
    account: Account,
}

impl Latest {
    /// What an older copy of the file lacks; `None` where `found` is none.
    pub(super) fn lacking_in(&self, found: &Account) -> Option<Unsaved> {
        let is_older = found.oauth()?.refresh.as_ref() == Some(&self.spent);
        let tokens = self.account.oauth().filter(|_| is_older)?.clone();
        let issued_at = self.account.last_refresh?;
        let grant = Grant { tokens, scope: None, identity: Identity::default(), issued_at };
        Some(Unsaved { spent: found.clone(), grant })
    }
}

/// Takes over tokens that could not be saved: they serve from now on, and are saved later.
pub(super) fn keep(inner: &Arc<Inner>, unsaved: Unsaved, reservation: Reservation, error: &StoreError) {
    tracing::error!(error = %ErrorChain(error), "a new token cannot be saved yet and is kept in memory");
    inner.metrics.save_failed();
    let unsaved = Arc::new(unsaved);
    let id = &unsaved.spent.id;
    // Known before it is published: from then on no scan of the directory puts the older token back.
    inner.records().entry(id.clone()).or_default().unsaved = Some(Arc::clone(&unsaved));
    inner.pool.replace(unsaved.apply(unsaved.spent.clone()));
    mark(inner, id, Some(error));
    inner.tell(id, Kind::Unsaved, || ErrorChain(error).to_string());
    inner.tasks.spawn(save_later(Arc::clone(inner), unsaved, reservation, SAVE_RETRY));
}

/// Puts the newest tokens into `found` where that is an older copy of its file, as of an editor that held it open over
/// a refresh. Returns whether it is: its refresh token is spent.
pub(super) fn mend(inner: &Arc<Inner>, found: &Account) -> bool {
    let unsaved = {
        let mut records = inner.records();
        let Some(record) = records.get_mut(&found.id) else { return false };
        let lacking = record.latest.as_ref().and_then(|latest| latest.lacking_in(found));
        let Some(unsaved) = lacking.map(Arc::new) else { return false };
        if record.unsaved.is_some() || record.closed {
            return true;
        }
        record.unsaved = Some(Arc::clone(&unsaved));
        unsaved
    };
    tracing::warn!(account.id = %found.id, "an older copy of the account's file was put in its place: its newest tokens are put into it");
    let reservation = inner.store.unreserved();
    inner.tasks.spawn(save_later(Arc::clone(inner), unsaved, reservation, Duration::ZERO));
    true
}

async fn save_later(
    inner: Arc<Inner>,
    unsaved: Arc<Unsaved>,
    mut reservation: Reservation,
    mut pause: Duration,
) {
    let (id, file) = (&unsaved.spent.id, &unsaved.spent.file);
    loop {
        let last_try = inner.tasks.is_stopping();
        if !last_try {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
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
                    if let Some(spent) = unsaved.spent.oauth().and_then(|tokens| tokens.refresh.as_ref()) {
                        inner.remember_latest(id, spent, &saved.account);
                    }
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
                (reservation, pause) = (given_back, SAVE_RETRY);
            }
        }
    }
}

impl Refresher {
    /// The account with its newest tokens, where its file holds the ones spent for them: those are in memory only, or
    /// an older copy of the file was put in its place.
    #[must_use]
    pub fn newest(&self, account: Account) -> Account {
        let records = self.0.records();
        let Some(record) = records.get(&account.id) else { return account };
        let lacking = || record.latest.as_ref().and_then(|latest| latest.lacking_in(&account));
        match &record.unsaved {
            Some(unsaved) if unsaved.applies_to(&account) => unsaved.apply(account),
            _ => match lacking() {
                Some(lacking) => lacking.apply(account),
                None => account,
            },
        }
    }

    /// As [`Refresher::newest`], of what its file was found to hold; and an older copy of the file gets the newest
    /// tokens. Other tokens that are found during a refresh are its own business: it writes them before it publishes
    /// them, and reads the file again at its end.
    #[must_use]
    pub fn found(&self, account: Account) -> Account {
        mend(&self.0, &account);
        let account = self.newest(account);
        let in_flight = self.0.records().get(&account.id).is_some_and(|record| record.flight.is_some());
        let known = self.0.pool.get(&account.id).filter(|known| {
            in_flight && known.account.file == account.file && !known.account.differs_beyond_tokens(&account)
        });
        known.map_or(account, |known| known.account.clone())
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
            if record.failure.as_ref().is_some_and(|(_, why)| matches!(**why, RefreshError::Unsaved)) {
                // What held the refreshes up is over.
                (record.failure, record.strikes) = (None, 0);
            }
        }
        self.wake.notify_one();
    }

    /// `spent` is worth nothing any more: `account` has what it was spent for, and has it on disk.
    pub(super) fn remember_latest(&self, id: &AccountId, spent: &RefreshToken, account: &Account) {
        let is_other = |tokens: &OAuth| tokens.refresh.as_ref().is_some_and(|token| token != spent);
        if account.id == *id && account.oauth().is_some_and(is_other) {
            let latest = Latest { spent: spent.clone(), account: account.clone() };
            self.records().entry(id.clone()).or_default().latest = Some(latest);
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
