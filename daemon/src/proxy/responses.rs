//! The Responses API: requests that go on from what is stored, answers that are stored, and what is stored by itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::HeaderMap;
use http::request::Parts;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{self, Answer};
use super::encoder::{Encoder, Translate};
use super::translated::{DROPPED_FIELDS, Translation, failure, read_answer};
use super::{Caller, Exchange, Proxy, ProxyError};
use crate::id::RequestId;
use crate::stored::{Holder, RecallError, Record, StoredResponses};
use crate::translate::Prepared;
use crate::translate::fields::{self, Table};
use crate::translate::responses::{self, Reply};
use crate::wire::error::ApiError;
use crate::wire::json::raw_of;
use crate::wire::responses::{Input, InputItem, ItemsQuery, Request, ResponseId, list_input, stored_input};
use crate::wire::{Dialect, messages, sse};

/// A request, translated, and what is needed to store its answer.
struct Asked {
    prepared: Prepared<Reply>,
    storing: Option<Arc<Storing>>,
}

/// What is stored of a request, once its answer is there.
struct Storing {
    stored: StoredResponses,
    /// Whose it will be.
    holder: Option<Holder>,
    body: Bytes,
    /// What the request's references stand for.
    referred: BTreeMap<String, Box<RawValue>>,
    previous: Option<ResponseId>,
}

/// How an answer becomes the client's, and is stored.
#[derive(Clone)]
struct StoredReply {
    reply: Reply,
    storing: Option<Arc<Storing>>,
}

struct StoringEncoder {
    encoder: responses::Encoder,
    storing: Arc<Storing>,
}

impl Proxy {
    /// `POST /v1/responses`.
    pub async fn responses(&self, id: RequestId, sent: &Parts, body: &Bytes) -> Result<Answer, ProxyError> {
        let Asked { prepared, storing } = self.ask(sent, body).await?;
        self.translate(id, sent, prepared.map_reply(|reply| StoredReply { reply, storing })).await
    }

    /// `POST /v1/responses/input_tokens`.
    pub async fn input_tokens(
        &self,
        id: RequestId,
        sent: &Parts,
        body: &Bytes,
    ) -> Result<Answer, ProxyError> {
        let Asked { prepared, .. } = self.ask(sent, body).await?;
        let dropped = self.declare(Dialect::Responses, &fields::RESPONSES, &prepared.dropped);
        let exchange = Exchange::translated(id, Dialect::Responses, sent, &prepared).counted();
        let exchange = self.0.with_carried(exchange);
        let attempt = self.unless_cut(self.0.dispatch(&exchange)).await?;
        if !attempt.response.status().is_success() {
            return failure(attempt, &exchange).await;
        }
        let (mut headers, counted) = self.unless_cut(read_answer(attempt)).await?;
        headers.extend(dropped.map(|list| (DROPPED_FIELDS, list)));
        let input_tokens = messages::count(&counted).map_err(|_| ProxyError::BadAnswer)?;
        let counted = serde_json::json!({"object": "response.input_tokens", "input_tokens": input_tokens});
        Ok(json(id, headers, raw_of(&counted).get()))
    }

    /// `GET /v1/responses/{id}`.
    pub async fn stored_response(
        &self,
        id: RequestId,
        sent: &Parts,
        wanted: &str,
    ) -> Result<Answer, ProxyError> {
        let record = self.stored(sent, wanted).await?;
        Ok(json(id, HeaderMap::new(), record.response.get()))
    }

    /// `GET /v1/responses/{id}/input_items`.
    pub async fn input_items(
        &self,
        id: RequestId,
        sent: &Parts,
        wanted: &str,
        query: &ItemsQuery,
    ) -> Result<Answer, ProxyError> {
        let record = self.stored(sent, wanted).await?;
        let list = list_input(&record.id, &record.input, query)?;
        Ok(answer::whole(StatusCode::OK, HeaderMap::new(), id, list, "application/json"))
    }

    /// `DELETE /v1/responses/{id}`.
    pub async fn delete_response(
        &self,
        id: RequestId,
        sent: &Parts,
        wanted: &str,
    ) -> Result<Answer, ProxyError> {
        let holder = Caller::of(&sent.extensions).holder();
        let known = match ResponseId::parse(wanted) {
            Some(response) => self.0.stored.delete(&response, holder.as_ref()).await,
            None => false,
        };
        if !known {
            return Err(self.not_stored(wanted).into());
        }
        let deleted = serde_json::json!({"id": wanted, "object": "response", "deleted": true});
        Ok(json(id, HeaderMap::new(), raw_of(&deleted).get()))
    }

    async fn stored(&self, sent: &Parts, wanted: &str) -> Result<Arc<Record>, ProxyError> {
        let holder = Caller::of(&sent.extensions).holder();
        let record = match ResponseId::parse(wanted) {
            Some(response) => self.0.stored.get(&response, holder.as_ref()).await,
            None => None,
        };
        record.ok_or_else(|| self.not_stored(wanted).into())
    }

