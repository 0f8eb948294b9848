//! What changed from one snapshot of the pool to the next, as events. Pure.

use std::sync::Arc;

use super::{Member, Snapshot};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::events::{Event, Kind};
use crate::id::AccountId;

/// Whether new tokens alone are worth telling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tokens {
    /// Whoever got them tells.
    AreToldElsewhere,
    /// Somebody else wrote them.
    AreNews,
}

pub(super) fn event(account: &Account, kind: Kind, detail: impl Into<String>, at: Timestamp) -> Event {
    let name = account.called().to_owned();
    Event { at, kind, account: Some(account.id.clone()), name, detail: detail.into() }
}

/// Everything that is different, in the order of ids; then the files that became unusable.
pub(super) fn between(old: &Snapshot, new: &Snapshot, tokens: Tokens, at: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    let mut tell = |account: &Account, kind, detail: String| events.push(event(account, kind, detail, at));
    for member in &new.members {
        let account = &member.account;
        let known = old.get(&account.id);
        match known {
            Some(known) if Arc::ptr_eq(known, member) || known.account == *account => {}
            Some(known) => changed(&known.account, account, tokens, &mut tell),
            None => {
                tell(account, Kind::Added, String::new());
                if let Some(reason) = account.closed_by() {
                    tell(account, Kind::Invalid, reason);
                }
            }
        }
    }
    for gone in old.members.iter().filter(|member| !holds(new, &member.account.id)) {
        tell(&gone.account, Kind::Removed, String::new());
    }
    let broken = new.invalid.iter().filter(|file| !old.invalid.contains(file));
    events.extend(broken.map(|file| Event {
        at,
        kind: Kind::Invalid,
        account: None,
        name: file.file.to_string(),
        detail: file.reason.clone(),
    }));
    events
}

fn changed(old: &Account, new: &Account, tokens: Tokens, tell: &mut impl FnMut(&Account, Kind, String)) {
    if let (Some(needs), None) = (&new.needs_login, &old.needs_login) {
        return tell(new, Kind::NeedsLogin, needs.reason.clone());
    }
    if let Some(reason) = new.closed_by().filter(|_| !old.is_closed()) {
        return tell(new, Kind::Invalid, reason);
    }
    if old.differs_beyond_tokens(new) || tokens == Tokens::AreNews {
        let detail = match (old.disabled, new.disabled) {
            (false, true) => "disabled",
            (true, false) => "enabled",
            _ => "",
        };
        tell(new, Kind::Changed, detail.to_owned());
    }
}

fn holds(snapshot: &Snapshot, id: &AccountId) -> bool {
    snapshot.get(id).is_some()
}

impl Member {
    /// An event about this account.
    pub fn event(&self, kind: Kind, detail: impl Into<String>, at: Timestamp) -> Event {
        event(&self.account, kind, detail, at)
    }
}
