//! Carries requests: chooses accounts, sends, judges the answers, and pumps bodies back. It speaks no HTTP
//! server and no dialect's details: `http` hands it an [`Exchange`], `wire` and `translate` do the formats.
//!
//! Nothing is retried once a byte has gone downstream, no stream ends in silence, and a client that leaves
//! takes its upstream call with it.

pub mod activity;
mod answer;
mod attempt;
mod budget;
mod caller;
mod carried;
mod conversation;
mod dispatch;
mod encoder;
mod error;
mod fault;
mod flow;
mod gzip;
mod headers;
mod history;
mod late;
mod listing;
mod meter;
mod models;
mod native_events;
mod noted;
mod observed;
mod own;
mod progress;
mod queue;
mod quiet;
mod ready;
mod responses;
mod steady;
mod stream;
mod told;
mod translated;

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, header};
use tokio_util::sync::CancellationToken;

pub use answer::{Answer, Body, held};
pub use caller::{Caller, NotAllowed};
pub use dispatch::LONG_WAIT;
pub use error::ProxyError;
pub use fault::Fault;
pub use headers::{REQUEST_ID, SHOULD_RETRY};
pub use history::{By, Entry, History, MOST_REMEMBERED, Story, Try, Words};
pub use late::LATE_HEAD;
pub use models::ModelsRequest;
pub use noted::{Broken, Noted, Notes};
pub use observed::Observed;
pub use told::Told;

use crate::claude::CallBody;
use crate::claude::api::{Api, Call};
use crate::clock::{Clock, SignedDuration};
use crate::id::RequestId;
use crate::owners::Owners;
use crate::pool::{Endpoint, Lease, Pool};
use crate::refresh::Refresher;
use crate::stored::StoredResponses;
use crate::telemetry::Metrics;
use crate::translate::{self, Prepared};
use crate::wire::error::ApiError;
use crate::wire::pieces::Pieces;
use crate::wire::{Dialect, messages, splice};
use activity::Activity;
use budget::Budget;
use carried::Carried;
use conversation::Conversation;
use late::Expected;
use models::ModelCache;
use queue::Queue;

/// The proxy; clones share everything.
#[derive(Clone, Debug)]
pub struct Proxy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: Arc<Pool>,
    refresher: Refresher,
    api: Api,
    clock: Clock,
    owners: Owners,
    stored: StoredResponses,
    models: ModelCache,
    config: ArcSwap<Config>,
    budget: Mutex<Budget>,
    queue: Queue,
    history: Arc<History>,
    activity: Arc<Activity>,
    metrics: Arc<Metrics>,
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
    /// The client asks for a stream.
    streams: bool,
    pub call: Call,
    /// Who it is for.
    pub caller: Caller,
    /// What it belongs to, for the choice of its account.
    conversation: Option<Conversation>,
    carried: Carried,
}

/// How requests are carried.
#[derive(Clone, Debug)]
pub struct Config {
    /// When every account is out until a time that was named, a request waits this long for one of them before it is
    /// refused.
    pub wait: SignedDuration,
    /// No more requests than these wait at once.
    pub queue: usize,
    pub translation: translate::Config,
    /// A stream's client that was sent nothing for this long gets a sign of life; `None`: never.
    pub keep_alive: Option<Duration>,
    /// A streaming request's head goes down at the latest after this long, where there is a `keep_alive`.
    pub late_head: Duration,
}

/// What the proxy works with.
#[derive(Debug)]
pub struct Components {
    pub pool: Arc<Pool>,
    pub refresher: Refresher,
    pub api: Api,
    pub clock: Clock,
    pub owners: Owners,
    pub stored: StoredResponses,
    pub metrics: Arc<Metrics>,
    /// Cancelled when the grace period of a stop is over.
    pub cut: CancellationToken,
}

impl Proxy {
    pub fn new(components: Components, config: Config) -> Self {
        let Components { pool, refresher, api, clock, owners, stored, metrics, cut } = components;
        Self(Arc::new(Inner {
            pool,
            refresher,
            api,
            models: ModelCache::default(),
            budget: Mutex::default(),
            queue: Queue::new(config.queue),
            history: Arc::new(History::new(clock.clone())),
            activity: Arc::new(Activity::new(clock.clone(), Arc::clone(&metrics))),
            clock,
            config: ArcSwap::from_pointee(config),
            owners,
            stored,
            metrics,
            cut,
        }))
    }

    /// Carries requests as this says from now on. A request that has begun goes on as it did, as far as that was looked at.
    pub fn configure(&self, config: Config) {
        self.0.queue.bound(config.queue);
        self.0.config.store(Arc::new(config));
    }

    /// What became of the last requests.
    pub fn history(&self) -> &Arc<History> {
        &self.0.history
    }

