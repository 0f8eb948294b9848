//! The OAuth endpoints: token (exchange and refresh), revocation and profile. Bodies are JSON, as this issuer
//! wants them.
//!
//! A reply holds single-use tokens: it is read whole and handed on, never logged. What an error may show is
//! the issuer's `error` and `error_description` (RFC 6749, section 5.2), nothing else of a body.

mod error;

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::transport::{self, Through, Tls, TransportError};
use super::ways::{Way, Ways};
use super::{TransportConfig, ratelimit};
use crate::account::{Identity, OAuth};
use crate::clock::{Clock, SignedDuration, Timestamp, after};
use crate::pool::Pool;
use crate::secret::{
    AccessToken, AuthorizationCode, CodeVerifier, LoginState, RefreshToken, sensitive_header,
};
pub use error::{Fate, RevokeError, TokenError, Unreached};

/// Long, because a refresh that we give up on may have rotated the token all the same.
pub const TOKEN_TIMEOUT: Duration = Duration::from_mins(1);
/// Revocation and profile are best effort.
const SHORT_TIMEOUT: Duration = Duration::from_secs(8);
/// No reply of these endpoints is larger.
const MAX_REPLY: usize = 256 * 1024;
/// A lifetime that makes no sense is held within these bounds.
const LIFETIME_SECONDS: std::ops::RangeInclusive<i64> = 60..=400 * 24 * 3600;
/// What a reply without `expires_in` is taken to mean.
const DEFAULT_LIFETIME_SECONDS: i64 = 3600;

/// The issuer and this client's registration with it.
#[derive(Clone, Debug)]
pub struct Config {
    pub authorize_url: Url,
    pub token_url: Url,
    pub revoke_url: Url,
    pub profile_url: Url,
    pub usage_url: Url,
    /// The issuer's own page that shows the code to copy.
    pub paste_redirect_uri: Url,
    pub client_id: String,
    pub scopes: Vec<String>,
}

/// What the token endpoint issued.
#[derive(Clone, Debug)]
pub struct Grant {
    pub tokens: OAuth,
    pub scope: Option<String>,
    /// Who logged in, as far as the reply says.
    pub identity: Identity,
    pub issued_at: Timestamp,
}

/// The issuer's client.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    pub(super) config: Config,
    ways: Arc<Ways<reqwest::Client>>,
    pub(super) clock: Clock,
}

#[derive(Serialize)]
#[serde(tag = "grant_type", rename_all = "snake_case")]
enum TokenRequest<'a> {
    AuthorizationCode {
        code: &'a str,
        redirect_uri: &'a str,
        client_id: &'a str,
        code_verifier: &'a str,
        state: &'a str,
    },
    RefreshToken {
        refresh_token: &'a str,
        client_id: &'a str,
        scope: String,
    },
}

#[derive(Deserialize)]
struct TokenReply {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    account: Option<AccountReply>,
    #[serde(default)]
    organization: Option<OrganizationReply>,
}

#[derive(Default, Deserialize)]
struct AccountReply {
    #[serde(default)]
    uuid: Option<String>,
    #[serde(default, alias = "email")]
    email_address: Option<String>,
}

#[derive(Default, Deserialize)]
struct OrganizationReply {
    #[serde(default)]
    uuid: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct ProfileReply {
    #[serde(default)]
    account: AccountReply,
    #[serde(default)]
    organization: OrganizationReply,
}

impl OAuthClient {
    /// `pool` says which proxies are in use.
    pub fn new(
        config: Config,
        transport: &TransportConfig,
        tls: &Tls,
        clock: Clock,
        pool: Arc<Pool>,
    ) -> Result<Self, TransportError> {
        let make = |through: Through<'_>, tls: &_, connect| {
            transport::oauth_client(through, tls, connect, TOKEN_TIMEOUT)
        };
        let ways = Arc::new(Ways::new(transport, tls, pool, make)?);
        Ok(Self { config, ways, clock })
    }

