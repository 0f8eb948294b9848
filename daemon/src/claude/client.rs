//! The client of model traffic: HTTP/1.1 over connections that are kept for the next request, each driven by who reads it
//! ([`Driven`]).

use std::future::poll_fn;
use std::sync::Arc;

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use tower_service::Service;

use super::body::Outgoing;
use super::driven::{CallError, Driven, Reading, Stream, Unanswered};
use super::idle::{Host, Idle};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Clones share their connections, which end with the last of them.
#[derive(Clone, Debug)]
pub(super) struct Client<C> {
    connector: C,
    idle: Arc<Idle>,
}

impl<C> Client<C>
where
    C: Service<Uri, Error = BoxError> + Clone,
    C::Response: Stream + 'static,
{
    pub(super) fn new(connector: C) -> Self {
        Self { connector, idle: Idle::new() }
    }

    /// Sends a request and waits for the head of its answer. A connection that was kept may have been closed meanwhile: where
    /// nothing of the request went out, it goes by another one.
    pub(super) async fn request(&self, request: Request<Outgoing>) -> Result<Response<Reading>, CallError> {
        let (host, mut request) = addressed(request)?;
        loop {
            let (mut driven, is_new) = match self.idle.take(&host) {
                Some(driven) => (driven, false),
                None => (self.connect(&host).await?, true),
            };
            match driven.send(request).await {
                Ok(answer) => {
                    let home = (Arc::downgrade(&self.idle), host);
                    return Ok(answer.map(|body| Reading::new(body, driven, home)));
                }
                Err(Unanswered::Unsent(unsent, _)) if !is_new => request = *unsent,
                Err(Unanswered::Unsent(_, error) | Unanswered::Failed(error)) => {
                    return Err(CallError::Http(error));
                }
            }
        }
    }

    async fn connect(&self, (scheme, authority): &Host) -> Result<Box<Driven>, CallError> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(scheme.clone());
        parts.authority = Some(authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        let to = Uri::from_parts(parts).map_err(|error| CallError::Connect(error.into()))?;
        let mut connector = self.connector.clone();
        poll_fn(|context| connector.poll_ready(context)).await.map_err(CallError::Connect)?;
        let stream = connector.call(to).await.map_err(CallError::Connect)?;
        Driven::over(Box::new(stream)).await.map_err(CallError::Http)
    }
}

/// Where a request goes, and the request as it is written there: its target is a path (RFC 9112, section 3.2.1), and the host
/// stands in a header.
fn addressed(mut request: Request<Outgoing>) -> Result<(Host, Request<Outgoing>), CallError> {
    let parts = std::mem::take(request.uri_mut()).into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
        return Err(CallError::Connect("the address has no host".into()));
    };
    *request.uri_mut() = parts.path_and_query.map_or_else(Uri::default, Uri::from);
    if !request.headers().contains_key(HOST) {
        let host = host(&scheme, &authority).map_err(|error| CallError::Connect(error.into()))?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(((scheme, authority), request))
}

/// Without a port that is the scheme's own.
fn host(scheme: &Scheme, authority: &Authority) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let own = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    match authority.port_u16() {
        // It may begin with a name and a password, which are no part of the host.
        Some(port) if port != own && authority.as_str().contains('@') => {
            HeaderValue::from_str(&format!("{}:{port}", authority.host()))
        }
        Some(port) if port != own => HeaderValue::from_str(authority.as_str()),
        _ => HeaderValue::from_str(authority.host()),
    }
}
