//! What every request goes through before its route, in this order: could it be read, does it name us and come from no web
//! page, whose is it, is there room for it, and does its key's limit let it in. Refusals are answers in the caller's
//! dialect.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt as _;
use http::header::{CONNECTION, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::admission::{self, Admission, Overloaded};
use super::auth::{self, Authenticator, Origin, Refused};
use super::connection::{Fault, Standing};
use super::guard::{self, Entrance, Guard};
use super::held::{self, Held, Places};
use super::line::{self, Line, Refusals};
use super::measured;
use super::patient::Patient;
use super::throttle::Throttle;
use super::{Config, cors, error, paths};
use crate::claude::OwnCredential;
use crate::clock::{Clock, SignedDuration};
use crate::id::RequestId;
use crate::keys::{Limit, Limited};
use crate::proxy::activity::Activity;
use crate::proxy::{Caller, SHOULD_RETRY};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Awaited, Refusal as Reason};
use crate::wire::Dialect;
use crate::wire::error::{ApiError, ErrorKind};

/// The one status of this API that HTTP has no words for.
const OVERLOADED: (u16, &[u8]) = (529, b"Overloaded");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// The rules and the routes behind them.
#[derive(Debug)]
pub(super) struct Gatekeeper {
    pub(super) router: Router,
    pub(super) guard: Guard,
    pub(super) authenticator: Authenticator,
    pub(super) admission: Arc<Admission>,
    /// Whether a request may go upstream by a credential of its own.
    pub(super) passthrough: bool,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) tasks: Tasks,
    /// Refusals that are told in the log, by source: nobody fills it.
    pub(super) told: Throttle,
    /// And by all of them together.
    pub(super) refusals: Refusals,
    /// Cancelled when the grace period of a stop is over.
    pub(super) cut: CancellationToken,
    /// How long nothing of a body may come.
    pub(super) patience: Duration,
    /// Where it is shown who is served.
    pub(super) activity: Arc<Activity>,
}

/// A connection, as far as its requests are judged by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    pub(super) entrance: Entrance,
    pub(super) origin: Origin,
}

/// A refusal, and what its answer says beside its words.
struct Refusal {
    reason: Reason,
    error: ApiError,
    /// In seconds.
    retry_after: Option<u64>,
    /// Who does not belong here holds no connection.
    closes: bool,
}

impl Gatekeeper {
    /// The same, by the rules of another configuration. Who waits in line, and what is known of wrong keys, stays.
    pub(super) fn with(&self, config: &Config) -> Self {
        let Config { auth, hosts, origins, passthrough, deadlines, .. } = config;
        Self {
            router: self.router.clone(),
            guard: Guard { hosts: hosts.clone(), origins: origins.clone() },
            authenticator: Authenticator { auth: *auth, ..self.authenticator.clone() },
            admission: Arc::clone(&self.admission),
            passthrough: *passthrough,
            clock: self.clock.clone(),
            metrics: Arc::clone(&self.metrics),
            tasks: self.tasks.clone(),
            told: self.told.clone(),
            refusals: self.refusals.clone(),
            activity: Arc::clone(&self.activity),
            cut: self.cut.clone(),
            patience: deadlines.body,
        }
    }

    pub(super) async fn handle(
        &self,
        visitor: Visitor,
        standing: &Arc<Standing>,
        request: hyper::Request<Incoming>,
    ) -> hyper::Response<Held> {
        let mut places = Places::new(standing.busy());
        let hold = if request.method() == Method::HEAD { Held::head_only } else { Held::new };
        let mut answer = if let Some(fault) = standing.fault() {
            places.observed.measured = measured::unread(&self.metrics);
            self.unread(visitor, fault)
        } else {
            let request = request.map(|body| Patient::new(body, self.patience, self.cut.clone()));
            let came = request.body().came();
            let mut request: Request = request.map(Body::new);
            paths::canonicalize(request.uri_mut());
            places.observed.measured = measured::request(&self.metrics, &request);
            let mut answer = self.answer_or_panic(visitor, request, &mut places).await;
            if !came.all() {
                // What was not read is not read any more: the connection ends with the answer, and the gate lingers
                // until the client has heard it.
                answer.headers_mut().insert(CONNECTION, CLOSE);
            }
            answer
        };
        if answer.status().as_u16() == OVERLOADED.0 {
            answer.extensions_mut().insert(ReasonPhrase::from_static(OVERLOADED.1));
        }
        places.observed.answers(answer.status().as_u16(), measured::streams(answer.headers()));
        if let Some(error) = answer.extensions().get::<ApiError>() {
            let why = answer.extensions().get::<error::Why>().map(|why| why.0.clone());
            places.observed.noted.failed(error, why);
        }
        answer.map(|body| hold(body, places))
    }