    /// Connections are made in this time from now on.
    pub fn connect_within(&self, timeout: Duration) -> Result<(), TransportError> {
        self.ways.connect_within(timeout)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Exchanges an authorization code (RFC 6749, section 4.1.3, with RFC 7636, section 4.5). There is no account yet
    /// that could have a way of its own.
    pub async fn exchange(
        &self,
        code: &AuthorizationCode,
        verifier: &CodeVerifier,
        state: &LoginState,
        redirect_uri: &str,
    ) -> Result<Grant, TokenError> {
        let request = TokenRequest::AuthorizationCode {
            code: code.expose(),
            redirect_uri,
            client_id: &self.config.client_id,
            code_verifier: verifier.expose(),
            state: state.expose(),
        };
        self.token(&request, &Way::Configured).await
    }

    /// Refreshes (RFC 6749, section 6). The token sent is spent from here on, whatever happens.
    pub async fn refresh(&self, token: &RefreshToken, way: &Way) -> Result<Grant, TokenError> {
        let request = TokenRequest::RefreshToken {
            refresh_token: token.expose(),
            client_id: &self.config.client_id,
            scope: self.config.scopes.join(" "),
        };
        self.token(&request, way).await
    }

    /// Revokes a refresh token and with it the family (RFC 7009).
    pub async fn revoke(&self, token: &RefreshToken, way: &Way) -> Result<(), RevokeError> {
        let body = serde_json::json!({
            "token": token.expose(),
            "token_type_hint": "refresh_token",
            "client_id": self.config.client_id,
        });
        let request = |http: &reqwest::Client| {
            http.post(self.config.revoke_url.clone()).timeout(SHORT_TIMEOUT).json(&body)
        };
        let reply = self.send(way, request).await.map_err(RevokeError::Transport)?;
        if reply.status().is_success() { Ok(()) } else { Err(RevokeError::Refused(reply.status())) }
    }

    /// Asks who a token belongs to. Best effort: `None` where the endpoint does not say.
    pub async fn profile(&self, token: &AccessToken, way: &Way) -> Option<Identity> {
        let bearer = sensitive_header(&format!("Bearer {}", token.expose())).ok()?;
        let request = |http: &reqwest::Client| {
            let request = http.get(self.config.profile_url.clone()).timeout(SHORT_TIMEOUT);
            request.header(http::header::AUTHORIZATION, bearer)
        };
        let reply = self.send(way, request).await.ok()?;
        if !reply.status().is_success() {
            return None;
        }
        let profile: ProfileReply = serde_json::from_slice(&read(reply).await.ok()?).ok()?;
        Some(identity(profile.account, profile.organization))
    }

    /// The only door out: the call goes the way it was given, or not at all.
    pub(super) async fn send(
        &self,
        way: &Way,
        request: impl FnOnce(&reqwest::Client) -> reqwest::RequestBuilder,
    ) -> Result<Response, Unreached> {
        let client = self.ways.client(way).map_err(Unreached::NoWay)?;
        let reply = request(&client).send().await.map_err(|error| match way {
            Way::Configured => Unreached::Direct(error.without_url()),
            Way::Proxy(_) => Unreached::Proxied(error.without_url()),
        })?;
        match reply.status() {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(Unreached::ProxyRefuses),
            _ => Ok(reply),
        }
    }

    async fn token(&self, request: &TokenRequest<'_>, way: &Way) -> Result<Grant, TokenError> {
        let asked_at = self.clock.now();
        let post = |http: &reqwest::Client| http.post(self.config.token_url.clone()).json(request);
        let reply = self.send(way, post).await.map_err(TokenError::Transport)?;
        let status = reply.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(TokenError::RateLimited {
                retry_at: ratelimit::retry_after(reply.headers(), asked_at),
            });
        }
        if status.is_server_error() {
            return Err(TokenError::Server { status });
        }
        let body = read(reply).await?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        // The cause would quote the body, so it is left out.
        let reply: TokenReply = serde_json::from_slice(&body)
            .map_err(|_| TokenError::Malformed { problem: "it is not the JSON of a token reply" })?;
        grant(reply, asked_at)
    }
}

