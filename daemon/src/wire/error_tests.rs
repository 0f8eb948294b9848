//! Errors in each dialect's shape.

use super::*;

fn text(error: &ApiError, dialect: Dialect, request_id: Option<&str>) -> String {
    String::from_utf8(error.body(dialect, request_id)).unwrap()
}

#[test]
fn each_dialect_has_its_own_shape() {
    let error = ApiError::invalid_param("n", "n must be 1");
    assert_eq!(
        text(&error, Dialect::Chat, Some("req_1")),
        r#"{"error":{"message":"n must be 1","type":"invalid_request_error","param":"n","code":null}}"#
    );
    assert_eq!(
        text(&error, Dialect::Messages, Some("req_1")),
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"n must be 1"},"request_id":"req_1"}"#
    );
    assert_eq!(
        text(&ApiError::upstream_disconnected(), Dialect::Messages, None),
        r#"{"type":"error","error":{"type":"api_error","message":"upstream closed the connection before its answer was complete","details":{"error_code":"upstream_disconnected"}}}"#
    );
}

#[test]
fn upstream_errors_keep_their_words_and_find_their_place() {
    let body = |kind: &str, message: &str| {
        format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}"#
        )
    };
    let cases = [
        (
            400,
            "invalid_request_error",
            "max_tokens: too big",
            400,
            "invalid_request_error",
            "invalid_request_error",
        ),
        (402, "billing_error", "credit too low", 402, "insufficient_quota", "billing_error"),
        (404, "not_found_error", "model: claude-x", 404, "invalid_request_error", "model_not_found"),
        (404, "not_found_error", "Not found", 404, "invalid_request_error", "not_found_error"),
        (413, "request_too_large", "too large", 413, "invalid_request_error", "request_too_large"),
        (429, "rate_limit_error", "slow down", 429, "rate_limit_error", "rate_limit_error"),
        (500, "api_error", "Internal", 500, "server_error", "api_error"),
        (504, "timeout_error", "late", 504, "server_error", "timeout_error"),
        (529, "overloaded_error", "Overloaded", 503, "server_error", "overloaded_error"),
        (418, "teapot_error", "short and stout", 418, "invalid_request_error", "teapot_error"),
    ];
    for (status, kind, message, openai_status, openai_type, code) in cases {
        let error = from_upstream(status, body(kind, message).as_bytes());
        assert_eq!(error.message, message);
        assert_eq!(error.http_status(Dialect::Messages), status);
        assert_eq!(error.http_status(Dialect::Chat), openai_status, "{kind}");
        assert_eq!(error.openai().kind, openai_type, "{kind}");
        assert_eq!(error.code.as_deref(), Some(code));
    }
}

#[test]
fn details_name_the_code() {
    let body = br#"{"type":"error","error":{"type":"not_found_error","message":"gone","details":{"error_code":"thread_not_found"}}}"#;
    assert_eq!(from_upstream(404, body).code.as_deref(), Some("thread_not_found"));
    let null = br#"{"type":"error","error":{"type":"api_error","message":"x","details":null}}"#;
    assert_eq!(from_upstream(500, null).code.as_deref(), Some("api_error"));
}

#[test]
fn bodies_that_are_no_error_object_are_not_repeated() {
    for body in [&b"<html>502 Bad Gateway sk-ant-api03-FAKE</html>"[..], b"", b"\xff", b"{}", b"null"] {
        let error = from_upstream(502, body);
        assert_eq!(error.message, "upstream answered with status 502");
        assert_eq!((error.status, error.kind), (502, ErrorKind::Api));
    }
    let busy = from_upstream(503, b"busy");
    assert_eq!((busy.http_status(Dialect::Chat), busy.code.as_deref()), (503, Some("overloaded_error")));
    assert_eq!(
        text(&from_upstream(502, b"<html>"), Dialect::Messages, None),
        r#"{"type":"error","error":{"type":"api_error","message":"upstream answered with status 502"}}"#
    );
    assert_eq!(from_upstream(302, b"").status, 502);
}

#[test]
fn a_refused_credential_is_not_the_clients_doing() {
    let body =
        br#"{"type":"error","error":{"type":"authentication_error","message":"bad key sk-ant-api03-FAKE"}}"#;
    for status in [401, 403] {
        let error = from_upstream(status, body);
        assert_eq!(error.http_status(Dialect::Chat), 502);
        assert_eq!(error.openai().kind, "server_error");
        assert!(!error.message.contains("FAKE"), "{}", error.message);
    }
}

#[test]
fn error_events_are_recognised_and_others_are_not() {
    let event = |name: &str, data: &str| sse::Event { event: name.into(), data: data.to_owned() };
    let data = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    for name in ["error", "message"] {
        let error = from_event(&event(name, data)).unwrap();
        assert_eq!((error.status, error.kind), (529, ErrorKind::Overloaded));
    }
    assert_eq!(from_event(&event("error", "oops")).unwrap().kind, ErrorKind::Api);
    assert_eq!(from_event(&event("ping", r#"{"type":"ping"}"#)), None);
    assert_eq!(from_event(&event("message_start", data)), None);
}