    /// A panic is this request's, and nobody else's.
    async fn answer_or_panic(&self, visitor: Visitor, request: Request, places: &mut Places) -> Response {
        let (id, dialect) = (RequestId::new(), error::dialect(request.uri().path(), request.headers()));
        places.line = Some(Line::new((dialect, id), &places.observed, &self.cut));
        let answering = AssertUnwindSafe(self.answer(visitor, request, places, (dialect, id)));
        answering.catch_unwind().await.unwrap_or_else(|panic| {
            tracing::error!(request.id = %id, panic = held::what(&*panic), "a request panicked");
            error::refuse(&ApiError::api("proxyd failed at this request; its log says more"), dialect, id)
        })
    }

    async fn answer(
        &self,
        visitor: Visitor,
        request: Request,
        places: &mut Places,
        (dialect, id): (Dialect, RequestId),
    ) -> Response {
        let page = match self.guard.check(visitor.entrance, request.uri(), request.headers()) {
            Ok(page) => page.cloned(),
            Err(error) => {
                places.line = None;
                return self.refuse(visitor, &misled(error), dialect, id);
            }
        };
        let preflight =
            page.as_ref().and_then(|page| cors::preflight(request.method(), request.headers(), page));
        if let Some(answer) = preflight {
            return answer;
        }
        let (mut head, body) = request.into_parts();
        let mut answer = match self.admit(visitor, &head, places).await {
            Ok(()) => {
                if !is_cheap(&head.method, head.uri.path()) {
                    let key = places.permit.as_ref().map(|permit| Arc::clone(permit.key()));
                    let served = self.activity.begin(id, dialect, key);
                    places.observed.progress = Some(Arc::clone(served.progress()));
                    places.served = Some(served);
                }
                // Given back when the answer begins and the body is gone: until then there may be a translation of it, too.
                let room = self.admission.room();
                head.extensions.insert(id);
                head.extensions.insert(room.clone());
                let caller = self.caller(&head.headers, places);
                if let Some(line) = &mut places.line {
                    line.client_key = caller.permit.as_deref().map(|permit| permit.key().name.clone());
                }
                head.extensions.insert(caller);
                let mut answer = self.route(Request::from_parts(head, body)).await;
                if room.was_refused() {
                    let wait = HeaderValue::from(admission::RETRY_AFTER.as_secs());
                    answer.headers_mut().insert(RETRY_AFTER, wait);
                }
                answer
            }
            Err(refusal) => {
                // It has a line of its own.
                places.line = None;
                self.refuse(visitor, &refusal, dialect, id)
            }
        };
        cors::settle(answer.headers_mut(), page.as_ref());
        answer
    }

    /// Finds out who calls, and takes the places that the request needs.
    async fn admit(&self, visitor: Visitor, head: &Parts, places: &mut Places) -> Result<(), Refusal> {
        let Parts { method, uri, headers, .. } = head;
        let now = Instant::now();
        let key = self.authenticator.authenticate(visitor.origin, uri, headers, now).map_err(refused)?;
        guard::check_type(method, uri, headers).map_err(|error| closing(Reason::ContentType, error))?;
        if is_cheap(method, uri.path()) {
            return Ok(());
        }
        let _waiting = self.metrics.wait(Awaited::Place);
        let admitting = async {
            // The key's own line first: who waits in it takes nobody else's place.
            if let Some(key) = key {
                let permit = key.admit().await.map_err(|limited| self.limited(&limited))?;
                places.permit = Some(Arc::new(permit));
            }
            places.admitted = Some(self.admission.admit().await.map_err(|Overloaded| overloaded())?);
            places.observed.measured.is_served();
            Ok(())
        };
        tokio::select! {
            biased;
            admitted = admitting => admitted,
            // Nobody waits longer than the daemon lives.
            () = self.tasks.stopping() => Err(stopping()),
        }
    }

    /// Who the request is for, as its route is told.
    fn caller(&self, headers: &HeaderMap, places: &Places) -> Caller {
        let credential = self.passthrough.then(|| OwnCredential::of(headers)).flatten();
        Caller { permit: places.permit.clone(), credential, observed: places.observed.clone() }
    }

    async fn route(&self, request: Request) -> Response {
        match self.router.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }

