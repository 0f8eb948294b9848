//! From a request to its answer: record it, look for a script, do the work, shape the answer.
//!
//! A path the real service does not have is a [`Surprise`](super::Surprise) and gets a 404; nothing is served
//! leniently.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use url::Url;

use super::answer::{Answer, Body};
use super::authorize::{self, PASTE_PATH};
use super::error::ApiError;
use super::issued::Caller;
use super::record::{Progress, Recorded, Surprise};
use super::script::{Act, Loss, Script};
use super::server::{Connection, Ending};
use super::shelf::Kept;
use super::state::{Shared, State};
use super::{control, messages, models, oauth};

/// Headers that are between a client and its own server and must not reach this one.
const CLIENTS_OWN_HEADERS: [&str; 2] = ["cookie", "proxy-authorization"];

/// Whether the `/fake/` endpoints are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    Off,
    On,
}

/// What every connection serves.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) shared: Arc<Shared>,
    pub(super) base: Url,
    pub(super) control: Control,
}

/// A request whose body has been read.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    fn new(parts: Parts, body: Bytes) -> Self {
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
        }
    }

    pub(super) fn query_fields(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(self.query.as_bytes()).into_owned().collect()
    }
}

impl Site {
    pub(super) async fn answer(&self, request: Request<Incoming>, connection: Connection) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let method = parts.method.clone();
        let held = self.shared.look().held_uploads.iter().find(|(path, _)| path == parts.uri.path()).cloned();
        if let Some((_, gate)) = held {
            gate.pass().await;
        }
        if self.shared.look().refused_uploads.iter().any(|path| path == parts.uri.path()) {
            let refusal = ApiError::too_large().into_answer("req_FAKEearly");
            return refusal.into_response(connection, self.shared.unwatched());
        }
        // An upload that breaks off is recorded with no body and as abandoned: its connection is gone.
        let read = body.collect().await.map(http_body_util::Collected::to_bytes);
        let upload_ended = read.is_ok();
        let call = Call::new(parts, read.unwrap_or_default());
        if self.control == Control::On && call.path.starts_with("/fake/") {
            return control::answer(self, &call).into_response(connection, self.shared.unwatched());
        }
        let (number, caller) = self.shared.change(|s| (s.next_number(), caller(s, &call)));
        let mut watched = self.shared.record(Recorded {
            number,
            connection: connection.number,
            method,
            path: call.path.clone(),
            query: call.query.clone(),
            headers: call.headers.clone(),
            body: call.body.clone(),
            caller: caller.clone(),
            progress: Progress::Running,
        });
        if !upload_ended {
            drop(watched);
            return std::future::pending().await;
        }
        self.note_surprises(&call);
        let script = self.shared.change(|s| s.take_script(&call.path, caller.as_ref()));
        let script = script.unwrap_or_else(Script::real);
        if let Some(gate) = script.hold.clone() {
            gate.pass().await;
        }
        let answer = match &script.act {
            Act::Real => self.work(&call, number),
            Act::Canned(answer) => answer.clone(),
        };
        if let Some(gate) = script.hold_answer.clone() {
            gate.pass().await;
        }
        if let Some(loss) = script.lose {
            watched.answered();
            connection.end(match loss {
                Loss::Reset => Ending::Reset,
                Loss::Close => Ending::Close,
            });
            return std::future::pending().await;
        }
        script.shape(answer).into_response(connection, watched)
    }

    fn note_surprises(&self, call: &Call) {
        if call.headers.contains_key("x-api-key") && call.headers.contains_key("authorization") {
            self.shared.surprise(Surprise::TwoCredentials { path: call.path.clone() });
        }
        // A browser sends its cookies to the authorize page; nobody else has any business with them.
        if call.path.starts_with("/oauth/") {
            return;
        }
        for header in CLIENTS_OWN_HEADERS {
            if call.headers.contains_key(header) {
                self.shared.surprise(Surprise::LeakedHeader { path: call.path.clone(), header });
            }
        }
    }

    /// The answer without a script.
    fn work(&self, call: &Call, number: u64) -> Answer {
        let now = self.shared.now();
        let request_id = format!("req_FAKE{number:06}");
        let mut answer = self.shared.change(|s| match (call.method.as_str(), call.path.as_str()) {
            ("GET", "/oauth/authorize") => self.authorize(s, call),
            // Who looks for what is wrong asks for nothing, and brings nothing.
            ("HEAD", "/") if call.headers.get("authorization").is_none() => {
                ApiError::not_found("Not found").into_answer(&request_id)
            }
            ("GET", PASTE_PATH) => authorize::paste_page(&call.query_fields()),
            ("POST", "/v1/oauth/token") => oauth::token(s, &call.headers, &call.body, now),
            ("POST", "/v1/oauth/revoke") => oauth::revoke(s, &call.headers, &call.body),
            ("GET", "/api/oauth/profile") => messages::bearer(&s.book, &call.headers, now)
                .map_or_else(|e| e.into_answer(&request_id), |account| oauth::profile(s, account)),
            ("GET", "/api/oauth/usage") => messages::bearer(&s.book, &call.headers, now)
                .and_then(|_| messages::needs_oauth_beta(&call.headers))
                .map_or_else(|e| e.into_answer(&request_id), |()| oauth::usage(now)),
            (method, path) => {
                let Some(what) = ModelCall::of(method, path) else {
                    return unknown_call(s, call, &request_id);
                };
                self.model_call(s, call, what, &request_id)
            }
        });
        answer.set("request-id", &request_id);
        answer
    }

    fn authorize(&self, s: &mut State, call: &Call) -> Answer {
        let person = s.person.clone();
        authorize::authorize(&mut s.book, &person, &call.query_fields(), &self.base)
            .map_or_else(|why| authorize::refusal_page(&why), authorize::Next::into_answer)
    }

    fn model_call(&self, s: &mut State, call: &Call, what: ModelCall<'_>, request_id: &str) -> Answer {
        let now = self.shared.now();
        let caller = match messages::authenticate(&s.book, &call.headers, now) {
            Ok(caller) => caller,
            Err(error) => return error.into_answer(request_id),
        };
        let (headers, query) = (&call.headers, call.query.as_str());
        let worked = match what {
            ModelCall::Create => messages::create(s, &caller, headers, query, &call.body),
            ModelCall::Kept(kept) => {
                messages::needs_version(headers).and_then(|_| s.shelf.serve(&mut s.book, &caller, kept, call))
            }
            ModelCall::CountTokens => messages::count_tokens(headers, query, &call.body),
            ModelCall::Models => {
                messages::needs_version(headers).and_then(|_| models::list(&call.query_fields()))
            }
            ModelCall::Model(id) => messages::needs_version(headers).and_then(|_| models::get(id)),
        };
        let mut answer = worked.unwrap_or_else(|error| error.into_answer(request_id));
        if let Caller::Account(account) = caller {
            answer.set("anthropic-organization-id", &s.book.identity(account).organization_uuid);
        }
        if matches!(what, ModelCall::Create) {
            messages::add_limits(&mut answer, &caller, now);
        }
        answer
    }
}

