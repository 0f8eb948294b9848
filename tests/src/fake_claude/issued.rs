//! What the fake hands to tests: identities, tokens of a login that nobody had to click through, and callers.
//!
//! Values only; nothing here talks to the server.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::book;

/// One account of the fake: an email in an organization. Given out by the fake, valid only there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccountNumber(pub(super) usize);

/// Whose credential a request carried, whether or not it was still good.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// An access token (or, at the token endpoint, a refresh token) of this account.
    Account(AccountNumber),
    /// An API key, by its value.
    ApiKey(String),
}

impl From<AccountNumber> for Caller {
    fn from(account: AccountNumber) -> Self {
        Self::Account(account)
    }
}

/// Who an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub email: String,
    pub account_uuid: String,
    pub organization_uuid: String,
    pub organization_name: String,
}

/// A finished login. Its tokens are obvious fakes, so printing them is harmless.
#[derive(Clone, Debug)]
pub struct Issued {
    pub account: AccountNumber,
    pub identity: Identity,
    pub access_token: String,
    pub refresh_token: String,
    pub scope: String,
    /// Seconds from `issued_at`.
    pub expires_in: i64,
    pub issued_at: Timestamp,
}

impl Issued {
    pub fn expires_at(&self) -> Timestamp {
        book::later(self.issued_at, self.expires_in)
    }

    /// The login as an auth file in the form of the older Go implementation, which `proxyd` loads as it is.
    pub fn auth_file(&self) -> Value {
        json!({
            "type": "claude",
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "expired": self.expires_at().to_string(),
            "last_refresh": self.issued_at.to_string(),
            "email": self.identity.email,
            "account_uuid": self.identity.account_uuid,
            "organization_uuid": self.identity.organization_uuid,
            "organization_name": self.identity.organization_name,
            "disabled": false,
        })
    }
}

impl fmt::Display for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account {}", self.0 + 1)
    }
}
