//! Errors of the Messages API in its own shape.

use http::StatusCode;
use serde_json::json;

use super::answer::Answer;

/// Status, type and text of a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    kind: &'static str,
    pub(super) message: String,
    /// `error.details.error_code`.
    code: Option<&'static str>,
}

impl ApiError {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            message: message.into(),
            code: None,
        }
    }

    pub(super) fn authentication(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            kind: "authentication_error",
            message: message.into(),
            code: None,
        }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, kind: "not_found_error", message: message.into(), code: None }
    }

    /// The thread is another account's, or gone.
    pub(super) fn thread_not_found() -> Self {
        Self { code: Some("thread_not_found"), ..Self::not_found("The thread was not found.") }
    }

    pub(super) fn too_large() -> Self {
        let message = "Request exceeds the maximum allowed number of bytes.".to_owned();
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, kind: "request_too_large", message, code: None }
    }

    pub(super) fn into_answer(self, request_id: &str) -> Answer {
        let mut error = json!({"type": self.kind, "message": self.message});
        if let (Some(code), Some(error)) = (self.code, error.as_object_mut()) {
            error.insert("details".to_owned(), json!({"error_code": code}));
        }
        Answer::json(self.status, &json!({"type": "error", "error": error, "request_id": request_id}))
    }
}
