//! The on-disk form of an account: a JSON object whose unknown keys survive every rewrite.
//!
//! | key | meaning |
//! |---|---|
//! | `type` | `claude`; may be absent in a file named `claude-*.json` |
//! | `access_token`, `refresh_token`, `token_type`, `scope` | the OAuth tokens; no refresh token means a setup token |
//! | `expired`, `last_refresh` | RFC 3339; the end of the access token, and when the tokens were issued |
//! | `email`, `account_uuid`, `organization_uuid`, `organization_name` | the identity |
//! | `pkce_method` | the method of the login that made the tokens; its verifier is never stored |
//! | `api_key` | instead of tokens: a console key |
//! | `label`, `disabled` | set by a person, as are those of [`Settings`] |
//! | `needs_login` | `{since, reason, token}`; `token` names the refresh token that is of no use any more, and `serving: true` says that the access token still is |
//!
//! The keys are those of the widespread Go implementation, so its files load as they are. Every form that
//! ever shipped stays loadable (`tests/fixtures/auth`). A document holds secrets: it has no `Debug` of its
//! content.
//!
//! On disk the secrets may be sealed ([`crate::seal`]): then a sealed text stands in place of each, and `type` is `claude-sealed`, so
//! that a program that cannot open them takes the file for another provider's and leaves it alone. Everything else stays as it is, to
//! be read and edited. In memory a document is as if nothing had been sealed.

use std::fmt;

use serde_json::{Map, Value};

use super::sealed::{PLAIN, SEALED};
use super::{Account, Credential, FileName, Identity, NeedsLogin, OAuth, Settings, foreign};
use crate::clock::Timestamp;
use crate::id::AccountId;
use crate::secret::{AccessToken, ApiKey, RefreshToken};

/// Why a file's content is no account.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("not valid JSON at line {line}, column {column}: {problem}")]
    Syntax { line: usize, column: usize, problem: &'static str },
    #[error("not a JSON object")]
    NotAnObject,
    #[error("belongs to another provider: its type is not \"claude\"")]
    OtherProvider,
    #[error("`{key}` must be {expected}")]
    WrongType { key: &'static str, expected: &'static str },
    #[error(
        "this is the login of {0} itself: two owners of one refresh token log each other out; log in with `proxyctl login claude` instead"
    )]
    OtherProgram(&'static str),
    #[error("holds neither `access_token` nor `api_key`")]
    NoCredential,
    /// Nothing may take a sealed text for the secret in it.
    #[error("its secrets are sealed")]
    Sealed,
}

/// What a login issued: never taken over from an older one.
const ISSUED: [&str; 9] = [
    "access_token",
    "api_key",
    "expired",
    "last_refresh",
    "needs_login",
    "pkce_method",
    "refresh_token",
    "scope",
    "token_type",
];

/// The content of an account's file.
#[derive(Clone, PartialEq, Eq)]
pub struct Document(pub(super) Map<String, Value>);

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document(****)")
    }
}

