//! Changing what a person sets on an account.

use std::sync::Arc;

use super::{Admin, AdminError};
use crate::account::{Account, Changes, Document};
use crate::pool::Member;

impl Admin {
    /// Changes settings; with any mistake among them nothing is changed.
    pub async fn change(&self, member: &Member, changes: Changes) -> Result<Arc<Member>, AdminError> {
        self.check(&member.account, &changes)?;
        self.changed(member, move |document| document.change(&changes)).await
    }

    pub(super) async fn changed(
        &self,
        member: &Member,
        change: impl FnOnce(&mut Document) + Send + 'static,
    ) -> Result<Arc<Member>, AdminError> {
        let member = self.update(member, change).await?;
        tracing::info!(account.id = %member.account.id, "account changed");
        self.refresher.wake();
        Ok(member)
    }

    /// Switches an account off, or on again with its cooldowns forgotten.
    pub async fn set_disabled(&self, member: &Member, disabled: bool) -> Result<Arc<Member>, AdminError> {
        let member = self.update(member, move |document| document.set_disabled(disabled)).await?;
        if !disabled {
            member.forgive();
        }
        tracing::info!(account.id = %member.account.id, disabled, "account switched");
        self.refresher.wake();
        Ok(member)
    }

    /// Every mistake at once. A label names one account: it is neither another's label nor its id or e-mail address.
    pub(super) fn check(&self, account: &Account, changes: &Changes) -> Result<(), AdminError> {
        let mut mistakes = changes.mistakes(&account.credential);
        let label = changes.label.as_deref().map(str::trim).filter(|label| !label.is_empty());
        let snapshot = self.pool.snapshot();
        let others =
            snapshot.members.iter().map(|member| &member.account).filter(|other| other.id != account.id);
        let taken = label.and_then(|label| others.into_iter().find(|other| is_named(other, label)));
        mistakes.extend(taken.map(|other| format!("`label` names the account {} already", other.id)));
        if mistakes.is_empty() { Ok(()) } else { Err(AdminError::Mistakes(mistakes)) }
    }

    async fn update(
        &self,
        member: &Member,
        change: impl FnOnce(&mut Document) + Send + 'static,
    ) -> Result<Arc<Member>, AdminError> {
        let (store, file) = (self.store.clone(), member.account.file.clone());
        let work = move || {
            let reservation = store.reserve_update(&file)?;
            store.update(reservation, &file, change).map_err(|(error, _)| error)
        };
        // A token that is in memory only is newer than what the file says.
        let account = self.refresher.newest(self.blocking(work).await?.account);
        let id = account.id.clone();
        self.pool.replace(account);
        self.pool.get(&id).ok_or(AdminError::Gone)
    }
}

fn is_named(account: &Account, name: &str) -> bool {
    let email = account.identity.email.as_deref();
    account.label.as_deref() == Some(name)
        || account.id.as_str().eq_ignore_ascii_case(name)
        || email.is_some_and(|email| email.eq_ignore_ascii_case(name))
}
