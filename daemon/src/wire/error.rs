//! Errors as each API writes them, and upstream's errors read into one type.
//!
//! Nothing here decides whose fault an error is or what to try next. A message kept from upstream is what
//! upstream said in its own error object; a body that is no such object is never repeated to a client.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Dialect;
use super::json::{FieldError, Str};
use super::messages::PeekError;
use super::sse;

/// The error types of the Anthropic API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    InvalidRequest,
    Authentication,
    Billing,
    Permission,
    NotFound,
    RequestTooLarge,
    RateLimit,
    Api,
    Timeout,
    Overloaded,
}

impl ErrorKind {
    /// `error.type` of the Anthropic API.
    pub const fn anthropic(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Billing => "billing_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::RequestTooLarge => "request_too_large",
            Self::RateLimit => "rate_limit_error",
            Self::Api => "api_error",
            Self::Timeout => "timeout_error",
            Self::Overloaded => "overloaded_error",
        }
    }

    /// `error.type` of the `OpenAI` API.
    pub const fn openai(self) -> &'static str {
        match self {
            Self::InvalidRequest | Self::NotFound | Self::RequestTooLarge => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Billing => "insufficient_quota",
            Self::Permission => "permission_error",
            Self::RateLimit => "rate_limit_error",
            Self::Api | Self::Timeout | Self::Overloaded => "server_error",
        }
    }

    /// The status the Anthropic API sends with this type.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::Billing => 402,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::RequestTooLarge => 413,
            Self::RateLimit => 429,
            Self::Api => 500,
            Self::Timeout => 504,
            Self::Overloaded => 529,
        }
    }

    /// The type that belongs to a status for which no type was given.
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            413 => Self::RequestTooLarge,
            429 => Self::RateLimit,
            408 | 504 => Self::Timeout,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::InvalidRequest,
            _ => Self::Api,
        }
    }

    fn of_anthropic(name: &str) -> Option<Self> {
        const ALL: [ErrorKind; 10] = [
            ErrorKind::InvalidRequest,
            ErrorKind::Authentication,
            ErrorKind::Billing,
            ErrorKind::Permission,
            ErrorKind::NotFound,
            ErrorKind::RequestTooLarge,
            ErrorKind::RateLimit,
            ErrorKind::Api,
            ErrorKind::Timeout,
            ErrorKind::Overloaded,
        ];
        ALL.into_iter().find(|kind| kind.anthropic() == name)
    }
}

/// One error, ready to be written in any dialect. `status` is the Anthropic API's; see
/// [`ApiError::http_status`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub status: u16,
    pub kind: ErrorKind,
    pub message: String,
    /// The request field at fault (`OpenAI` dialects).
    pub param: Option<String>,
    /// A code a program can act on.
    pub code: Option<String>,
}

impl ApiError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { status: kind.status(), kind, message: message.into(), param: None, code: None }
    }

    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message)
    }

    /// A refusal that names the field at fault.
    pub fn invalid_param(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid_request(message).with_param(param)
    }

    /// The client's own key is missing or wrong.
    pub fn invalid_client_key(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Authentication, message).with_code("invalid_api_key")
    }

    pub fn permission(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Permission, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    pub fn model_not_found(model: &str) -> Self {
        Self::not_found(format!("model: {model} does not exist, or no account of the pool can use it"))
            .with_param("model")
            .with_code("model_not_found")
    }

    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::RequestTooLarge, message)
    }

    pub fn rate_limit(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::RateLimit, message).with_code("rate_limit_exceeded")
    }

    pub fn overloaded(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Overloaded, message).with_code("overloaded_error")
    }

    pub fn api(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Api, message)
    }

    /// A mistake of ours.
    pub fn internal() -> Self {
        Self::api("proxyd made a mistake and ended this request; its log says more")
            .with_code("internal_error")
    }

    /// Upstream could not be reached, or its answer broke off before its headers.
    pub fn bad_gateway(message: impl Into<String>) -> Self {
        Self::api(message).with_status(502)
    }

    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Timeout, message)
    }

    /// Upstream's answer broke off in the middle.
    pub fn upstream_disconnected() -> Self {
        Self::bad_gateway("upstream closed the connection before its answer was complete")
            .with_code("upstream_disconnected")
    }

    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The HTTP status to send: 529 exists only in the Anthropic API.
    pub const fn http_status(&self, dialect: Dialect) -> u16 {
        match (dialect, self.status) {
            (Dialect::Chat | Dialect::Responses | Dialect::Completions, 529) => 503,
            (_, status) => status,
        }
    }

    /// The error body of `dialect` as JSON. `request_id` is written in the Anthropic shape only.
    pub fn body(&self, dialect: Dialect, request_id: Option<&str>) -> Vec<u8> {
        let written = match dialect {
            Dialect::Messages => serde_json::to_vec(&AnthropicBody {
                kind: "error",
                error: AnthropicError {
                    kind: self.kind.anthropic(),
                    message: &self.message,
                    details: self.detail().map(|error_code| Details { error_code }),
                },
                request_id,
            }),
            Dialect::Chat | Dialect::Responses | Dialect::Completions => {
                serde_json::to_vec(&OpenAiBody { error: self.openai() })
            }
        };
        // Plain strings cannot fail to be written.
        written.unwrap_or_default()
    }

    /// The code, where it says more than the type.
    fn detail(&self) -> Option<&str> {
        self.code.as_deref().filter(|code| *code != self.kind.anthropic())
    }

    /// The value of `error` in the `OpenAI` shape.
    pub fn openai(&self) -> OpenAiError<'_> {
        OpenAiError {
            message: &self.message,
            kind: self.kind.openai(),
            param: self.param.as_deref(),
            code: self.code.as_deref(),
        }
    }
}

