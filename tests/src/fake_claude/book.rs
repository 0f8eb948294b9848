//! The issuer's book: who exists, which tokens belong to whom, and which of them are current.
//!
//! Pure: it opens no socket and reads no clock; "now" is an argument. It never forgives: a refresh token or
//! an authorization code that comes a second time is refused and takes its whole family down, as the real
//! issuer does.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::issued::{AccountNumber, Caller, Identity, Issued};

/// The scopes a login grants unless the authorize URL asked for others.
pub const DEFAULT_SCOPE: &str =
    "user:profile user:inference user:sessions:claude_code user:mcp_servers user:file_upload";

/// One login: a chain of refresh tokens of which only the last is good.
#[derive(Debug)]
struct Family {
    account: AccountNumber,
    scope: String,
    current_refresh: Option<String>,
    revoked: bool,
    rotations: usize,
}

#[derive(Clone, Copy, Debug)]
struct FamilyNumber(usize);

#[derive(Debug)]
struct Access {
    family: FamilyNumber,
    expires_at: Timestamp,
}

#[derive(Debug)]
struct Code {
    grant: Grant,
    used_by: Option<FamilyNumber>,
}

/// What an authorization code was given out for.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) account: AccountNumber,
    pub(super) redirect_uri: String,
    pub(super) state: String,
    pub(super) challenge: String,
    pub(super) scope: String,
}

/// Why a grant was refused; always `invalid_grant` on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    UnknownCode,
    CodeReused,
    WrongVerifier,
    WrongRedirectUri,
    WrongState,
    UnknownRefreshToken,
    RefreshTokenReused,
    Revoked,
}

impl Refusal {
    pub(super) const fn description(&self) -> &'static str {
        match self {
            Self::UnknownCode => "Invalid authorization code",
            Self::CodeReused => "Authorization code was already used",
            Self::WrongVerifier => "code_verifier does not match the code_challenge",
            Self::WrongRedirectUri => "redirect_uri does not match the authorization request",
            Self::WrongState => "state does not match the authorization request",
            Self::UnknownRefreshToken => "Refresh token not found or invalid",
            Self::RefreshTokenReused => "Refresh token was already used; its family is revoked",
            Self::Revoked => "Refresh token was revoked",
        }
    }
}

/// What an access token is worth at a moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Current(AccountNumber),
    Expired(AccountNumber),
    Revoked(AccountNumber),
    Unknown,
}

/// Tokens of one reply of the token endpoint.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) account: AccountNumber,
    pub(super) access_token: String,
    pub(super) refresh_token: String,
    pub(super) scope: String,
}

#[derive(Debug)]
pub(super) struct Book {
    /// Differs from one fake to the next, so that a token of another run is unknown here.
    run: String,
    serial: u64,
    /// How long a new access token lives, in seconds.
    pub(super) expires_in: i64,
    identities: Vec<Identity>,
    families: Vec<Family>,
    access: HashMap<String, Access>,
    /// Every refresh token ever given out, with its family.
    refresh: HashMap<String, FamilyNumber>,
    codes: HashMap<String, Code>,
    api_keys: BTreeSet<String>,
}

impl Book {
    pub(super) fn new(run: String, expires_in: i64) -> Self {
        Self {
            run,
            serial: 0,
            expires_in,
            identities: Vec::new(),
            families: Vec::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            codes: HashMap::new(),
            api_keys: BTreeSet::new(),
        }
    }

    /// A new id with the given prefix, never the same twice.
    pub(super) fn mint(&mut self, prefix: &str) -> String {
        self.serial += 1;
        format!("{prefix}FAKE{}{:06}", self.run, self.serial)
    }

