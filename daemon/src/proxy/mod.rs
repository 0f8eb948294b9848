//! Carries requests: chooses accounts, sends, judges the answers, and pumps bodies back. It speaks no HTTP
//! server and no dialect's details: `http` hands it an [`Exchange`], `wire` and `translate` do the formats.
//!
//! Nothing is retried once a byte has gone downstream, no stream ends in silence, and a client that leaves
//! takes its upstream call with it.

mod answer;
mod dispatch;
mod error;
mod gzip;
mod headers;
mod listing;
mod models;
mod native_events;
mod stream;
mod translated;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, header};
use tokio_util::sync::CancellationToken;

pub use answer::{Answer, Body};
pub use error::ProxyError;
pub use headers::REQUEST_ID;
pub use models::ModelsRequest;

use crate::claude::CallBody;
use crate::claude::api::{Api, Call};
use crate::clock::Clock;
use crate::id::RequestId;
use crate::pool::{Endpoint, Lease, Pool};
use crate::refresh::Refresher;
use crate::translate::Prepared;
use crate::wire::{Dialect, splice};
use models::ModelCache;

/// The proxy; clones share everything.
#[derive(Clone, Debug)]
pub struct Proxy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: Arc<Pool>,
    refresher: Refresher,
    api: Api,
    clock: Clock,
    models: ModelCache,
    /// Cancelled when the grace period of a stop is over: what still streams ends with an error event.
    cut: CancellationToken,
}

/// One request of a client.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub id: RequestId,
    pub dialect: Dialect,
    pub endpoint: Endpoint,
    /// As the client names it; empty where a call is about none.
    pub model: String,
    /// As the body names it; `None` for a call without a body.
    written: Option<String>,
    pub call: Call,
}

impl Proxy {
    pub fn new(
        pool: Arc<Pool>,
        refresher: Refresher,
        api: Api,
        clock: Clock,
        cut: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner { pool, refresher, api, clock, models: ModelCache::default(), cut }))
    }

    /// Passes a Messages request through: body, query and end-to-end headers go up as they came, and so does
    /// the answer come back.
    pub async fn pass_through(&self, exchange: &Exchange) -> Result<Answer, ProxyError> {
        let attempt = self.unless_cut(self.0.dispatch(exchange)).await?;
        Ok(answer::native(attempt, exchange, &self.0))
    }

    /// Work that nobody waits for any longer once the grace period of a stop is over.
    async fn unless_cut<T>(
        &self,
        work: impl Future<Output = Result<T, ProxyError>>,
    ) -> Result<T, ProxyError> {
        tokio::select! {
            done = work => done,
            () = self.0.cut.cancelled() => Err(ProxyError::Stopping),
        }
    }
}

impl Exchange {
    /// A request that goes up as the client sent it.
    pub fn native(
        id: RequestId,
        endpoint: Endpoint,
        model: String,
        path: PathAndQuery,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Self {
        let headers = headers::for_upstream(headers);
        let call = Call { method: Method::POST, path, headers, body: body.into() };
        Self { id, dialect: Dialect::Messages, endpoint, written: Some(model.clone()), model, call }
    }

    /// A request about no model: it goes up as the client sent it, and its body while the client sends it.
    pub fn unnamed(id: RequestId, endpoint: Endpoint, head: &Parts, body: CallBody) -> Self {
        let path = head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let headers = headers::for_upstream(&head.headers);
        let call = Call { method: head.method.clone(), path, headers, body };
        Self { id, dialect: Dialect::Messages, endpoint, model: String::new(), written: None, call }
    }

    /// A request that we wrote ourselves, from one in another dialect.
    fn translated<R>(id: RequestId, dialect: Dialect, prepared: &Prepared<R>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for beta in &prepared.betas {
            headers.append(headers::ANTHROPIC_BETA, HeaderValue::from_static(beta));
        }
        let path = PathAndQuery::from_static("/v1/messages");
        let call = Call { method: Method::POST, path, headers, body: prepared.body.clone().into() };
        let (model, written) = (prepared.model.clone(), Some(prepared.upstream.clone()));
        Self { id, dialect, endpoint: Endpoint::Messages, model, written, call }
    }

    /// The call as the lease's account makes it. Accounts may ask for one model under different names, so the name is
    /// put in for each attempt; nothing else of the body changes, and the same bytes go up where the name is
    /// right already.
    fn call_by(&self, lease: &Lease) -> Call {
        let mut call = self.call.clone();
        if self.written.as_deref().is_some_and(|written| written != lease.model())
            && let Some(body) = self.call.body.whole()
        {
            call.body = Bytes::from(splice::replace(body, "model", lease.model())).into();
        }
        call
    }
}
