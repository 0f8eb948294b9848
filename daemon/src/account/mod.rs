//! An account: one identity and the credential it holds. Pure: no file is read here and no clock.

mod changes;
mod document;
mod file_name;
mod foreign;
mod key;
mod sealed;
pub mod settings;

use std::fmt;

pub use changes::{Changes, ProxyText};
pub use document::{Document, DocumentError};
pub use file_name::{FileName, FileNameError};
pub use key::{api_key_problem, word};
pub use sealed::Form;
pub use settings::{Fault, ModelAlias, Settings};

use crate::clock::{SignedDuration, Timestamp, after};
use crate::id::AccountId;
use crate::secret::{AccessToken, ApiKey, RefreshToken};

/// How long before its end a token that cannot be renewed is worth a warning.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// One identity of the pool, as its file or credential tells it. Never changed in place: a change is a new `Account`.
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

    /// Whether it waits for a new login, and its access token serves meanwhile.
    pub fn serves_on(&self, now: Timestamp) -> bool {
        let end = self.oauth().and_then(|tokens| tokens.expires_at);
        let serving = self.needs_login.as_ref().is_some_and(|needs_login| needs_login.serving);
        serving && end.is_none_or(|end| end > now)
    }

    /// The account as a person calls it: label, e-mail address or id. Not for a log.
    pub fn called(&self) -> &str {
        let name = self.label.as_deref().or(self.identity.email.as_deref());
        name.unwrap_or(self.id.as_str())
    }

    /// The account without what tells who it is: label or id. For clients and logs.
    pub fn called_in_public(&self) -> &str {
        self.label.as_deref().unwrap_or(self.id.as_str())
    }

    /// When its token ends, where that is soon and nothing can renew it.
    pub fn ends_soon(&self, now: Timestamp) -> Option<Timestamp> {
        let tokens = self.oauth().filter(|tokens| tokens.refresh.is_none())?;
        tokens.expires_at.filter(|end| *end > now && *end <= after(now, ENDS_SOON))
    }

    /// Whether `other` differs from this account in more than the tokens it holds.
    pub fn differs_beyond_tokens(&self, other: &Account) -> bool {
        let with_my_tokens = Account {
            credential: self.credential.clone(),
            last_refresh: self.last_refresh,
            needs_login: self.needs_login.clone(),
            ..other.clone()
        };
        *self != with_my_tokens
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
    /// Nobody refused the access token: it is used until it ends.
    pub serving: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(json: &str) -> Account {
        let document = Document::parse(json.as_bytes()).unwrap();
        document.to_account(FileName::parse("claude-x.json").unwrap()).unwrap()
    }

    #[test]
    fn a_token_that_cannot_be_renewed_ends_soon_in_its_last_fourteen_days() {
        let token = |refresh| {
            format!(r#"{{"access_token":"a","refresh_token":"{refresh}","expired":"2026-06-15T00:00:00Z"}}"#)
        };
        for (refresh, now, soon) in [
            ("", "2026-05-31T23:59:59Z", false),
            ("", "2026-06-01T00:00:00Z", true),
            ("", "2026-06-14T23:59:59Z", true),
            ("", "2026-06-15T00:00:00Z", false),
            ("r", "2026-06-14T00:00:00Z", false),
        ] {
            let end = account(&token(refresh)).ends_soon(now.parse().unwrap());
            assert_eq!(end.is_some(), soon, "{refresh:?} {now}");
        }
        let forever = [r#"{"api_key":"k"}"#, r#"{"access_token":"a"}"#];
        assert!(forever.iter().all(|json| account(json).ends_soon(Timestamp::UNIX_EPOCH).is_none()));
    }

    #[test]
    fn new_tokens_alone_are_no_other_account() {
        let old = account(r#"{"access_token":"a","refresh_token":"r","account_uuid":"u"}"#);
        let new = account(r#"{"access_token":"b","refresh_token":"s","account_uuid":"u"}"#);
        let labelled =
            account(r#"{"access_token":"a","refresh_token":"r","account_uuid":"u","label":"work"}"#);
        assert!(!old.differs_beyond_tokens(&new) && old.differs_beyond_tokens(&labelled));
    }

    #[test]
    fn an_account_is_called_by_label_email_or_id() {
        let json = |label, email| {
            format!(r#"{{"access_token":"a","account_uuid":"u","label":"{label}","email":"{email}"}}"#)
        };
        assert_eq!(account(&json("work", "me@x.y")).called(), "work");
        assert_eq!(account(&json("", "me@x.y")).called(), "me@x.y");
        let nameless = account(&json("", ""));
        assert_eq!(nameless.called(), nameless.id.as_str());
    }
}