    /// What is going on.
    pub fn activity(&self) -> &Arc<Activity> {
        &self.0.activity
    }

    /// Passes a Messages request through: body, query and end-to-end headers go up as they came, and so does
    /// the answer come back.
    pub async fn pass_through(&self, exchange: Exchange) -> Result<Answer, ProxyError> {
        let exchange = self.0.with_carried(exchange);
        let expected = exchange.streams.then(|| Expected::native(&exchange));
        let this = self.clone();
        let work = Box::pin(async move {
            let answering = async {
                // In their place: to move them would be to copy them.
                let attempt = pin!(this.0.dispatch(&exchange)).await?;
                pin!(answer::native(attempt, &exchange, &this.0)).await
            };
            this.unless_cut(pin!(answering)).await
        });
        self.0.in_time(expected, work).await
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
    /// A request to the Messages API that goes up as the client sent it.
    ///
    /// # Errors
    /// The body cannot be one.
    pub fn native(id: RequestId, endpoint: Endpoint, head: &Parts, body: Pieces) -> Result<Self, ApiError> {
        let peek = messages::peek(&body)?;
        tracing::debug!(request.id = %id, model = %peek.model, stream = peek.stream, "messages");
        let conversation = conversation::of_headers(&head.headers).or_else(|| conversation::of_body(&peek));
        let streams = peek.stream && endpoint == Endpoint::Messages;
        let carried = Carried::by_fields(&peek);
        let model = peek.model.into_owned();
        let path = head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/v1/messages"));
        let headers = &head.headers;
        let headers = headers::for_upstream(headers);
        let call = Call { method: Method::POST, path, headers, body: body.into() };
        let (dialect, written) = (Dialect::Messages, Some(model.clone()));
        let caller = Caller::of(&head.extensions);
        Ok(Self { id, dialect, endpoint, model, written, streams, call, caller, conversation, carried })
    }

    /// A request about no model: it goes up as the client sent it, and its body while the client sends it.
    pub fn unnamed(id: RequestId, endpoint: Endpoint, head: &Parts, body: CallBody) -> Self {
        let path = head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let headers = headers::for_upstream(&head.headers);
        let call = Call { method: head.method.clone(), path, headers, body };
        // All of them are one conversation, so that a list shows what was sent.
        let conversation = conversation::of_endpoint(endpoint);
        let (dialect, model) = (Dialect::Messages, String::new());
        Self {
            id,
            dialect,
            endpoint,
            model,
            written: None,
            streams: false,
            call,
            caller: Caller::of(&head.extensions),
            conversation: Some(conversation),
            carried: Carried::default(),
        }
    }

    /// A request about models that goes up as the client sent it.
    fn about_models(id: RequestId, head: &Parts) -> Self {
        let exchange = Self::unnamed(id, Endpoint::Models, head, Bytes::new().into());
        Self { conversation: None, ..exchange }
    }

    /// A request that we wrote ourselves, from one in another dialect.
    fn translated<R>(id: RequestId, dialect: Dialect, sent: &Parts, prepared: &Prepared<R>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for beta in &prepared.betas {
            headers.append(headers::ANTHROPIC_BETA, HeaderValue::from_static(beta));
        }
        let path = PathAndQuery::from_static("/v1/messages");
        let call = Call { method: Method::POST, path, headers, body: prepared.body.clone().into() };
        let (model, written) = (prepared.model.clone(), Some(prepared.upstream.clone()));
        let session = || prepared.session.as_deref().map(conversation::of_session);
        let beginning = || conversation::of_written(&prepared.body);
        let conversation = conversation::of_headers(&sent.headers).or_else(session).or_else(beginning);
        let (endpoint, carried) = (Endpoint::Messages, Carried::default());
        let (streams, caller) = (prepared.stream, Caller::of(&sent.extensions));
        Self { id, dialect, endpoint, model, written, streams, call, caller, conversation, carried }
    }

    /// The same request, its tokens only counted.
    fn counted(mut self) -> Self {
        self.endpoint = Endpoint::CountTokens;
        self.call.path = PathAndQuery::from_static("/v1/messages/count_tokens");
        if let Some(body) = self.call.body.whole() {
            self.call.body = Bytes::from(messages::counted(&body)).into();
        }
        self
    }

    /// The call as the lease's account makes it. Accounts may ask for one model under different names, so the name is
    /// put in for each attempt; nothing else of the body changes, and the same bytes go up where the name is
    /// right already.
    fn call_by(&self, lease: &Lease) -> Call {
        let mut call = self.call.clone();
        if self.written.as_deref().is_some_and(|written| written != lease.model())
            && let Some(body) = self.call.body.whole()
        {
            call.body = Bytes::from(splice::replace(&body, "model", lease.model())).into();
        }
        call
    }
}