    /// The account of `email` in the organization of that name; made when it is new. One email in two
    /// organizations is two accounts with one account uuid.
    pub(super) fn account(&mut self, email: &str, organization_name: &str) -> AccountNumber {
        let known = |i: &Identity| i.email == email && i.organization_name == organization_name;
        if let Some(at) = self.identities.iter().position(known) {
            return AccountNumber(at);
        }
        let account_uuid = self
            .identities
            .iter()
            .find(|i| i.email == email)
            .map_or_else(|| fake_uuid("aaaa", self.identities.len()), |i| i.account_uuid.clone());
        let organization_uuid = self
            .identities
            .iter()
            .find(|i| i.organization_name == organization_name)
            .map_or_else(|| fake_uuid("bbbb", self.identities.len()), |i| i.organization_uuid.clone());
        self.identities.push(Identity {
            email: email.to_owned(),
            account_uuid,
            organization_uuid,
            organization_name: organization_name.to_owned(),
        });
        AccountNumber(self.identities.len() - 1)
    }

    /// # Panics
    /// Never for a number this book gave out.
    #[expect(
        clippy::expect_used,
        reason = "account numbers are made only by `account` and identities are never removed"
    )]
    pub(super) fn identity(&self, account: AccountNumber) -> &Identity {
        self.identities.get(account.0).expect("the book made this number")
    }

    pub(super) fn find_account(&self, email: &str) -> Option<AccountNumber> {
        self.identities.iter().position(|i| i.email == email).map(AccountNumber)
    }

    pub(super) fn add_api_key(&mut self) -> String {
        let key = self.mint("sk-ant-api03-");
        self.api_keys.insert(key.clone());
        key
    }

    pub(super) fn remove_api_key(&mut self, key: &str) -> bool {
        self.api_keys.remove(key)
    }

    pub(super) fn knows_api_key(&self, key: &str) -> bool {
        self.api_keys.contains(key)
    }

    /// A code for a grant a person just allowed.
    pub(super) fn give_code(&mut self, grant: Grant) -> String {
        let code = self.mint("code-");
        self.codes.insert(code.clone(), Code { grant, used_by: None });
        code
    }

    /// Exchanges a code. `challenge` is the S256 transform of the verifier that came with it.
    pub(super) fn redeem_code(
        &mut self,
        code: &str,
        challenge: &str,
        redirect_uri: &str,
        state: &str,
        now: Timestamp,
    ) -> Result<Tokens, Refusal> {
        let Some(held) = self.codes.get(code) else {
            return Err(Refusal::UnknownCode);
        };
        if let Some(family) = held.used_by {
            self.revoke_family(family);
            return Err(Refusal::CodeReused);
        }
        let grant = held.grant.clone();
        if grant.challenge != challenge {
            return Err(Refusal::WrongVerifier);
        }
        if grant.redirect_uri != redirect_uri {
            return Err(Refusal::WrongRedirectUri);
        }
        if grant.state != state {
            return Err(Refusal::WrongState);
        }
        let family = self.new_family(grant.account, grant.scope);
        if let Some(held) = self.codes.get_mut(code) {
            held.used_by = Some(family);
        }
        Ok(self.new_tokens(family, now))
    }

    /// Rotates: the presented token is spent, the returned one is current.
    pub(super) fn redeem_refresh_token(&mut self, token: &str, now: Timestamp) -> Result<Tokens, Refusal> {
        let Some(&number) = self.refresh.get(token) else {
            return Err(Refusal::UnknownRefreshToken);
        };
        let family = self.family(number);
        if family.current_refresh.as_deref() != Some(token) && !family.revoked {
            self.revoke_family(number);
            return Err(Refusal::RefreshTokenReused);
        }
        if family.revoked {
            return Err(Refusal::Revoked);
        }
        family.rotations += 1;
        Ok(self.new_tokens(number, now))
    }

    /// A login that nobody had to click through.
    pub(super) fn issue(&mut self, account: AccountNumber, now: Timestamp) -> Issued {
        let family = self.new_family(account, DEFAULT_SCOPE.to_owned());
        let tokens = self.new_tokens(family, now);
        Issued {
            account,
            identity: self.identity(account).clone(),
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            scope: tokens.scope,
            expires_in: self.expires_in,
            issued_at: now,
        }
    }

    /// A one-year access token without a refresh token.
    pub(super) fn issue_setup_token(&mut self, account: AccountNumber, now: Timestamp) -> String {
        let family = self.new_family(account, "user:inference".to_owned());
        let token = self.mint("sk-ant-oat01-");
        let expires_at = later(now, 365 * 24 * 3600);
        self.access.insert(token.clone(), Access { family, expires_at });
        token
    }

    /// Revokes whatever family the token (of either kind) belongs to; an unknown token is no error (RFC 7009,
    /// 2.2).
    pub(super) fn revoke(&mut self, token: &str) {
        let family = self.refresh.get(token).copied().or_else(|| self.access.get(token).map(|a| a.family));
        if let Some(family) = family {
            self.revoke_family(family);
        }
    }

    /// Makes every access token given out so far worth nothing; refresh tokens stay good. Returns how many
    /// were current.
    pub(super) fn expire_access_tokens(&mut self, now: Timestamp) -> usize {
        let current = self.access.values_mut().filter(|a| a.expires_at > now);
        current.map(|a| a.expires_at = now).count()
    }

    pub(super) fn standing(&self, access_token: &str, now: Timestamp) -> Standing {
        let Some(access) = self.access.get(access_token) else {
            return Standing::Unknown;
        };
        let Some(family) = self.families.get(access.family.0) else {
            return Standing::Unknown;
        };
        if family.revoked {
            Standing::Revoked(family.account)
        } else if access.expires_at <= now {
            Standing::Expired(family.account)
        } else {
            Standing::Current(family.account)
        }
    }

    /// Whose access token, refresh token or API key this is, whether or not it is still good.
    pub(super) fn caller_of(&self, secret: &str) -> Option<Caller> {
        if self.knows_api_key(secret) {
            return Some(Caller::ApiKey(secret.to_owned()));
        }
        let family =
            self.refresh.get(secret).copied().or_else(|| self.access.get(secret).map(|a| a.family))?;
        self.families.get(family.0).map(|f| Caller::Account(f.account))
    }

    /// The refresh token of the account's latest login that is still good.
    pub(super) fn current_refresh_token(&self, account: AccountNumber) -> Option<String> {
        let mut good = self.families.iter().rev().filter(|f| f.account == account && !f.revoked);
        good.find_map(|f| f.current_refresh.clone())
    }

    /// How often refresh tokens of the account were rotated, over all its logins.
    pub(super) fn rotations(&self, account: AccountNumber) -> usize {
        self.families.iter().filter(|f| f.account == account).map(|f| f.rotations).sum()
    }

    /// Whether the account has a login that was not revoked.
    pub(super) fn has_live_login(&self, account: AccountNumber) -> bool {
        self.families.iter().any(|f| f.account == account && !f.revoked)
    }

    fn new_family(&mut self, account: AccountNumber, scope: String) -> FamilyNumber {
        self.families.push(Family { account, scope, current_refresh: None, revoked: false, rotations: 0 });
        FamilyNumber(self.families.len() - 1)
    }

    #[expect(
        clippy::expect_used,
        reason = "family numbers are made only by `new_family` and families are never removed"
    )]
    fn family(&mut self, number: FamilyNumber) -> &mut Family {
        self.families.get_mut(number.0).expect("the book made this number")
    }

    fn new_tokens(&mut self, number: FamilyNumber, now: Timestamp) -> Tokens {
        let access_token = self.mint("sk-ant-oat01-");
        let refresh_token = self.mint("sk-ant-ort01-");
        let expires_at = later(now, self.expires_in);
        self.access.insert(access_token.clone(), Access { family: number, expires_at });
        self.refresh.insert(refresh_token.clone(), number);
        let family = self.family(number);
        family.current_refresh = Some(refresh_token.clone());
        Tokens { account: family.account, access_token, refresh_token, scope: family.scope.clone() }
    }

    fn revoke_family(&mut self, number: FamilyNumber) {
        let family = self.family(number);
        family.revoked = true;
        family.current_refresh = None;
    }
}

