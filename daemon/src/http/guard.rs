//! Which requests may come at all, whoever sends them: those that name an address of ours, and no web page but those that are
//! configured. Pure.
//!
//! A page in a browser reaches loopback as easily as any program, so a foreign `Host` (DNS rebinding), any other `Origin` and
//! any cross-site request are refused on every route, and their bodies looked at by nobody.

use std::net::SocketAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

use crate::wire::error::{ApiError, ErrorKind};

/// What a browser says of the page that a request comes from (Fetch Metadata).
static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// `http.hosts` and `http.origins`.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    /// Further names of ours, with or without a port.
    pub(super) hosts: Vec<String>,
    /// Web pages that may call.
    pub(super) origins: Vec<String>,
}

/// Where a connection came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entrance {
    /// The address that it was made to, of an address that is listened on.
    Tcp {
        local: SocketAddr,
        tls: bool,
    },
    Unix,
}

impl Guard {
    /// The configured origin that a request comes from, if it comes from a web page.
    pub(super) fn check<'a>(
        &self,
        entrance: Entrance,
        uri: &Uri,
        headers: &'a HeaderMap,
    ) -> Result<Option<&'a HeaderValue>, ApiError> {
        self.check_host(entrance, uri, headers)?;
        self.check_browser(headers)
    }

    /// Exactly one host, and one of ours.
    fn check_host(&self, entrance: Entrance, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut named = headers.get_all(header::HOST).iter().map(|value| value.to_str().unwrap_or_default());
        let host = match (uri.authority(), named.next(), named.next()) {
            (Some(authority), Some(host), None) if authority.as_str().eq_ignore_ascii_case(host) => host,
            (None, Some(host), None) => host,
            _ => return Err(misdirected()),
        };
        // A listed name may stand in front of another port, as that of a proxy that ends TLS: then clients leave it out.
        let is_listed = |ours: &String| ours.eq_ignore_ascii_case(host) || entrance.is_also_named(ours, host);
        if entrance.is_named(host) || self.hosts.iter().any(is_listed) { Ok(()) } else { Err(misdirected()) }
    }

    fn check_browser<'a>(&self, headers: &'a HeaderMap) -> Result<Option<&'a HeaderValue>, ApiError> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (Some(origin), None) if self.origins.iter().any(|ours| origin.as_bytes() == ours.as_bytes()) => {
                return Ok(Some(origin));
            }
            (None, _) => {}
            _ => {
                return Err(ApiError::permission(
                    "proxyd does not serve web pages: requests with an Origin that is not listed in http.origins are refused",
                ));
            }
        }
        let mut sites = headers.get_all(&SEC_FETCH_SITE).iter().map(HeaderValue::as_bytes);
        match (sites.next(), sites.next()) {
            (None | Some(b"none" | b"same-origin"), None) => Ok(None),
            _ => {
                Err(ApiError::permission("proxyd does not serve web pages: cross-site requests are refused"))
            }
        }
    }
}

impl Entrance {
    /// By number and, on loopback, as `localhost`.
    fn is_named(self, host: &str) -> bool {
        let Self::Tcp { local, .. } = self else { return host.eq_ignore_ascii_case("localhost") };
        let ip = local.ip().to_canonical();
        let with_port = |name: &str| self.is_also_named(name, host);
        let by_number = match ip {
            // There is one way to write it, so that it need not be written to be compared.
            std::net::IpAddr::V4(ip) => {
                let named = host.rsplit_once(':').map_or(host, |(named, _)| named);
                named.parse() == Ok(ip) && with_port(named)
            }
            std::net::IpAddr::V6(ip) => with_port(&format!("[{ip}]")),
        };
        by_number || (ip.is_loopback() && with_port("localhost"))
    }

    /// `name` is meant with this port where it has none of its own.
    fn is_also_named(self, name: &str, host: &str) -> bool {
        let is = |name: &str| name.eq_ignore_ascii_case(host);
        match self {
            Self::Unix => is(name),
            Self::Tcp { .. } if has_port(name) => is(name),
            Self::Tcp { local, tls } => {
                let port = local.port();
                let is_with_port = host.rsplit_once(':').is_some_and(|(named, number)| {
                    named.eq_ignore_ascii_case(name) && is_number(number, port)
                });
                is_with_port || (port == if tls { 443 } else { 80 } && is(name))
            }
        }
    }
}

/// Whether a text is this number as it is usually written.
fn is_number(text: &str, number: u16) -> bool {
    !text.starts_with(['0', '+']) && text.parse() == Ok(number)
}

/// Whether a name ends with a port; the colons of an IPv6 address are no sign of one.
fn has_port(name: &str) -> bool {
    name.rsplit_once(':').is_some_and(|(before, port)| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && !before.is_empty()
    })
}

/// A body must say what it is where it is JSON: a web page cannot send that type without being asked first.
pub(super) fn check_type(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    let is_file = uri.path().starts_with("/v1/files");
    if !has_body || is_file || matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (types.next(), types.next()) else { return Err(no_json()) };
    let kind = kind.to_str().unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json =
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if is_json { Ok(()) } else { Err(no_json()) }
}

fn no_json() -> ApiError {
    ApiError::invalid_request(
        "the body must be JSON and say so: send the header content-type: application/json",
    )
    .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE.as_u16())
}

fn misdirected() -> ApiError {
    let message = "the Host header does not name an address this daemon listens on; use the address that `proxyctl status` shows, or list the name in http.hosts";
    ApiError::new(ErrorKind::InvalidRequest, message).with_status(StatusCode::MISDIRECTED_REQUEST.as_u16())
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
