//! What lives with the account that made it: files, batches, containers, threads. To any other account it does not
//! exist.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::binding;
use super::book::Book;
use super::checks::{content, list, text};
use super::error::ApiError;
use super::issued::Caller;
use super::message;
use super::models::Model;
use super::routes::Call;

/// Everything that was made, by its id, in the order of ids, which is that of time.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    things: BTreeMap<String, Thing>,
    /// Requests whose thoughts were another account's or another conversation's, which the service drops without a
    /// word, the latter if it is asked to.
    pub(super) lost_thoughts: usize,
}

#[derive(Debug)]
struct Thing {
    owner: Caller,
    /// How it is shown in a list; null for what no list shows.
    shown: Value,
    bytes: Bytes,
}

/// A call about files or batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept<'a> {
    kind: Kind,
    verb: Verb,
    id: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    Batch,
}

#[derive(Clone, Copy, Debug)]
enum Verb {
    Create,
    List,
    Get,
    Delete,
    Cancel,
    Content,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::File => "file_",
            Self::Batch => "msgbatch_",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Batch => "message_batch",
        }
    }
}

impl<'a> Kept<'a> {
    pub(super) fn of(method: &str, path: &'a str) -> Option<Self> {
        let (kind, below) = match path.strip_prefix("/v1/files") {
            Some(below) => (Kind::File, below),
            None => (Kind::Batch, path.strip_prefix("/v1/messages/batches")?),
        };
        let mut segments = below.split('/').skip(1);
        let id = segments.next().unwrap_or_default();
        let verb = match (method, id.is_empty(), segments.next(), kind) {
            ("POST", true, None, _) => Verb::Create,
            ("GET", true, None, _) => Verb::List,
            ("GET", false, None, _) => Verb::Get,
            ("DELETE", false, None, _) => Verb::Delete,
            ("GET", false, Some("content"), Kind::File) | ("GET", false, Some("results"), Kind::Batch) => {
                Verb::Content
            }
            ("POST", false, Some("cancel"), Kind::Batch) => Verb::Cancel,
            _ => return None,
        };
        Some(Self { kind, verb, id })
    }
}

impl Shelf {
    /// The answer to a call about files or batches.
    pub(super) fn serve(
        &mut self,
        book: &mut Book,
        caller: &Caller,
        kept: Kept<'_>,
        call: &Call,
    ) -> Result<Answer, ApiError> {
        let Kept { kind, verb, id } = kept;
        match verb {
            Verb::Create => {
                let id = book.mint(kind.prefix());
                let (shown, bytes) = match kind {
                    Kind::File => {
                        let shown = json!({"id": id, "type": "file", "filename": "upload.bin", "size_bytes": call.body.len()});
                        (shown, call.body.clone())
                    }
                    Kind::Batch => (batch(&id, "in_progress"), results(&call.body)?),
                };
                self.things.insert(id, Thing { owner: caller.clone(), shown: shown.clone(), bytes });
                Ok(Answer::json(StatusCode::OK, &shown))
            }
            Verb::List => {
                let own = self
                    .things
                    .iter()
                    .filter(|(id, thing)| id.starts_with(kind.prefix()) && thing.owner == *caller);
                let data: Vec<&Value> = own.map(|(_, thing)| &thing.shown).collect();
                Ok(Answer::json(StatusCode::OK, &json!({"data": data, "has_more": false})))
            }
            Verb::Get => Ok(Answer::json(StatusCode::OK, &self.own(caller, id)?.shown)),
            Verb::Cancel => {
                self.own(caller, id)?;
                Ok(Answer::json(StatusCode::OK, &batch(id, "canceling")))
            }
            Verb::Delete => {
                self.own(caller, id)?;
                self.things.remove(id);
                Ok(Answer::json(
                    StatusCode::OK,
                    &json!({"id": id, "type": format!("{}_deleted", kind.noun())}),
                ))
            }
            Verb::Content => {
                let kind =
                    if kind == Kind::File { "application/octet-stream" } else { "application/x-jsonl" };
                Ok(Answer::whole(StatusCode::OK, kind, self.own(caller, id)?.bytes.clone()))
            }
        }
    }

    /// What a Messages request refers to must be its account's own; thoughts that are not are lost in silence.
    pub(super) fn admit(
        &mut self,
        caller: &Caller,
        model: &Model,
        body: &Map<String, Value>,
    ) -> Result<(), ApiError> {
        let blocks = || list(body.get("messages")).iter().flat_map(content);
        for file in blocks().filter_map(file_of) {
            self.own(caller, file)?;
        }
        if let Some(container) = body.get("container").and_then(id_of) {
            self.own(caller, container)?;
        }
        let previous = body.get("thread").and_then(|thread| thread.get("previous_message_id")?.as_str());
        if previous.is_some_and(|id| self.own(caller, id).is_err()) {
            return Err(ApiError::thread_not_found());
        }
        let foreign = |block: &&Value| {
            text(block, "type") == "thinking" && !message::is_signed_by(text(block, "signature"), caller)
        };
        if model.binds_to_account() && blocks().any(|block| foreign(&block)) {
            self.lost_thoughts += 1;
        } else if let Some(at) = binding::misplaced(body).filter(|_| model.binds_to_conversation()) {
            if !binding::drops(body) {
                let text = format!("{at}: `thinking` block is bound to a different conversation");
                return Err(ApiError::invalid(text));
            }
            self.lost_thoughts += 1;
        }
        Ok(())
    }

    /// Keeps what an answer made.
    pub(super) fn keep(&mut self, caller: &Caller, id: &str) {
        let thing = Thing { owner: caller.clone(), shown: Value::Null, bytes: Bytes::new() };
        self.things.insert(id.to_owned(), thing);
    }

    fn own(&self, caller: &Caller, id: &str) -> Result<&Thing, ApiError> {
        let thing = self.things.get(id).filter(|thing| thing.owner == *caller);
        thing.ok_or_else(|| ApiError::not_found(format!("{id} was not found")))
    }
}

fn file_of(block: &Value) -> Option<&str> {
    block.get("source").unwrap_or(block).get("file_id")?.as_str()
}

fn id_of(container: &Value) -> Option<&str> {
    container.as_str().or_else(|| container.get("id")?.as_str())
}

fn batch(id: &str, status: &str) -> Value {
    json!({"id": id, "type": "message_batch", "processing_status": status, "results_url": null})
}

/// A line for each request of a batch.
fn results(body: &[u8]) -> Result<Bytes, ApiError> {
    let body: Value = serde_json::from_slice(body).map_err(|error| ApiError::invalid(error.to_string()))?;
    let line = |request: &Value| {
        let result = json!({"type": "succeeded", "message": {"id": "msg_FAKEinbatch", "content": []}});
        format!("{}\n", json!({"custom_id": request.get("custom_id"), "result": result}))
    };
    Ok(list(body.get("requests")).iter().map(line).collect::<String>().into())
}