/// `now` plus that many seconds, or the end of time.
pub(super) fn later(now: Timestamp, seconds: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

fn fake_uuid(kind: &str, number: usize) -> String {
    format!("fa4e0000-{kind}-4000-8000-{:012}", number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn book_with_account() -> (Book, AccountNumber) {
        let mut book = Book::new("t".to_owned(), 3600);
        let account = book.account("a@example.com", "Example");
        (book, account)
    }

    fn grant(account: AccountNumber) -> Grant {
        Grant {
            account,
            redirect_uri: "http://localhost:1/callback".to_owned(),
            state: "s".to_owned(),
            challenge: "c".to_owned(),
            scope: DEFAULT_SCOPE.to_owned(),
        }
    }

    #[test]
    fn reusing_a_refresh_token_revokes_its_whole_family() {
        let (mut book, account) = book_with_account();
        let issued = book.issue(account, at(0));
        let rotated = book.redeem_refresh_token(&issued.refresh_token, at(1)).unwrap();
        assert_eq!(book.current_refresh_token(account).as_ref(), Some(&rotated.refresh_token));

        let reuse = book.redeem_refresh_token(&issued.refresh_token, at(2)).unwrap_err();
        assert_eq!(reuse, Refusal::RefreshTokenReused);
        let after = book.redeem_refresh_token(&rotated.refresh_token, at(3)).unwrap_err();
        assert_eq!(after, Refusal::Revoked);
        assert_eq!(book.standing(&rotated.access_token, at(3)), Standing::Revoked(account));
        assert_eq!(book.current_refresh_token(account), None);
    }

    #[test]
    fn another_login_of_the_same_account_survives_the_revocation_of_the_first() {
        let (mut book, account) = book_with_account();
        let first = book.issue(account, at(0));
        let second = book.issue(account, at(0));
        book.revoke(&first.refresh_token);
        assert_eq!(book.current_refresh_token(account), Some(second.refresh_token));
    }

    #[test]
    fn access_tokens_expire_by_the_clock_and_on_demand() {
        let (mut book, account) = book_with_account();
        let issued = book.issue(account, at(0));
        assert_eq!(book.standing(&issued.access_token, at(3599)), Standing::Current(account));
        assert_eq!(book.standing(&issued.access_token, at(3600)), Standing::Expired(account));
        assert_eq!(book.expire_access_tokens(at(10)), 1);
        assert_eq!(book.standing(&issued.access_token, at(10)), Standing::Expired(account));
        assert!(book.redeem_refresh_token(&issued.refresh_token, at(11)).is_ok());
    }

    #[test]
    fn codes_are_checked_and_single_use() {
        let (mut book, account) = book_with_account();
        let code = book.give_code(grant(account));
        let uri = "http://localhost:1/callback";
        let refused = |r: Result<Tokens, Refusal>| r.unwrap_err();
        assert_eq!(refused(book.redeem_code(&code, "x", uri, "s", at(0))), Refusal::WrongVerifier);
        assert_eq!(
            refused(book.redeem_code(&code, "c", "http://localhost:2/callback", "s", at(0))),
            Refusal::WrongRedirectUri
        );
        assert_eq!(refused(book.redeem_code(&code, "c", uri, "t", at(0))), Refusal::WrongState);
        let tokens = book.redeem_code(&code, "c", uri, "s", at(0)).unwrap();
        assert_eq!(refused(book.redeem_code(&code, "c", uri, "s", at(0))), Refusal::CodeReused);
        assert_eq!(book.standing(&tokens.access_token, at(0)), Standing::Revoked(account));
        assert_eq!(refused(book.redeem_code("nope", "c", uri, "s", at(0))), Refusal::UnknownCode);
    }

    #[test]
    fn one_email_in_two_organizations_is_two_accounts_with_one_account_uuid() {
        let mut book = Book::new("t".to_owned(), 3600);
        let a = book.account("a@example.com", "One");
        let b = book.account("a@example.com", "Two");
        assert_ne!(a, b);
        assert_eq!(book.identity(a).account_uuid, book.identity(b).account_uuid);
        assert_ne!(book.identity(a).organization_uuid, book.identity(b).organization_uuid);
        assert_eq!(book.account("a@example.com", "One"), a);
    }
}
