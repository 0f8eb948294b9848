//! What a request asks of the pool.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::affinity::AffinityKey;
use crate::id::AccountId;

/// What is remembered of models is remembered of names up to this length: no model has a longer one.
pub(crate) const LONGEST_MODEL: usize = 256;

/// What a call is for, where that makes a difference to the account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    Messages,
    /// Its troubles say nothing about the account.
    CountTokens,
    Models,
    /// Files that live with the account they were sent to.
    Files,
    /// Batches of messages, which live with the account they were sent to.
    Batches,
}

/// A request, as far as the choice of its account goes.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// As the client names it; empty for a request about none.
    pub model: &'a str,
    pub endpoint: Endpoint,
    /// The conversation it belongs to.
    pub affinity: Option<AffinityKey>,
    /// The account that made what the request refers to.
    pub owner: Option<&'a Owner>,
    /// The accounts that this request went to already.
    pub tried: &'a [AccountId],
    /// The accounts that may serve it, because of who asks; empty: all.
    pub accounts: &'a [AccountId],
}

/// Whose state a request carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    pub account: AccountId,
    pub bond: Bond,
}

/// How much a request needs the account that owns its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bond {
    /// No other account knows what the request is about: a file, a batch, a container.
    Only,
    /// Another account can serve it, at a loss: the client is told and replays, or thoughts are lost.
    Preferred,
}

impl<'a> Asked<'a> {
    /// A request to the Messages API for `model`.
    pub fn messages(model: &'a str) -> Self {
        Self { model, endpoint: Endpoint::Messages, affinity: None, owner: None, tried: &[], accounts: &[] }
    }

    /// Whether who asks may use this account at all.
    pub fn may_use(&self, account: &AccountId) -> bool {
        may_use(self.accounts, account)
    }
}

/// Whether `account` is among those that may serve; none named are all.
pub fn may_use(accounts: &[AccountId], account: &AccountId) -> bool {
    accounts.is_empty() || accounts.contains(account)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Models => "models",
            Self::Files => "files",
            Self::Batches => "batches",
        })
    }
}
