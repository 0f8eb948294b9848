//! What is so at the moment of a scrape, as far as others know it: numbers, states and ids, to be told beside what was counted.

use super::labels::{AccountState, Label as _};
use super::table;
use super::text::Text;
use crate::clock::Timestamp;
use crate::id::AccountId;

/// The daemon at one moment.
#[derive(Debug, Default)]
pub struct Live {
    pub accounts: Vec<Account>,
    /// Files of the auth directory that are not used.
    pub invalid_files: usize,
}

/// One account.
#[derive(Debug)]
pub struct Account {
    pub id: AccountId,
    pub state: AccountState,
    pub usable: bool,
    pub in_flight: u32,
    /// Its newest token is in memory only.
    pub unsaved: bool,
    pub token_ends: Option<Timestamp>,
    /// Its calls, by how they ended.
    pub attempts: [(&'static str, u64); 5],
    pub windows: Vec<Window>,
}

/// One of its quota windows.
#[derive(Debug)]
pub struct Window {
    /// As upstream calls it.
    pub name: String,
    /// The used share.
    pub used: f64,
    pub resets_at: Option<Timestamp>,
}

impl Live {
    pub(super) fn tell(&self, text: &mut Text) {
        let of = |state: AccountState| self.accounts.iter().filter(|account| account.state == state).count();
        text.all(&table::ACCOUNTS, AccountState::ALL.iter().map(|state| ([state.name()], of(*state))));
        text.one(&table::INVALID_FILES, self.invalid_files);
        let each = || self.accounts.iter().map(|account| (account.id.to_string(), account));
        text.named(&table::ACCOUNT_USABLE, each().map(|(id, account)| ([id], u8::from(account.usable))));
        text.named(&table::ACCOUNT_IN_FLIGHT, each().map(|(id, account)| ([id], account.in_flight)));
        let attempts = each().flat_map(|(id, account)| {
            account.attempts.map(|(outcome, number)| ([id.clone(), outcome.to_owned()], number))
        });
        text.named(&table::ACCOUNT_ATTEMPTS, attempts);
        let ends = each().filter_map(|(id, account)| Some(([id], account.token_ends?.as_second())));
        text.named(&table::ACCOUNT_TOKEN_END, ends);
        let windows = || {
            each().flat_map(|(id, account)| {
                account.windows.iter().map(move |window| ([id.clone(), window.name.clone()], window))
            })
        };
        text.named(&table::QUOTA_USED, windows().map(|(labels, window)| (labels, window.used)));
        let resets = windows().filter_map(|(labels, window)| Some((labels, window.resets_at?.as_second())));
        text.named(&table::QUOTA_RESET, resets);
        text.one(&table::UNSAVED, self.accounts.iter().filter(|account| account.unsaved).count());
    }
}
