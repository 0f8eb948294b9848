//! Tells this login's callback from everything else that may knock on a loopback port. Pure.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method, Request};
use secrecy::SecretString;

use super::Page;
use crate::paste::{self, Answer};

/// The one path that is served.
const PATH: &str = "/callback";
/// The names by which a browser on this machine may have come here.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What this listener answers for.
#[derive(Debug)]
pub(super) struct Site {
    /// `localhost:PORT` and the like.
    authorities: [String; 3],
    state: SecretString,
}

impl Site {
    pub(super) fn new(port: u16, state: SecretString) -> Self {
        Self { authorities: HOSTS.map(|host| format!("{host}:{port}")), state }
    }

    /// The answer this request carries, or the page for a stranger.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<Answer, Page> {
        let (headers, uri) = (request.headers(), request.uri());
        // Another name for this address is how a foreign page reaches it (DNS rebinding), and only a page of
        // this listener, of which there is none, could have its origin.
        let host = only(headers, &HOST).is_some_and(|host| self.is_mine(host));
        let origin = headers.get_all(ORIGIN).iter().all(|origin| {
            origin
                .to_str()
                .ok()
                .and_then(|origin| origin.strip_prefix("http://"))
                .is_some_and(|host| self.is_mine(host))
        });
        if !host || !origin || uri.authority().is_some() {
            return Err(Page::Forbidden);
        }
        if uri.path() != PATH {
            return Err(Page::NotFound);
        }
        if request.method() != Method::GET {
            return Err(Page::MethodNotAllowed);
        }
        paste::query(uri.query().unwrap_or_default(), &self.state).map_err(|_| Page::NotThisLogin)
    }

    fn is_mine(&self, authority: &str) -> bool {
        self.authorities.iter().any(|mine| mine.eq_ignore_ascii_case(authority))
    }
}

/// The value of a header that must be there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "/callback?code=FAKE-code&state=FAKE-state";

    fn check(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Answer, Page> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Site::new(54545, "FAKE-state".into()).check(&request.body(()).unwrap())
    }

    #[test]
    fn the_callback_is_taken_under_each_name_of_loopback() {
        for host in ["localhost:54545", "LOCALHOST:54545", "127.0.0.1:54545", "[::1]:54545"] {
            assert!(matches!(check("GET", GOOD, &[("host", host)]), Ok(Answer::Code(_))), "{host}");
        }
        let own = [("host", "localhost:54545"), ("origin", "http://localhost:54545")];
        assert!(matches!(check("GET", GOOD, &own), Ok(Answer::Code(_))));
    }

    #[test]
    fn strangers_are_told_apart() {
        let host = ("host", "localhost:54545");
        for (method, uri, headers, page) in [
            ("GET", GOOD, &[][..], Page::Forbidden),
            ("GET", GOOD, &[("host", "localhost")], Page::Forbidden),
            ("GET", GOOD, &[("host", "evil.example:54545")], Page::Forbidden),
            ("GET", GOOD, &[host, ("host", "evil.example")], Page::Forbidden),
            ("GET", GOOD, &[host, ("origin", "https://evil.example")], Page::Forbidden),
            ("GET", GOOD, &[host, ("origin", "null")], Page::Forbidden),
            ("GET", "http://evil.example/callback?code=a&state=FAKE-state", &[host], Page::Forbidden),
            ("GET", "/", &[host], Page::NotFound),
            ("GET", "/callback/?code=a&state=FAKE-state", &[host], Page::NotFound),
            ("GET", "/favicon.ico", &[host], Page::NotFound),
            ("POST", GOOD, &[host], Page::MethodNotAllowed),
            ("HEAD", GOOD, &[host], Page::MethodNotAllowed),
            ("GET", "/callback", &[host], Page::NotThisLogin),
            ("GET", "/callback?code=a", &[host], Page::NotThisLogin),
            ("GET", "/callback?code=a&state=other", &[host], Page::NotThisLogin),
            ("GET", "/callback?state=FAKE-state", &[host], Page::NotThisLogin),
            ("GET", "/callback?code=a&code=b&state=FAKE-state", &[host], Page::NotThisLogin),
            ("GET", "/callback?error=access_denied&state=other", &[host], Page::NotThisLogin),
        ] {
            assert_eq!(check(method, uri, headers).unwrap_err(), page, "{method} {uri} {headers:?}");
        }
    }
}