impl Document {
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| DocumentError::Syntax {
            line: error.line(),
            column: error.column(),
            problem: if error.is_eof() { "the file ends too early" } else { "unexpected text" },
        })?;
        match value {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(DocumentError::NotAnObject),
        }
    }

    /// A new document for the tokens of a login.
    pub fn for_login(identity: &Identity, tokens: &OAuth, scope: Option<&str>, issued_at: Timestamp) -> Self {
        let mut document = Self::new();
        document.set_tokens(tokens, scope, issued_at);
        document.set_identity(identity);
        document.set("pkce_method", Some("S256".into()));
        document
    }

    /// A new document for a console key.
    pub fn for_api_key(key: &ApiKey) -> Self {
        let mut document = Self::new();
        document.set("api_key", Some(key.expose().into()));
        document
    }

    /// A new document for a long-lived token without a refresh token.
    pub fn for_setup_token(token: &AccessToken, ends_at: Timestamp, added_at: Timestamp) -> Self {
        let tokens = OAuth { access: token.clone(), refresh: None, expires_at: Some(ends_at) };
        let mut document = Self::new();
        document.set_tokens(&tokens, None, added_at);
        document
    }

    fn new() -> Self {
        Self(Map::from_iter([("type".to_owned(), Value::from(PLAIN))]))
    }

    /// The bytes to write: readable by a person, one key a line.
    pub fn to_bytes(&self) -> Vec<u8> {
        format!("{:#}\n", Value::Object(self.0.clone())).into_bytes()
    }

    /// Puts newly issued tokens in place of the old ones and forgets that a login was needed. A reply without
    /// a refresh token keeps the old one (RFC 6749, section 6).
    pub fn set_tokens(&mut self, tokens: &OAuth, scope: Option<&str>, issued_at: Timestamp) {
        self.set("access_token", Some(tokens.access.expose().into()));
        if let Some(refresh) = &tokens.refresh {
            self.set("refresh_token", Some(refresh.expose().into()));
        }
        self.set("token_type", Some("Bearer".into()));
        self.set("expired", tokens.expires_at.map(rfc3339));
        self.set("last_refresh", Some(rfc3339(issued_at)));
        if let Some(scope) = scope {
            self.set("scope", Some(scope.into()));
        }
        self.set("needs_login", None);
    }

    /// The refresh token, where it holds one.
    pub fn refresh_token(&self) -> Option<RefreshToken> {
        self.text("refresh_token").ok()?.map(RefreshToken::new)
    }

    /// Takes over every setting and unknown key of `old` that this document does not hold itself: what a
    /// person set stays when an account logs in again.
    pub fn inherit(&mut self, old: &Document) {
        for (key, value) in &old.0 {
            if !ISSUED.contains(&key.as_str()) && !self.0.contains_key(key) {
                self.0.insert(key.clone(), value.clone());
            }
        }
    }

    /// Takes over what a login issued from `other`, and leaves everything else.
    pub fn take_tokens(&mut self, other: &Document) {
        for key in ISSUED {
            self.set(key, other.0.get(key).cloned());
        }
    }

    /// The account this document is the start of, under a name of its own.
    pub fn to_new_account(&self, at: Timestamp) -> Result<Account, DocumentError> {
        // The id may depend on the name, and the name holds the id.
        let placeholder = FileName::for_account(&AccountId::derive("new", &[]), at);
        let account = self.to_account(placeholder)?;
        self.to_account(FileName::for_account(&account.id, at))
    }

    pub fn set_disabled(&mut self, disabled: bool) {
        self.set("disabled", Some(disabled.into()));
    }

    /// Corrects when the access token ends.
    pub fn set_end(&mut self, ends_at: Timestamp) {
        self.set("expired", Some(rfc3339(ends_at)));
    }

    pub fn set_label(&mut self, label: &str) {
        self.set("label", Some(label.into()));
    }

    pub fn set_priority(&mut self, priority: i32) {
        self.set("priority", Some(priority.into()));
    }

    /// Records that `token` is of no use any more. Once the file holds another one the record no longer counts.
    pub fn set_needs_login(&mut self, token: &RefreshToken, why: &NeedsLogin) {
        let mut record = Map::from_iter([
            ("since".to_owned(), rfc3339(why.since)),
            ("reason".to_owned(), Value::from(why.reason.as_str())),
            ("token".to_owned(), Value::from(token.fingerprint())),
        ]);
        if why.serving {
            record.insert("serving".to_owned(), Value::from(true));
        }
        self.set("needs_login", Some(Value::Object(record)));
    }

    /// What the document means, as the file `file`.
    pub fn to_account(&self, file: FileName) -> Result<Account, DocumentError> {
        if let Some(program) = foreign::owner(&self.0) {
            return Err(DocumentError::OtherProgram(program));
        }
        match self.text("type")? {
            Some(SEALED) => return Err(DocumentError::Sealed),
            Some(PLAIN) => {}
            None if file.says_claude() => {}
            _ => return Err(DocumentError::OtherProvider),
        }
        if self.is_sealed() {
            return Err(DocumentError::Sealed);
        }
        let credential = self.credential()?;
        let identity = self.identity()?;
        let (mut settings, mut faults) = Settings::read(&self.0);
        faults.extend(settings.refuse_base_url_for(&credential));
        Ok(Account {
            settings,
            faults,
            id: account_id(&credential, &identity, &file),
            needs_login: self.needs_login(&credential),
            last_refresh: self.time("last_refresh"),
            label: self.text("label")?.map(str::to_owned),
            disabled: self.flag("disabled")?,
            file,
            identity,
            credential,
        })
    }

    fn credential(&self) -> Result<Credential, DocumentError> {
        if let Some(key) = self.text("api_key")? {
            return Ok(Credential::ApiKey(ApiKey::new(key)));
        }
        let access = self.text("access_token")?.ok_or(DocumentError::NoCredential)?;
        Ok(Credential::OAuth(OAuth {
            access: AccessToken::new(access),
            refresh: self.text("refresh_token")?.map(RefreshToken::new),
            expires_at: self.time("expired"),
        }))
    }

    pub(super) fn identity(&self) -> Result<Identity, DocumentError> {
        let nested =
            |object: &str, key: &str| self.0.get(object)?.get(key)?.as_str().filter(|text| !text.is_empty());
        let pick = |key, object, inner| -> Result<Option<String>, DocumentError> {
            Ok(self.text(key)?.or_else(|| nested(object, inner)).map(str::to_owned))
        };
        Ok(Identity {
            email: pick("email", "account", "email_address")?,
            account_uuid: pick("account_uuid", "account", "uuid")?,
            organization_uuid: pick("organization_uuid", "organization", "uuid")?,
            organization_name: pick("organization_name", "organization", "name")?,
        })
    }

    fn set_identity(&mut self, identity: &Identity) {
        let fields = [
            ("email", &identity.email),
            ("account_uuid", &identity.account_uuid),
            ("organization_uuid", &identity.organization_uuid),
            ("organization_name", &identity.organization_name),
        ];
        for (key, value) in fields {
            self.set(key, value.as_deref().map(Into::into));
        }
    }

    fn needs_login(&self, credential: &Credential) -> Option<NeedsLogin> {
        let record = self.0.get("needs_login")?;
        let Credential::OAuth(OAuth { refresh: Some(token), .. }) = credential else { return None };
        if record.get("token")?.as_str()? != token.fingerprint() {
            return None;
        }
        let since = record.get("since")?.as_str()?.parse().ok()?;
        let reason = record.get("reason").and_then(Value::as_str).unwrap_or("its refresh token was refused");
        let serving = record.get("serving").and_then(Value::as_bool).unwrap_or(false);
        Some(NeedsLogin { since, reason: reason.to_owned(), serving })
    }

    pub(super) fn set(&mut self, key: &str, value: Option<Value>) {
        match value {
            Some(value) => drop(self.0.insert(key.to_owned(), value)),
            // `shift_remove` keeps the order in which a person wrote the other keys.
            None => drop(self.0.shift_remove(key)),
        }
    }

    /// A text, where the key is there and not empty: other programs write `""` for what they do not know.
    fn text(&self, key: &'static str) -> Result<Option<&str>, DocumentError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
            Some(_) => Err(DocumentError::WrongType { key, expected: "a text" }),
        }
    }

    fn flag(&self, key: &'static str) -> Result<bool, DocumentError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(DocumentError::WrongType { key, expected: "true or false" }),
        }
    }

    /// A time, where one can be read. An unreadable one counts as unknown: the tokens may well work, and a
    /// refresh writes it anew.
    fn time(&self, key: &str) -> Option<Timestamp> {
        self.0.get(key)?.as_str()?.parse().ok()
    }
}