    fn not_stored(&self, wanted: &str) -> ApiError {
        let why = if self.0.stored.is_enabled() {
            "it was not stored (store: false), was deleted, or is too old"
        } else {
            "storing responses is switched off here (responses.store)"
        };
        ApiError::not_found(format!("there is no response {wanted:?}: {why}"))
            .with_param("response_id")
            .with_code("response_not_found")
    }

    /// Reads and translates a request, with all that it goes on from.
    async fn ask(&self, sent: &Parts, body: &Bytes) -> Result<Asked, ProxyError> {
        let caller = Caller::of(&sent.extensions);
        let request = Request::read(body)?;
        let previous = request.previous_response_id.as_deref();
        let holder = caller.holder();
        let recalled = self.0.stored.recall(previous, &request.input.references(), holder.as_ref()).await;
        let recalled = recalled.map_err(|error| refusal(&error, &request))?;
        let previous = previous.and_then(ResponseId::parse);
        let config = self.translation(&sent.headers)?;
        let prepared = responses::to_messages(request, &recalled, body.len(), config, |model| {
            Some(self.0.known(model, &caller))
        })?;
        let storing = prepared.reply.is_stored().then(|| {
            let (stored, body, referred) = (self.0.stored.clone(), body.clone(), recalled.items);
            Arc::new(Storing { stored, holder, body, referred, previous })
        });
        Ok(Asked { prepared, storing })
    }
}

/// Why a request cannot go on from what it names, at the field that names it.
fn refusal(error: &RecallError, request: &Request<'_>) -> ApiError {
    let item = |id: &str| match &request.input {
        Input::Items(items) => {
            let is_it =
                |item: &InputItem<'_>| matches!(item, InputItem::Reference { id: given } if &**given == id);
            items.iter().position(is_it).map_or_else(|| "input".to_owned(), |place| format!("input[{place}]"))
        }
        Input::Text(_) => "input".to_owned(),
    };
    let (param, code) = match (error, &request.previous_response_id) {
        (RecallError::UnknownItem { id, .. }, _) => (item(id), "item_not_found"),
        (RecallError::Off, None) => {
            (request.input.references().first().map_or_else(String::new, |id| item(id)), "item_not_found")
        }
        (RecallError::TooMuch, _) => {
            return ApiError::invalid_param("input", format!("input: {error}"));
        }
        _ => ("previous_response_id".to_owned(), "previous_response_not_found"),
    };
    ApiError::invalid_param(&*param, format!("{param}: {error}")).with_code(code)
}

fn json(id: RequestId, headers: HeaderMap, body: &str) -> Answer {
    answer::whole(StatusCode::OK, headers, id, body.as_bytes().to_vec(), "application/json")
}

impl Storing {
    fn put(&self, response: Box<RawValue>) {
        #[derive(Deserialize)]
        struct Id<'a> {
            id: &'a str,
        }
        let id = serde_json::from_str::<Id<'_>>(response.get()).ok().and_then(|it| ResponseId::parse(it.id));
        let input = stored_input(&self.body, &self.referred);
        if let (Some(id), Some(input)) = (id, input) {
            let record = Record::new(id, self.previous.clone(), input, response);
            self.stored.put(record.held_by(self.holder.clone()));
        } else {
            tracing::warn!("a response without an id that we know cannot be stored");
        }
    }
}

impl Translation for StoredReply {
    const DIALECT: Dialect = Dialect::Responses;
    const FIELDS: &Table = &fields::RESPONSES;

    fn whole(&self, body: &[u8], created: i64) -> Result<Vec<u8>, ApiError> {
        let whole = responses::from_messages(body, &self.reply, created)?;
        if let Some(storing) = &self.storing
            && let Ok(response) = serde_json::from_slice(&whole)
        {
            storing.put(response);
        }
        Ok(whole)
    }

    fn encoder(self, created: i64) -> Encoder {
        let encoder = responses::Encoder::new(self.reply, created);
        match self.storing {
            Some(storing) => Encoder::translated(StoringEncoder { encoder, storing }),
            None => Encoder::translated(encoder),
        }
    }
}

impl Translate for StoringEncoder {
    fn on_event(&mut self, event: &sse::Event, out: &mut BytesMut) {
        self.encoder.on_event(event, out);
        // Before its last event is handed on: a client that has it may go on at once.
        if let Some(ended) = self.encoder.take_ended() {
            self.storing.put(ended);
        }
    }

    fn on_error(&mut self, error: &ApiError, out: &mut BytesMut) {
        self.encoder.on_error(error, out);
    }

    fn on_end(&mut self, out: &mut BytesMut) {
        self.encoder.on_end(out);
    }

    fn is_done(&self) -> bool {
        self.encoder.is_done()
    }

    fn set_time(&mut self, now: &dyn Fn() -> i64) {
        self.encoder.set_time(now());
    }
}

/// Says nothing of the conversation.
impl fmt::Debug for StoringEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoringEncoder").finish_non_exhaustive()
    }
}
