//! The token and revoke endpoints, and the two endpoints about the person.
//!
//! They take JSON as the real ones do and refuse everything that is not exactly right: a malformed call is a
//! mistake of the client and is remembered as a [`Surprise`](super::Surprise).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::Answer;
use super::authorize::CLIENT_ID;
use super::book::{Refusal, Tokens, later};
use super::issued::{AccountNumber, Caller};
use super::record::Surprise;
use super::state::State;

/// `POST /v1/oauth/token`.
pub(super) fn token(state: &mut State, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Answer {
    let answered = fields(headers, body).and_then(|f| match text(&f, "grant_type")? {
        "authorization_code" => exchange(state, &f, now),
        "refresh_token" => refresh(state, &f, now),
        other => Err(format!("grant_type {other} is not supported")),
    });
    answered.unwrap_or_else(|why| malformed(state, "/v1/oauth/token", why))
}

/// `POST /v1/oauth/revoke`.
pub(super) fn revoke(state: &mut State, headers: &HeaderMap, body: &[u8]) -> Answer {
    let revoked = fields(headers, body).and_then(|f| {
        client(&f)?;
        state.book.revoke(text(&f, "token")?);
        Ok(Answer::json(StatusCode::OK, &json!({})))
    });
    revoked.unwrap_or_else(|why| malformed(state, "/v1/oauth/revoke", why))
}

/// The refresh token in a token or revoke request says whose request it is.
pub(super) fn caller(state: &State, body: &[u8]) -> Option<Caller> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let secret = body.get("refresh_token").or_else(|| body.get("token"))?.as_str()?;
    state.book.caller_of(secret)
}

/// `GET /api/oauth/profile`.
pub(super) fn profile(state: &State, account: AccountNumber) -> Answer {
    let who = state.book.identity(account);
    let body = json!({
        "account": {
            "uuid": who.account_uuid, "email": who.email, "full_name": "Fake Person", "display_name": "Fake",
            "has_claude_max": false, "has_claude_pro": true,
        },
        "organization": {
            "uuid": who.organization_uuid, "name": who.organization_name, "organization_type": "claude_pro",
            "rate_limit_tier": "default_claude_ai",
        },
    });
    Answer::json(StatusCode::OK, &body)
}

/// `GET /api/oauth/usage`.
pub(super) fn usage(now: Timestamp) -> Answer {
    let window = |utilization: f64, seconds: i64| json!({"utilization": utilization, "resets_at": later(now, seconds).to_string()});
    let body = json!({
        "five_hour": window(6.0, 5 * 3600),
        "seven_day": window(35.0, 7 * 24 * 3600),
        "seven_day_opus": window(0.0, 7 * 24 * 3600),
        "seven_day_sonnet": window(12.0, 7 * 24 * 3600),
    });
    Answer::json(StatusCode::OK, &body)
}

fn exchange(state: &mut State, f: &Map<String, Value>, now: Timestamp) -> Result<Answer, String> {
    client(f)?;
    let verifier = text(f, "code_verifier")?;
    // RFC 7636, 4.1.
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    if !(43..=128).contains(&verifier.len()) || !verifier.chars().all(unreserved) {
        return Err("code_verifier must be 43 to 128 unreserved characters".to_owned());
    }
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    let (code, uri, sent_state) = (text(f, "code")?, text(f, "redirect_uri")?, text(f, "state")?);
    Ok(match state.book.redeem_code(code, &challenge, uri, sent_state, now) {
        Ok(tokens) => granted(state, &tokens),
        Err(refusal) => refused(&refusal),
    })
}

fn refresh(state: &mut State, f: &Map<String, Value>, now: Timestamp) -> Result<Answer, String> {
    client(f)?;
    let token = text(f, "refresh_token")?;
    Ok(match state.book.redeem_refresh_token(token, now) {
        Ok(tokens) => granted(state, &tokens),
        Err(refusal) => {
            if refusal == Refusal::RefreshTokenReused {
                let account = state.book.caller_of(token);
                state.surprises.push(Surprise::RefreshTokenReused { account });
            }
            refused(&refusal)
        }
    })
}

fn granted(state: &State, tokens: &Tokens) -> Answer {
    let who = state.book.identity(tokens.account);
    let body = json!({
        "token_type": "Bearer",
        "access_token": tokens.access_token,
        "expires_in": state.book.expires_in,
        "refresh_token": tokens.refresh_token,
        "scope": tokens.scope,
        "organization": {"uuid": who.organization_uuid, "name": who.organization_name},
        "account": {"uuid": who.account_uuid, "email_address": who.email},
    });
    let mut answer = Answer::json(StatusCode::OK, &body);
    answer.set("cache-control", "no-store");
    answer
}

fn refused(refusal: &Refusal) -> Answer {
    oauth_error("invalid_grant", refusal.description())
}

fn malformed(state: &mut State, path: &str, why: String) -> Answer {
    let answer = oauth_error("invalid_request", &why);
    state.surprises.push(Surprise::MalformedOauthCall { path: path.to_owned(), why });
    answer
}

fn oauth_error(code: &str, description: &str) -> Answer {
    Answer::json(StatusCode::BAD_REQUEST, &json!({"error": code, "error_description": description}))
}

fn fields(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, String> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if content_type.split(';').next().map(str::trim) != Some("application/json") {
        return Err(format!("content-type must be application/json, not '{content_type}'"));
    }
    serde_json::from_slice(body).map_err(|e| format!("the body is not a JSON object: {e}"))
}

fn text<'a>(f: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    f.get(name).and_then(Value::as_str).filter(|v| !v.is_empty()).ok_or_else(|| format!("{name} is missing"))
}

fn client(f: &Map<String, Value>) -> Result<(), String> {
    if text(f, "client_id")? == CLIENT_ID {
        Ok(())
    } else {
        Err("client_id is not the public client id".to_owned())
    }
}
