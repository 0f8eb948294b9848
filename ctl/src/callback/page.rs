//! The pages a browser is shown: fixed texts, nothing of a request in them, nothing loaded from anywhere.

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

/// What a browser is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// The account is saved.
    Done,
    /// The person or the provider said no.
    Refused,
    /// The daemon could not complete the login.
    Failed,
    /// An answer that came after the end.
    Over,
    NotThisLogin,
    Forbidden,
    NotFound,
    MethodNotAllowed,
}

impl Page {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Done => (
                StatusCode::OK,
                "Login complete",
                "The account is saved. You can close this page and go back to the terminal.",
            ),
            Self::Refused => (
                StatusCode::FORBIDDEN,
                "Login refused",
                "Access was not granted and nothing was saved. Go back to the terminal to try again.",
            ),
            Self::Failed => (
                StatusCode::BAD_GATEWAY,
                "Login failed",
                "The login could not be completed. The terminal says why and what to do.",
            ),
            Self::Over => {
                (StatusCode::GONE, "Login over", "This login has already ended. You can close this page.")
            }
            Self::NotThisLogin => (
                StatusCode::BAD_REQUEST,
                "Not this login",
                "This address does not belong to the login that is waiting. Use the address shown in the terminal.",
            ),
            Self::Forbidden => (StatusCode::FORBIDDEN, "Forbidden", "This page is not for you."),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not found", "There is no such page."),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", "This page can only be read.")
            }
        }
    }

    pub(super) fn into_response(self) -> Response<String> {
        let (status, title, text) = self.parts();
        let mut response = Response::new(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title} - proxyctl</title>\n\
             <style>:root{{color-scheme:light dark}}body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:34rem;\
             margin:18vh auto;padding:0 1.5rem}}h1{{font-size:1.6rem}}</style>\n</head>\n\
             <body>\n<h1>{title}</h1>\n<p>{text}</p>\n</body>\n</html>\n"
        ));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (CACHE_CONTROL, "no-store"),
            // The address holds the code: no page it leads to may learn it.
            (REFERRER_POLICY, "no-referrer"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        response
    }
}
