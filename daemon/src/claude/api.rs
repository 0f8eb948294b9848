//! Model traffic: one call upstream by one lease. What the caller sent goes up as it came; the credential is
//! added here and nowhere else.

use std::borrow::Cow;
use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::{self, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, Uri};
use url::Url;

use super::answer::{UpstreamBody, io_kind};
use super::body::CallBody;
use super::connect::TooSlow;
use super::driven::CallError;
use super::own::OwnCredential;
use super::transport::{MOST_BUFFERED, ModelClient, Tls, TransportError};
use super::ways::{Closed, Way, Ways};
use super::{Config, Timeouts, USER_AGENT};
use crate::account::{Account, Credential};
use crate::clock::in_words;
use crate::pool::{Lease, Pool};
use crate::secret::sensitive_header;
use crate::wire::error::ApiError;

/// What an OAuth token needs among the betas.
pub(super) const OAUTH_BETA: &str = "oauth-2025-04-20";
/// The version sent for a caller that names none.
const DEFAULT_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

pub(super) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
pub(super) const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// One request as it goes upstream, but for the credential. Cloned for each attempt: the body is shared, not
/// copied.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    /// Path and query, as upstream knows them.
    pub path: PathAndQuery,
    /// End-to-end headers of the caller that may go upstream.
    pub headers: HeaderMap,
    pub body: CallBody,
}