/// The calls that need a credential for model traffic.
#[derive(Clone, Copy, Debug)]
enum ModelCall<'a> {
    Create,
    CountTokens,
    Models,
    Model(&'a str),
    Kept(Kept<'a>),
}

impl<'a> ModelCall<'a> {
    fn of(method: &str, path: &'a str) -> Option<Self> {
        match (method, path) {
            ("POST", "/v1/messages") => Some(Self::Create),
            ("POST", "/v1/messages/count_tokens") => Some(Self::CountTokens),
            ("GET", "/v1/models") => Some(Self::Models),
            ("GET", path) if path.starts_with("/v1/models/") => path
                .strip_prefix("/v1/models/")
                .filter(|id| !id.is_empty() && !id.contains('/'))
                .map(Self::Model),
            (method, path) => Kept::of(method, path).map(Self::Kept),
        }
    }
}

fn unknown_call(s: &mut State, call: &Call, request_id: &str) -> Answer {
    s.surprises.push(Surprise::UnknownCall { method: call.method.clone(), path: call.path.clone() });
    ApiError::not_found("Not found").into_answer(request_id)
}

/// Whose credential the call carries, wherever it carries it.
fn caller(state: &State, call: &Call) -> Option<Caller> {
    if matches!(call.path.as_str(), "/v1/oauth/token" | "/v1/oauth/revoke") {
        return oauth::caller(state, &call.body);
    }
    let key = call.headers.get("x-api-key").and_then(|v| v.to_str().ok());
    let secret = key.or_else(|| messages::bearer_token(&call.headers))?;
    state.book.caller_of(secret)
}
