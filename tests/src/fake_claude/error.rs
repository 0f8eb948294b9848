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
}

impl ApiError {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "invalid_request_error", message: message.into() }
    }

    pub(super) fn authentication(message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, kind: "authentication_error", message: message.into() }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, kind: "not_found_error", message: message.into() }
    }

    pub(super) fn too_large() -> Self {
        let message = "Request exceeds the maximum allowed number of bytes.".to_owned();
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, kind: "request_too_large", message }
    }

    pub(super) fn into_answer(self, request_id: &str) -> Answer {
        let error = json!({"type": self.kind, "message": self.message});
        Answer::json(self.status, &json!({"type": "error", "error": error, "request_id": request_id}))
    }
}