/// Whose words a request is in that goes up by its caller's own credential.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WrittenBy {
    /// It speaks upstream's dialect, and goes up as it is.
    Caller,
    /// It was translated, or asks something else in its caller's stead.
    Us,
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("upstream cannot be reached")]
    Connect(#[source] CallError),
    /// The account's proxy cannot be reached, refuses (407), or does not get through to upstream.
    #[error("upstream cannot be reached through the account's proxy")]
    Proxy(#[source] CallError),
    #[error("no connection to upstream within {}", in_words(*limit))]
    ConnectTimeout { limit: Duration, source: CallError },
    #[error("upstream hung up before it answered")]
    HungUp(#[source] CallError),
    #[error("upstream reset the connection before it answered")]
    Reset(#[source] CallError),
    #[error("upstream's answer has more headers than the {} KiB that are read", MOST_BUFFERED / 1024)]
    LargeHead(#[source] CallError),
    #[error("upstream's answer is not HTTP")]
    NotHttp(#[source] CallError),
    #[error("upstream sent no answer within {}", in_words(*.0))]
    Timeout(Duration),
    /// The client's own body was too large, broke off, or made no progress.
    #[error("the client's upload did not come to its end")]
    Upload(#[source] ApiError),
    /// The credential holds bytes that no header may carry; nothing was sent.
    #[error("the account's credential cannot be sent in a header")]
    Credential(#[source] InvalidHeaderValue),
    /// A setting of the account cannot be used; nothing was sent.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// No client could be made for the way that the account must take; nothing was sent.
    #[error("the account's proxy cannot be used")]
    NoWay(#[source] TransportError),
}

/// Upstream's model API.
#[derive(Clone, Debug)]
pub struct Api {
    ways: Arc<Ways<ModelClient>>,
    provider: Base,
    timeouts: Arc<ArcSwap<Timeouts>>,
}

/// Where calls go.
#[derive(Clone, Debug)]
struct Base {
    scheme: Scheme,
    authority: Authority,
    /// A path in front of every call's, for bases such as `https://host/anthropic`.
    prefix: String,
}

impl Api {
    /// `pool` says which proxies are in use.
    pub fn new(config: &Config, tls: &Tls, pool: Arc<Pool>) -> Result<Self, TransportError> {
        let timeouts = Arc::new(ArcSwap::from_pointee(config.transport.timeouts));
        let ways = Ways::new(&config.transport, tls, pool, ModelClient::new)?;
        let provider = Base::of(&config.api_base_url).ok_or(TransportError::BaseUrl)?;
        Ok(Self { ways: Arc::new(ways), provider, timeouts })
    }

    /// Upstream may take this long from now on. Calls that are under way go on as they were.
    pub fn configure(&self, timeouts: Timeouts) -> Result<(), TransportError> {
        self.ways.connect_within(timeouts.connect)?;
        self.timeouts.store(Arc::new(timeouts));
        Ok(())
    }

    /// Sends `call` by the lease's credential, the way its account goes, and waits for the answer's head. Dropping
    /// the future, or later the answer's body, closes the call upstream.
    pub async fn send(&self, call: Call, lease: &Lease) -> Result<Response<UpstreamBody>, SendError> {
        let account = lease.account();
        let way = Way::of(account)?;
        let mut call = call;
        complete(&mut call.headers);
        authorize(&mut call.headers, &account.credential).map_err(SendError::Credential)?;
        let base = self.base(account)?;
        self.send_by(&way, &base, call).await
    }

    /// Sends `call` by the credential that its caller brought, to the provider, the configured way.
    pub async fn send_own(
        &self,
        call: Call,
        credential: &OwnCredential,
        written_by: WrittenBy,
    ) -> Result<Response<UpstreamBody>, SendError> {
        let mut call = call;
        match written_by {
            WrittenBy::Caller => {
                // What it did not say is upstream's to miss.
                relay(&mut call.headers);
                credential.as_it_came(&mut call.headers);
            }
            WrittenBy::Us => {
                complete(&mut call.headers);
                credential.as_upstream_wants_it(&mut call.headers).map_err(SendError::Credential)?;
            }
        }
        self.send_by(&Way::Configured, &self.provider, call).await
    }

    /// Host and port that the account's calls go to; `None` where none can be made.
    pub fn server(&self, account: &Account) -> Option<(String, Option<u16>)> {
        Some(self.base(account).ok()?.server())
    }

    /// Those of the provider.
    pub fn provider(&self) -> Option<(String, Option<u16>)> {
        Some(self.provider.server())
    }

    async fn send_by(&self, way: &Way, base: &Base, call: Call) -> Result<Response<UpstreamBody>, SendError> {
        let client = self.ways.client(way).map_err(SendError::NoWay)?;
        let timeouts = **self.timeouts.load();
        let body = call.body;
        let mut request = Request::new(body.outgoing());
        *request.method_mut() = call.method;
        *request.uri_mut() = base.uri(call.path);
        *request.headers_mut() = call.headers;
        let answer = in_time(client.request(request), &body, timeouts.head).await;
        if let Some(fault) = body.fault() {
            return Err(SendError::Upload(fault));
        }
        match answer {
            Some(Err(error)) if error.is_connect() && way.is_own() => Err(SendError::Proxy(error)),
            Some(Err(error)) => Err(failed(error, timeouts)),
            Some(Ok(answer)) => Ok(answer.map(|body| UpstreamBody::new(body, timeouts.silence))),
            None => Err(SendError::Timeout(timeouts.head)),
        }
    }

    /// A key may be a gateway's; the tokens of a login are the provider's alone.
    fn base(&self, account: &Account) -> Result<Cow<'_, Base>, Closed> {
        match (&account.credential, &account.settings.base_url) {
            (Credential::ApiKey(_), Some(url)) => {
                let base = Base::of(url).map(Cow::Owned);
                base.ok_or_else(|| Closed { reason: "its base URL has no host".to_owned() })
            }
            (Credential::ApiKey(_), None) | (Credential::OAuth(_), _) => Ok(Cow::Borrowed(&self.provider)),
        }
    }
}

/// Why there is no head.
fn failed(error: CallError, timeouts: Timeouts) -> SendError {
    if error.is_connect() {
        return if is_too_slow(&error) {
            SendError::ConnectTimeout { limit: timeouts.connect, source: error }
        } else {
            SendError::Connect(error)
        };
    }
    let http = error.source().and_then(|source| source.downcast_ref::<hyper::Error>());
    match http {
        Some(http) if http.is_parse_too_large() => SendError::LargeHead(error),
        Some(http) if http.is_parse() => SendError::NotHttp(error),
        Some(http) if io_kind(http) == Some(io::ErrorKind::ConnectionReset) => SendError::Reset(error),
        _ => SendError::HungUp(error),
    }
}

/// Whether a connection was not made in time, by our limit or a part of it.
fn is_too_slow(error: &CallError) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        let timed_out = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
        if cause.is::<TooSlow>() || cause.downcast_ref::<io::Error>().is_some_and(timed_out) {
            return true;
        }
        source = cause.source();
    }
    false
}

/// The answer's head, or `None` when it is late: nothing came, and nothing more of the body went, for the time it has.
async fn in_time<T>(answer: impl Future<Output = T>, body: &CallBody, limit: Duration) -> Option<T> {
    tokio::pin!(answer);
    let mut taken = 0;
    loop {
        match tokio::time::timeout(limit, &mut answer).await {
            Ok(answer) => return Some(answer),
            Err(_) if body.taken() > taken => taken = body.taken(),
            Err(_) => return None,
        }
    }
}

impl Base {
    fn of(url: &Url) -> Option<Self> {
        let parts = url.as_str().parse::<Uri>().ok()?.into_parts();
        let prefix = url.path().trim_end_matches('/').to_owned();
        Some(Self { scheme: parts.scheme?, authority: parts.authority?, prefix })
    }

    /// Host and port.
    fn server(&self) -> (String, Option<u16>) {
        (self.authority.host().to_owned(), self.authority.port_u16())
    }

    fn uri(&self, path: PathAndQuery) -> Uri {
        let path = if self.prefix.is_empty() {
            path
        } else {
            // Both parts were valid alone; should they not be together, upstream answers 404 to the bare
            // path.
            PathAndQuery::try_from(format!("{}{path}", self.prefix)).unwrap_or(path)
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).unwrap_or_default()
    }
}

/// Adds what every call needs and the caller may have left out.
fn complete(headers: &mut HeaderMap) {
    headers.entry(ANTHROPIC_VERSION).or_insert(DEFAULT_VERSION);
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    relay(headers);
}

/// What a proxy says of itself. We decode nothing we can avoid: identity is asked for.
fn relay(headers: &mut HeaderMap) {
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.append(header::VIA, HeaderValue::from_static("1.1 proxyd"));
}

fn authorize(headers: &mut HeaderMap, credential: &Credential) -> Result<(), InvalidHeaderValue> {
    match credential {
        Credential::ApiKey(key) => {
            headers.insert(X_API_KEY, sensitive_header(key.expose())?);
        }
        Credential::OAuth(tokens) => {
            headers.insert(
                header::AUTHORIZATION,
                sensitive_header(&format!("Bearer {}", tokens.access.expose()))?,
            );
            headers.insert(ANTHROPIC_BETA, with_oauth_beta(headers)?);
        }
    }
    Ok(())
}

/// The caller's betas, all lines joined, order kept, and ours once.
pub(super) fn with_oauth_beta(headers: &HeaderMap) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut betas: Vec<&[u8]> = Vec::new();
    let lines = headers.get_all(ANTHROPIC_BETA);
    let callers = lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    for beta in callers.map(<[u8]>::trim_ascii).chain([OAUTH_BETA.as_bytes()]) {
        if !beta.is_empty() && !betas.contains(&beta) {
            betas.push(beta);
        }
    }
    HeaderValue::from_bytes(&betas.join(&b","[..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::OAuth;
    use crate::secret::{AccessToken, ApiKey};

    fn oauth() -> Credential {
        Credential::OAuth(OAuth {
            access: AccessToken::new("sk-ant-oat01-FAKE"),
            refresh: None,
            expires_at: None,
        })
    }

    #[test]
    fn the_oauth_beta_joins_the_callers_once() {
        let cases: [(&[&'static str], &str); 3] = [
            (&[], "oauth-2025-04-20"),
            (&["a,b", "c , a"], "a,b,c,oauth-2025-04-20"),
            (&["oauth-2025-04-20,x"], "oauth-2025-04-20,x"),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(ANTHROPIC_BETA, HeaderValue::from_static(line));
            }
            authorize(&mut headers, &oauth()).unwrap();
            let all: Vec<_> = headers.get_all(ANTHROPIC_BETA).iter().collect();
            assert_eq!(all, [expected], "{lines:?}");
        }
    }

    #[test]
    fn a_key_goes_as_a_key_and_adds_no_beta() {
        let mut headers = HeaderMap::new();
        authorize(&mut headers, &Credential::ApiKey(ApiKey::new("sk-ant-api03-FAKE"))).unwrap();
        assert!(headers.get(X_API_KEY).unwrap().is_sensitive());
        assert!(!headers.contains_key(ANTHROPIC_BETA) && !headers.contains_key(header::AUTHORIZATION));
    }

    #[test]
    fn a_base_keeps_its_path_in_front_of_the_calls() {
        for (base, uri) in [
            ("https://gateway.example", "https://gateway.example/v1/messages?beta=true"),
            ("https://gateway.example/anthropic/", "https://gateway.example/anthropic/v1/messages?beta=true"),
            ("http://127.0.0.1:9/a/b", "http://127.0.0.1:9/a/b/v1/messages?beta=true"),
        ] {
            let base = Base::of(&base.parse().unwrap()).unwrap();
            assert_eq!(base.uri(PathAndQuery::from_static("/v1/messages?beta=true")).to_string(), uri);
        }
    }

    #[test]
    fn what_the_caller_sent_is_kept_and_what_is_missing_added() {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static("their-client/1"));
        headers.insert(ANTHROPIC_VERSION, HeaderValue::from_static("2026-10-21"));
        complete(&mut headers);
        assert_eq!(headers.get(header::USER_AGENT).unwrap(), "their-client/1");
        assert_eq!(headers.get(ANTHROPIC_VERSION).unwrap(), "2026-10-21");
        assert_eq!(headers.get(header::VIA).unwrap(), "1.1 proxyd");
    }
}