fn grant(reply: TokenReply, asked_at: Timestamp) -> Result<Grant, TokenError> {
    if reply.access_token.trim().is_empty() {
        return Err(TokenError::Malformed { problem: "its access token is empty" });
    }
    let lifetime = SignedDuration::from_secs(lifetime_seconds(&reply.expires_in));
    Ok(Grant {
        tokens: OAuth {
            access: AccessToken::new(reply.access_token),
            refresh: reply.refresh_token.filter(|token| !token.trim().is_empty()).map(RefreshToken::new),
            // From when we asked: the issuer's clock started no earlier.
            expires_at: Some(after(asked_at, lifetime)),
        },
        scope: reply.scope.filter(|scope| !scope.is_empty()),
        identity: identity(reply.account.unwrap_or_default(), reply.organization.unwrap_or_default()),
        issued_at: asked_at,
    })
}

/// Takes a number or its text; what is missing or makes no sense is held within bounds.
fn lifetime_seconds(value: &Value) -> i64 {
    let seconds = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and is clamped next")]
    let seconds = seconds
        .filter(|seconds| seconds.is_finite())
        .map_or(DEFAULT_LIFETIME_SECONDS, |seconds| seconds as i64);
    seconds.clamp(*LIFETIME_SECONDS.start(), *LIFETIME_SECONDS.end())
}

fn identity(account: AccountReply, organization: OrganizationReply) -> Identity {
    let known = |text: Option<String>| text.filter(|text| !text.is_empty());
    Identity {
        email: known(account.email_address),
        account_uuid: known(account.uuid),
        organization_uuid: known(organization.uuid),
        organization_name: known(organization.name),
    }
}

/// Reads RFC 6749's error object, and the shape of this issuer's other endpoints, where `error` is an object.
fn refusal(status: StatusCode, body: &[u8]) -> TokenError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(shorten);
    let (error, description) = match body.get("error") {
        Some(Value::Object(error)) => (text(error.get("type")), text(error.get("message"))),
        error => (text(error), text(body.get("error_description"))),
    };
    match error.as_deref() {
        Some("invalid_grant") => TokenError::InvalidGrant { description },
        _ => TokenError::Refused {
            status,
            error: error.unwrap_or_else(|| "no reason given".to_owned()),
            description,
        },
    }
}

/// One line of at most 300 characters: it ends on a terminal and in a log.
fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

pub(super) async fn read(mut reply: Response) -> Result<Vec<u8>, TokenError> {
    let mut body = Vec::new();
    let cut = |error: reqwest::Error| TokenError::Transport(Unreached::Direct(error.without_url()));
    while let Some(chunk) = reply.chunk().await.map_err(cut)? {
        if body.len() + chunk.len() > MAX_REPLY {
            return Err(TokenError::Malformed { problem: "it is too large" });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lifetimes_that_make_no_sense_are_held_within_bounds() {
        let cases = [
            (json!(28800), 28800),
            (json!("28800"), 28800),
            (json!(0), 60),
            (json!(-5), 60),
            (json!(1e300), 400 * 24 * 3600),
            (json!("soon"), 3600),
            (json!(null), 3600),
        ];
        for (value, expected) in cases {
            assert_eq!(lifetime_seconds(&value), expected, "{value}");
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        let oauth = refusal(
            StatusCode::BAD_REQUEST,
            br#"{"error":"invalid_grant","error_description":"Refresh token revoked"}"#,
        );
        assert_eq!(oauth.to_string(), "the provider refused it: invalid_grant (Refresh token revoked)");
        let nested = refusal(
            StatusCode::FORBIDDEN,
            br#"{"type":"error","error":{"type":"permission_error","message":"no"}}"#,
        );
        assert_eq!(
            nested.to_string(),
            "the provider refused the request with status 403 Forbidden: permission_error (no)"
        );
        let html = refusal(StatusCode::BAD_REQUEST, b"<html>");
        assert!(matches!(html, TokenError::Refused { .. }));
    }

    #[test]
    fn a_reply_tells_who_logged_in() {
        let reply = json!({"access_token":"a","refresh_token":"r","expires_in":100,"scope":"x y",
            "account":{"uuid":"u","email_address":"me@example.com"},"organization":{"uuid":"o","name":"Org"}});
        let grant = grant(serde_json::from_value(reply).unwrap(), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(grant.identity.account_uuid.as_deref(), Some("u"));
        assert_eq!(grant.identity.email.as_deref(), Some("me@example.com"));
        assert_eq!(grant.tokens.expires_at.unwrap().as_second(), 100);
    }
}
