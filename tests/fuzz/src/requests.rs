//! What holds of the translation of any request.

use serde_json::Value;

use crate::rules;
use crate::translate::responses::{self, Recalled};
use crate::translate::{Config, Prepared, chat};
use crate::wire::Dialect;
use crate::wire::error::ApiError;
use crate::wire::responses::Request;

pub fn chat(body: &[u8]) -> Result<Prepared<chat::Reply>, ApiError> {
    chat::to_messages(body, Config::default(), |_| None)
}

pub fn responses(body: &[u8]) -> Result<Prepared<responses::Reply>, ApiError> {
    let recalled = Recalled { keeps: true, ..Recalled::default() };
    responses::to_messages(Request::read(body)?, &recalled, body.len(), Config::default(), |_| None)
}

/// Translates `body` and judges what comes of it.
pub fn check<R>(body: &[u8], dialect: Dialect, translate: impl Fn(&[u8]) -> Result<Prepared<R>, ApiError>) {
    match translate(body) {
        Ok(prepared) => check_accepted(body, &prepared, &translate),
        Err(error) => check_refused(&error, dialect),
    }
}

fn check_accepted<R>(
    body: &[u8],
    prepared: &Prepared<R>,
    translate: &impl Fn(&[u8]) -> Result<Prepared<R>, ApiError>,
) {
    let sent: Value = serde_json::from_slice(&prepared.body).unwrap();
    assert_eq!(
        (&sent["model"], &prepared.model),
        (&Value::from(prepared.upstream.clone()), &prepared.upstream)
    );
    rules::check(&sent);
    let given: Value = serde_json::from_slice(body).unwrap();
    if given.get("thinking").is_none_or(Value::is_null) {
        rules::check_thinking(&sent);
    }
    let again = translate(body).unwrap();
    assert_eq!(
        (&again.body, &again.dropped),
        (&prepared.body, &prepared.dropped),
        "the same bytes each time"
    );
}

fn check_refused(error: &ApiError, dialect: Dialect) {
    assert_eq!((error.status, error.http_status(dialect)), (400, 400), "{error}");
    assert!(!error.message.is_empty());
    let body: Value = serde_json::from_slice(&error.body(dialect, None)).unwrap();
    assert_eq!(body["error"]["param"].as_str(), error.param.as_deref());
}
