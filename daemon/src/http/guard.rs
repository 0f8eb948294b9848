//! Who may call: programs of this machine's same user, and no web page. Pure but for the peer's uid, which
//! the accept loop found out.
//!
//! A page in a browser reaches loopback as easily as any program, so a foreign `Host` (DNS rebinding), any
//! `Origin` and any cross-site request are refused on every route, and their bodies looked at by nobody.

use std::net::SocketAddr;

use http::header;
use http::{HeaderMap, StatusCode, Uri};

use crate::wire::error::{ApiError, ErrorKind};

/// What the kernel says about the other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Peer {
    Uid(u32),
    /// It could not be told: a remote address, or another network namespace.
    Unknown,
}

/// The rules of one daemon.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    hosts: Vec<String>,
    uid: u32,
}

impl Guard {
    /// Accepts the bound addresses by number and, on loopback, by `localhost`.
    pub(super) fn new(bound: &[SocketAddr], uid: u32) -> Self {
        let mut hosts = Vec::new();
        for address in bound {
            let port = address.port();
            hosts.push(address.to_string());
            if address.ip().is_loopback() {
                hosts.push(format!("localhost:{port}"));
            }
            if port == 80 {
                hosts.push(address.ip().to_string());
                hosts.push("localhost".to_owned());
            }
        }
        Self { hosts, uid }
    }

    pub(super) fn check(&self, peer: Peer, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        self.check_peer(peer)?;
        self.check_host(uri, headers)?;
        check_browser(headers)
    }

    fn check_peer(&self, peer: Peer) -> Result<(), ApiError> {
        match peer {
            Peer::Uid(uid) if uid == self.uid || uid == 0 => Ok(()),
            Peer::Uid(_) => Err(ApiError::permission(
                "proxyd serves the programs of the user it runs as, and of root; this connection belongs to another user",
            )),
            Peer::Unknown => Err(ApiError::permission(
                "proxyd serves the programs of the user it runs as, and the system does not tell whose this connection is",
            )),
        }
    }

    /// Exactly one host, and one of ours.
    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut named = headers.get_all(header::HOST).iter().map(|value| value.to_str().unwrap_or_default());
        let host = match (uri.authority(), named.next(), named.next()) {
            (Some(authority), None, _) => authority.as_str(),
            (Some(authority), Some(host), None) if authority.as_str().eq_ignore_ascii_case(host) => host,
            (None, Some(host), None) => host,
            _ => return Err(misdirected()),
        };
        if self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host)) {
            Ok(())
        } else {
            Err(misdirected())
        }
    }
}

fn check_browser(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.contains_key(header::ORIGIN) {
        return Err(ApiError::permission(
            "proxyd does not serve web pages: requests with an Origin header are refused",
        ));
    }
    let site = headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
    match site {
        None | Some(b"none" | b"same-origin") => Ok(()),
        Some(_) => {
            Err(ApiError::permission("proxyd does not serve web pages: cross-site requests are refused"))
        }
    }
}

fn misdirected() -> ApiError {
    let message = "the Host header does not name an address this daemon listens on; use the address that `proxyctl status` shows";
    ApiError::new(ErrorKind::InvalidRequest, message).with_status(StatusCode::MISDIRECTED_REQUEST.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const ME: Peer = Peer::Uid(1000);

    fn guard() -> Guard {
        Guard::new(&["127.0.0.1:8080".parse().unwrap(), "[::1]:8080".parse().unwrap()], 1000)
    }

    fn status(peer: Peer, headers: &[(&'static str, &'static str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        guard()
            .check(peer, &Uri::from_static("/v1/messages"), &map)
            .map_or_else(|error| error.status, |()| 200)
    }

    #[test]
    fn only_the_bound_addresses_are_hosts() {
        for host in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080"] {
            assert_eq!(status(ME, &[("host", host)]), 200, "{host}");
        }
        let foreign = [
            "localhost",
            "localhost:80",
            "127.0.0.1",
            "127.0.0.2:8080",
            "evil.example:8080",
            "localhost.evil.example:8080",
            "",
            "localhost:8080, x",
        ];
        for host in foreign {
            assert_eq!(status(ME, &[("host", host)]), 421, "{host}");
        }
        assert_eq!(status(ME, &[]), 421);
        assert_eq!(status(ME, &[("host", "localhost:8080"), ("host", "localhost:8080")]), 421);
    }

    #[test]
    fn http2_names_its_host_in_the_authority() {
        let uri = |text: &'static str| Uri::from_static(text);
        assert!(guard().check(ME, &uri("http://localhost:8080/"), &HeaderMap::new()).is_ok());
        assert!(guard().check(ME, &uri("http://evil.example/"), &HeaderMap::new()).is_err());
    }

    #[test]
    fn web_pages_are_refused() {
        for origin in ["http://localhost:8080", "https://evil.example", "null", ""] {
            assert_eq!(status(ME, &[("host", "localhost:8080"), ("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(status(ME, &[("host", "localhost:8080"), ("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(status(ME, &[("host", "localhost:8080"), ("sec-fetch-site", "none")]), 200);
    }

    #[test]
    fn other_users_are_refused() {
        let host = [("host", "localhost:8080")];
        assert_eq!(status(Peer::Uid(0), &host), 200);
        assert_eq!(status(Peer::Uid(1001), &host), 403);
        assert_eq!(status(Peer::Unknown, &host), 403);
    }
}