fn account_id(credential: &Credential, identity: &Identity, file: &FileName) -> AccountId {
    match (credential, &identity.account_uuid, &identity.email) {
        (Credential::ApiKey(key), _, _) => AccountId::derive("api-key", &[key.expose()]),
        (Credential::OAuth(_), Some(account), _) => {
            AccountId::derive("oauth", &[account, identity.organization_uuid.as_deref().unwrap_or_default()])
        }
        (Credential::OAuth(_), None, Some(email)) => {
            AccountId::derive("email", &[&email.to_ascii_lowercase()])
        }
        // A setup token says nothing of whose it is: it stands for itself.
        (Credential::OAuth(OAuth { access, refresh: None, .. }), None, None) => {
            AccountId::derive("setup-token", &[access.expose()])
        }
        (Credential::OAuth(_), None, None) => AccountId::derive("file", &[file.as_str()]),
    }
}

/// To the second: what the file needs, and what a person can read.
fn rfc3339(at: Timestamp) -> Value {
    Value::from(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(json: &str) -> Result<Account, DocumentError> {
        Document::parse(json.as_bytes())?.to_account(FileName::parse("claude-x.json").unwrap())
    }

    fn tokens(access: &str, refresh: Option<&str>) -> OAuth {
        OAuth {
            access: AccessToken::new(access),
            refresh: refresh.map(RefreshToken::new),
            expires_at: Some("2026-01-02T03:04:05Z".parse().unwrap()),
        }
    }

    #[test]
    fn files_of_the_go_implementation_load_as_they_are() {
        let account = account(
            r#"{"id_token":"","access_token":"a","refresh_token":"r","last_refresh":"2026-01-01T10:00:00+08:00",
                "email":"Me@example.com","type":"claude","expired":"2026-01-01T18:00:00+08:00","priority":3}"#,
        )
        .unwrap();
        assert_eq!(account.id, AccountId::derive("email", &["me@example.com"]));
        assert_eq!(account.oauth().unwrap().expires_at.unwrap().to_string(), "2026-01-01T10:00:00Z");
        assert!(account.renewable().is_some());
    }

    #[test]
    fn unknown_keys_and_their_order_survive_a_refresh() {
        let mut document = Document::parse(
            br#"{"note":"mine","access_token":"a","refresh_token":"r","x":1.0,"type":"claude"}"#,
        )
        .unwrap();
        document.set_tokens(&tokens("a2", Some("r2")), None, Timestamp::UNIX_EPOCH);
        let text = String::from_utf8(document.to_bytes()).unwrap();
        assert!(text.contains(r#""x": 1.0"#) && text.find("note") < text.find("access_token"), "{text}");
        assert!(text.contains("a2") && text.contains("r2"));
    }

    #[test]
    fn a_reply_without_a_refresh_token_keeps_the_old_one() {
        let mut document = Document::parse(br#"{"access_token":"a","refresh_token":"r"}"#).unwrap();
        document.set_tokens(&tokens("a2", None), None, Timestamp::UNIX_EPOCH);
        let account = document.to_account(FileName::parse("claude-x.json").unwrap()).unwrap();
        assert_eq!(account.oauth().unwrap().refresh, Some(RefreshToken::new("r")));
    }

    #[test]
    fn needs_login_ends_when_the_file_holds_another_token() {
        let mut document = Document::parse(br#"{"access_token":"a","refresh_token":"r"}"#).unwrap();
        let why = NeedsLogin { since: Timestamp::UNIX_EPOCH, reason: "revoked".to_owned(), serving: false };
        document.set_needs_login(&RefreshToken::new("r"), &why);
        let file = FileName::parse("claude-x.json").unwrap();
        let account = document.to_account(file.clone()).unwrap();
        assert_eq!(account.needs_login.as_ref().unwrap().reason, "revoked");
        assert_eq!(account.renewable(), None);
        document.set("refresh_token", Some("other".into()));
        assert_eq!(document.to_account(file).unwrap().needs_login, None);
    }

    #[test]
    fn what_is_no_account_says_why() {
        assert_eq!(account("[]").unwrap_err(), DocumentError::NotAnObject);
        assert_eq!(
            account(r#"{"type":"gemini","access_token":"a"}"#).unwrap_err(),
            DocumentError::OtherProvider
        );
        assert_eq!(
            account(r#"{"type":"claude","access_token":""}"#).unwrap_err(),
            DocumentError::NoCredential
        );
        let wrong = account(r#"{"access_token":7}"#).unwrap_err();
        assert_eq!(wrong.to_string(), "`access_token` must be a text");
        let syntax = account("{\n  \"a\": ]").unwrap_err();
        assert!(matches!(syntax, DocumentError::Syntax { line: 2, .. }), "{syntax:?}");
    }

    #[test]
    fn one_email_in_two_organizations_is_two_accounts() {
        let json = |org| {
            format!(
                r#"{{"access_token":"a","email":"me@x.y","account_uuid":"u","organization_uuid":"{org}"}}"#
            )
        };
        let (one, two) = (account(&json("o1")).unwrap(), account(&json("o2")).unwrap());
        assert_ne!(one.id, two.id);
        assert!(!one.is_same_identity(&two));
        let partial = account(r#"{"access_token":"a","email":"ME@x.y"}"#).unwrap();
        assert!(partial.is_same_identity(&one));
        let elsewhere = account(r#"{"access_token":"a","email":"me@x.y","organization_uuid":"o2"}"#).unwrap();
        assert!(!elsewhere.is_same_identity(&one) && elsewhere.is_same_identity(&two));
        let without_organization = account(r#"{"access_token":"a","account_uuid":"u"}"#).unwrap();
        assert!(without_organization.is_same_identity(&one));
    }

    #[test]
    fn a_login_without_a_refresh_token_does_not_take_over_the_older_one() {
        let old = Document::parse(br#"{"access_token":"a","refresh_token":"r","label":"work"}"#).unwrap();
        let mut new =
            Document::for_login(&Identity::default(), &tokens("b", None), None, Timestamp::UNIX_EPOCH);
        new.inherit(&old);
        let account = new.to_account(FileName::parse("claude-x.json").unwrap()).unwrap();
        assert_eq!(
            (account.oauth().unwrap().refresh.clone(), account.label.as_deref()),
            (None, Some("work"))
        );
    }

    #[test]
    fn a_new_login_keeps_what_a_person_set() {
        let old =
            Document::parse(br#"{"access_token":"a","refresh_token":"r","priority":5,"needs_login":{}}"#)
                .unwrap();
        let mut new =
            Document::for_login(&Identity::default(), &tokens("b", Some("s")), None, Timestamp::UNIX_EPOCH);
        new.inherit(&old);
        assert_eq!(new.0.get("priority"), Some(&Value::from(5)));
        assert_eq!(new.0.get("access_token"), Some(&Value::from("b")));
        assert!(!new.0.contains_key("needs_login"));
    }

    #[test]
    fn a_base_url_is_for_keys_only_and_closes_a_login() {
        let key = account(r#"{"api_key":"k","base_url":"https://gateway.example"}"#).unwrap();
        assert!(key.settings.base_url.is_some() && !key.is_closed());
        let login = account(r#"{"access_token":"a","base_url":"https://gateway.example"}"#).unwrap();
        assert_eq!(login.settings.base_url, None);
        assert_eq!(
            login.closed_by().unwrap(),
            "`base_url` is for API keys only: the tokens of a login go to their provider and nowhere else"
        );
    }

    #[test]
    fn a_closed_account_is_not_renewed() {
        let closed = account(r#"{"access_token":"a","refresh_token":"r","proxy_url":"nonsense"}"#).unwrap();
        assert!(closed.is_closed());
        assert_eq!(closed.renewable(), None);
    }

    #[test]
    fn debug_shows_no_content() {
        let document = Document::for_api_key(&ApiKey::new("sk-ant-api03-FAKE"));
        assert_eq!(format!("{document:?}"), "Document(****)");
    }
}
