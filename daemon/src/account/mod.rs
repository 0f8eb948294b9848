//! An account: one identity and the credential it holds. Pure: no file is read here and no clock.

mod document;
mod file_name;
pub mod settings;

use std::fmt;

pub use document::{Document, DocumentError};
pub use file_name::{FileName, FileNameError};
pub use settings::{Fault, ModelAlias, Settings};

use crate::clock::Timestamp;
use crate::id::AccountId;
use crate::secret::{AccessToken, ApiKey, RefreshToken};

/// One identity of the pool, as its file tells it. Never changed in place: a change is a new `Account`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub file: FileName,
    pub identity: Identity,
    pub credential: Credential,
    /// What a person calls it.
    pub label: Option<String>,
    /// Switched off by a person.
    pub disabled: bool,
    /// What else a person set.
    pub settings: Settings,
    /// Settings of the file that cannot be read.
    pub faults: Vec<Fault>,
    /// Set once the issuer no longer takes the refresh token this account holds.
    pub needs_login: Option<NeedsLogin>,
    /// When the tokens were last issued.
    pub last_refresh: Option<Timestamp>,
}

impl Account {
    /// The OAuth tokens, where the account has any.
    pub fn oauth(&self) -> Option<&OAuth> {
        match &self.credential {
            Credential::OAuth(tokens) => Some(tokens),
            Credential::ApiKey(_) => None,
        }
    }

    /// The refresh token, where there is one that the issuer may still take and that may be sent.
    pub fn renewable(&self) -> Option<&RefreshToken> {
        if self.needs_login.is_some() || self.is_closed() {
            return None;
        }
        self.oauth()?.refresh.as_ref()
    }

    /// Whether a setting that decides what is sent where cannot be read: then the account sends nothing.
    pub fn is_closed(&self) -> bool {
        self.faults.iter().any(|fault| fault.closes)
    }

    /// Why the account sends nothing, whatever its credential: a setting that decides what is sent where cannot
    /// be read.
    pub fn closed_by(&self) -> Option<String> {
        let closing = self.faults.iter().filter(|fault| fault.closes);
        let reasons: Vec<String> = closing.map(ToString::to_string).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Whether both are the same identity: the same id, or the same account or e-mail where one of them knows
    /// less (files of other programs often hold no UUIDs). Two organizations that are known to differ
    /// never are.
    pub fn is_same_identity(&self, other: &Account) -> bool {
        if self.id == other.id {
            return true;
        }
        let (Credential::OAuth(_), Credential::OAuth(_)) = (&self.credential, &other.credential) else {
            return false;
        };
        let (mine, theirs) = (&self.identity, &other.identity);
        let differ = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
        if differ(&mine.account_uuid, &theirs.account_uuid)
            || differ(&mine.organization_uuid, &theirs.organization_uuid)
        {
            return false;
        }
        let same_email = match (&mine.email, &theirs.email) {
            (Some(mine), Some(theirs)) => mine.eq_ignore_ascii_case(theirs),
            _ => false,
        };
        same_email || (mine.account_uuid.is_some() && mine.account_uuid == theirs.account_uuid)
    }
}

/// What an account presents upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    OAuth(OAuth),
    ApiKey(ApiKey),
}

/// The tokens of an OAuth login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth {
    pub access: AccessToken,
    /// Absent for long-lived setup tokens, which end with their access token.
    pub refresh: Option<RefreshToken>,
    /// When the access token ends; absent where the file does not say.
    pub expires_at: Option<Timestamp>,
}

/// Who the account is. One e-mail can belong to two organizations, so account and organization make the
/// identity.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub email: Option<String>,
    pub account_uuid: Option<String>,
    pub organization_uuid: Option<String>,
    pub organization_name: Option<String>,
}

impl fmt::Debug for Identity {
    /// Leaves out the e-mail and the names: they are nobody's business in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("account_uuid", &self.account_uuid)
            .field("organization_uuid", &self.organization_uuid)
            .finish_non_exhaustive()
    }
}

/// Why and since when an account waits for a new login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedsLogin {
    pub since: Timestamp,
    pub reason: String,
}