/// `error` of the `OpenAI` APIs: all four keys are always there.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct OpenAiError<'a> {
    pub message: &'a str,
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub param: Option<&'a str>,
    pub code: Option<&'a str>,
}

#[derive(Serialize)]
struct OpenAiBody<'a> {
    error: OpenAiError<'a>,
}

#[derive(Serialize)]
struct AnthropicBody<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    error: AnthropicError<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

#[derive(Serialize)]
struct Details<'a> {
    error_code: &'a str,
}

impl From<PeekError> for ApiError {
    fn from(error: PeekError) -> Self {
        Self::invalid_request(error.to_string())
    }
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        let message = error.to_string();
        Self::invalid_param(error.field, message)
    }
}

/// Upstream's error object, in an error body and in an `error` event alike.
#[derive(Deserialize)]
struct Upstream<'a> {
    #[serde(borrow)]
    error: UpstreamError<'a>,
}

#[derive(Deserialize)]
struct UpstreamError<'a> {
    #[serde(rename = "type", borrow)]
    kind: Str<'a>,
    #[serde(borrow)]
    message: Str<'a>,
    #[serde(borrow, default)]
    details: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct UpstreamDetails<'a> {
    #[serde(borrow)]
    error_code: Str<'a>,
}

/// Upstream's HTTP error as a client of a translated path must see it.
///
/// A refused credential is not the client's doing: it becomes a 502 that does not repeat what upstream said.
pub fn from_upstream(status: u16, body: &[u8]) -> ApiError {
    if matches!(status, 401 | 403) {
        return ApiError::bad_gateway(
            "upstream refused the account's credential; see `proxyctl accounts list`",
        )
        .with_code(ErrorKind::of_status(status).anthropic());
    }
    from_upstream_to_its_own(status, body)
}

/// The same where it was the client's own credential that went up: what upstream says of it is for the client.
pub fn from_upstream_to_its_own(status: u16, body: &[u8]) -> ApiError {
    in_its_own_words(status, body).unwrap_or_else(|| {
        let kind = ErrorKind::of_status(status);
        let error = ApiError::new(kind, format!("upstream answered with status {status}"))
            .with_code(kind.anthropic());
        // A redirect or a success that is none of ours to follow or read is a broken upstream.
        error.with_status(if status < 400 { 502 } else { status })
    })
}

/// The error as upstream words it, which may be about the account and not the client's to see; `None` where the body is
/// no error.
pub fn in_its_own_words(status: u16, body: &[u8]) -> Option<ApiError> {
    let upstream = serde_json::from_str::<Upstream<'_>>(std::str::from_utf8(body).ok()?).ok()?;
    let kind = ErrorKind::of_anthropic(&upstream.error.kind).unwrap_or(ErrorKind::of_status(status));
    Some(read_error(&upstream.error, kind).with_status(status))
}

/// The error an `error` event carries; `None` for every other event.
pub fn from_event(event: &sse::Event) -> Option<ApiError> {
    if !matches!(&*event.event, "error" | "message") {
        return None;
    }
    let upstream = serde_json::from_str::<Upstream<'_>>(&event.data).ok();
    match upstream {
        Some(upstream) => {
            let kind = ErrorKind::of_anthropic(&upstream.error.kind).unwrap_or(ErrorKind::Api);
            Some(match kind {
                ErrorKind::Authentication | ErrorKind::Permission => from_upstream(kind.status(), b""),
                _ => read_error(&upstream.error, kind),
            })
        }
        None if &*event.event == "error" => {
            Some(ApiError::api("upstream reported an error without saying which"))
        }
        None => None,
    }
}

fn read_error(error: &UpstreamError<'_>, kind: ErrorKind) -> ApiError {
    let detail = error.details.and_then(|raw| serde_json::from_str::<UpstreamDetails<'_>>(raw.get()).ok());
    let code = match (&detail, kind) {
        (Some(details), _) => details.error_code.to_string(),
        // Upstream words an unknown model as "model: <id>".
        (None, ErrorKind::NotFound) if error.message.starts_with("model") => "model_not_found".to_owned(),
        (None, _) => error.kind.to_string(),
    };
    let param = (code == "model_not_found").then(|| "model".to_owned());
    ApiError { status: kind.status(), kind, message: error.message.to_string(), param, code: Some(code) }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