    /// Told in the log as far as its source does not fill it.
    fn refuse(&self, visitor: Visitor, refusal: &Refusal, dialect: Dialect, id: RequestId) -> Response {
        let (status, reason) = (refusal.error.http_status(dialect), &refusal.error);
        self.metrics.refused(refusal.reason);
        self.tell_refusal(visitor, id, status, reason);
        refuse(refusal, dialect, id)
    }

    fn tell_refusal(&self, visitor: Visitor, id: RequestId, status: u16, reason: &ApiError) {
        let (now, source) = (Instant::now(), visitor.origin.source);
        let untold = self.refusals.tell(now, self.told.wrong(source, now).is_ok());
        let (peer, uid) = line::peer(source);
        if let Some(untold) = untold {
            let untold = (untold > 0).then_some(untold);
            tracing::info!(request.id = %id, status, reason = %reason, peer.kind = peer, peer.uid = uid, untold, "request refused");
        } else {
            tracing::debug!(request.id = %id, status, reason = %reason, peer.kind = peer, peer.uid = uid, "request refused");
        }
    }

    /// The answer to what was no request, and the last one.
    fn unread(&self, visitor: Visitor, fault: Fault) -> Response {
        let error = ApiError::new(ErrorKind::InvalidRequest, fault.to_string()).with_status(fault.status());
        let id = RequestId::new();
        self.metrics.refused(Reason::Unreadable);
        self.tell_refusal(visitor, id, error.status, &error);
        let refusal = closing(Reason::Unreadable, error);
        let mut answer = refuse(&refusal, error::dialect("", &HeaderMap::new()), id);
        answer.headers_mut().insert(CONNECTION, CLOSE);
        answer
    }

    fn limited(&self, limited: &Limited) -> Refusal {
        if limited.limit == Limit::Ended {
            return closing(Reason::Unauthenticated, auth::needed(&limited.to_string()));
        }
        // One that ends with another request of the key's: nobody knows when that is.
        let wait = limited.retry_at.map_or(1, |at| whole_seconds(at.duration_since(self.clock.now())));
        let error = ApiError::rate_limit(limited.to_string());
        Refusal { reason: Reason::KeyLimit, error, retry_after: Some(wait), closes: false }
    }
}

/// What takes no place: it is answered at once, and tells how the daemon is when there is none.
fn is_cheap(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
        && matches!(path, "/" | "/api/hello" | "/healthz" | "/readyz" | "/metrics")
}

fn whole_seconds(wait: SignedDuration) -> u64 {
    let rounded_up = wait.as_secs() + i64::from(wait.subsec_nanos() > 0);
    u64::try_from(rounded_up).unwrap_or(0).max(1)
}

fn refused(refused: Refused) -> Refusal {
    match refused {
        Refused::Api(error) => closing(Reason::Unauthenticated, error),
        Refused::Throttled(wait) => Refusal {
            reason: Reason::Throttled,
            error: ApiError::rate_limit(
                "too many wrong client keys came from here: wait, and send the right one",
            ),
            retry_after: Some(wait.as_secs().max(1)),
            closes: true,
        },
    }
}

fn stopping() -> Refusal {
    Refusal {
        reason: Reason::Stopping,
        error: ApiError::overloaded("proxyd is stopping: send the request again in a moment"),
        retry_after: Some(admission::RETRY_AFTER.as_secs()),
        closes: true,
    }
}

fn overloaded() -> Refusal {
    Refusal {
        reason: Reason::Overloaded,
        error: ApiError::overloaded(
            "proxyd serves as many requests as it can already: try again in a moment",
        ),
        retry_after: Some(admission::RETRY_AFTER.as_secs()),
        closes: false,
    }
}

/// Who does not name us, or comes from a web page.
fn misled(error: ApiError) -> Refusal {
    let is_host = error.status == StatusCode::MISDIRECTED_REQUEST.as_u16();
    closing(if is_host { Reason::Host } else { Reason::WebPage }, error)
}

fn closing(reason: Reason, error: ApiError) -> Refusal {
    Refusal { reason, error, retry_after: None, closes: true }
}

/// The answer to somebody who is not served.
fn refuse(refusal: &Refusal, dialect: Dialect, id: RequestId) -> Response {
    let Refusal { error, retry_after, closes, .. } = refusal;
    let mut answer = error::refuse(error, dialect, id);
    let headers = answer.headers_mut();
    if let Some(seconds) = *retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if *closes {
        headers.insert(CONNECTION, CLOSE);
    }
    if error.status == StatusCode::UNAUTHORIZED.as_u16() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"proxyd\""));
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    answer
}

#[cfg(test)]
#[path = "gatekeeper_tests.rs"]
mod tests;
