//! The input of a request by itself: as it is stored, whole and independent of what it refers to, and as the API lists it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::id::ResponseId;
use crate::wire::error::ApiError;
use crate::wire::json::{Kind, Object, raw_of};

const DEFAULT_LIMIT: usize = 20;
const MOST_LISTED: usize = 100;

/// What says whether an item is a reference.
#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<&'a str>,
    #[serde(borrow, default)]
    role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a str>,
}

/// What `input` is when it is a text, which stays as it was written.
#[derive(Serialize)]
struct Said<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    content: &'a RawValue,
}

/// The input of a request's body as an array of items, with what it refers to in place of each reference; empty where the
/// body has none. `None` for what is no request.
pub fn stored_input(body: &[u8], referred: &BTreeMap<String, Box<RawValue>>) -> Option<Box<RawValue>> {
    let fields = Object::parse(body).ok()?;
    let Some(input) = fields.get("input") else { return Some(raw_of::<[&RawValue]>(&[])) };
    if Kind::of(input) != Kind::Array {
        return Some(raw_of(&[Said { kind: "message", role: "user", content: input }]));
    }
    let items: Vec<&RawValue> = serde_json::from_str(input.get()).ok()?;
    let whole = items.into_iter().map(|item| match serde_json::from_str::<Tag<'_>>(item.get()) {
        Ok(Tag { kind: None | Some("item_reference"), role: None, id: Some(id) }) => {
            referred.get(id).map_or(item, |found| found)
        }
        _ => item,
    });
    Some(raw_of(&whole.collect::<Vec<_>>()))
}

/// Which input items are listed.
#[derive(Clone, Debug, Default)]
pub struct ItemsQuery {
    pub limit: Option<usize>,
    pub after: Option<String>,
    /// Oldest first; else newest first.
    pub ascending: bool,
}

#[derive(Serialize)]
struct ItemList<'a> {
    object: &'static str,
    data: &'a [Value],
    first_id: Option<&'a Value>,
    last_id: Option<&'a Value>,
    has_more: bool,
}

/// The stored input of the response `id` as the API lists it.
///
/// # Errors
/// A 400 that names what is wrong with the query.
pub fn list_input(id: &ResponseId, input: &RawValue, query: &ItemsQuery) -> Result<Vec<u8>, ApiError> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MOST_LISTED).contains(&limit) {
        return Err(ApiError::invalid_param("limit", format!("limit: must be between 1 and {MOST_LISTED}")));
    }
    let unreadable = |error| ApiError::api(format!("the stored input cannot be read: {error}"));
    let items: Vec<Map<String, Value>> = serde_json::from_str(input.get()).map_err(unreadable)?;
    let mut items: Vec<Value> =
        items.into_iter().enumerate().map(|(place, item)| listed(id, place, item)).collect();
    if !query.ascending {
        items.reverse();
    }
    let start = match &query.after {
        None => 0,
        Some(after) => {
            let place = items.iter().position(|item| item.get("id").is_some_and(|id| id == after.as_str()));
            let unknown = || ApiError::invalid_param("after", format!("after: no item has the id {after:?}"));
            place.ok_or_else(unknown)? + 1
        }
    };
    let rest = items.get(start..).unwrap_or_default();
    let data = rest.get(..limit).unwrap_or(rest);
    let id_of = |item: Option<&'_ Value>| item.and_then(|item| item.get("id")).cloned();
    let (first, last) = (id_of(data.first()), id_of(data.last()));
    let list = ItemList {
        object: "list",
        data,
        first_id: first.as_ref(),
        last_id: last.as_ref(),
        has_more: rest.len() > data.len(),
    };
    serde_json::to_vec(&list).map_err(unreadable)
}

/// An item with all that the API's own lists have: a type, an id, and content in parts.
fn listed(id: &ResponseId, place: usize, mut item: Map<String, Value>) -> Value {
    let kind = item.get("type").and_then(Value::as_str).unwrap_or("message").to_owned();
    let is_assistant = item.get("role").is_some_and(|role| role == "assistant");
    if kind == "message"
        && let Some(Value::String(text)) = item.get("content")
    {
        let part = if is_assistant {
            json!({"type": "output_text", "text": text, "annotations": []})
        } else {
            json!({"type": "input_text", "text": text})
        };
        item.insert("content".to_owned(), json!([part]));
    }
    let prefix = match kind.as_str() {
        "message" => "msg",
        "reasoning" => "rs",
        "custom_tool_call" => "ctc",
        "web_search_call" => "ws",
        _ => "fc",
    };
    item.insert("type".to_owned(), kind.into());
    item.insert("id".to_owned(), id.input_item(prefix, place).into());
    if !item.contains_key("status") {
        item.insert("status".to_owned(), "completed".into());
    }
    Value::Object(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ResponseId {
        ResponseId::parse("resp_a").unwrap()
    }

    fn stored(body: &str, referred: &[(&str, Value)]) -> String {
        let referred = referred.iter().map(|(id, item)| ((*id).to_owned(), raw_of(item))).collect();
        stored_input(body.as_bytes(), &referred).unwrap().get().to_owned()
    }

    #[test]
    fn text_becomes_an_item_and_references_become_what_they_refer_to() {
        assert_eq!(
            stored(r#"{"input":"caf\u00e9"}"#, &[]),
            r#"[{"type":"message","role":"user","content":"caf\u00e9"}]"#
        );
        let items = r#"{"input":[{"role":"user","content":"a","n":1.0},{"id":"rs_a_0"},{"type":"item_reference","id":"fc_a_1"},{"type":"message","id":"fc_a_1","role":"user"}]}"#;
        assert_eq!(
            stored(items, &[("rs_a_0", json!({"r": 1})), ("fc_a_1", json!({"f": 2}))]),
            r#"[{"role":"user","content":"a","n":1.0},{"r":1},{"f":2},{"type":"message","id":"fc_a_1","role":"user"}]"#
        );
        assert_eq!(stored("{}", &[]), "[]");
        assert!(stored_input(b"7", &BTreeMap::new()).is_none());
    }

    fn list(query: &ItemsQuery) -> Result<Value, ApiError> {
        let input = json!([
            {"role": "user", "content": "one"},
            {"type": "function_call", "id": "theirs", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "two"}]},
        ]);
        list_input(&id(), &raw_of(&input), query).map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn the_list_is_newest_first_in_pages_and_each_item_has_an_id_that_leads_back() {
        let all = list(&ItemsQuery { ascending: true, ..ItemsQuery::default() }).unwrap();
        assert_eq!(all["data"][0]["content"][0], json!({"type": "input_text", "text": "one"}));
        assert_eq!((&all["first_id"], &all["last_id"]), (&json!("msg_a_in0"), &json!("msg_a_in2")));
        assert_eq!(all["data"][1]["id"], "fc_a_in1");
        let page = list(&ItemsQuery { limit: Some(2), ..ItemsQuery::default() }).unwrap();
        assert_eq!((&page["first_id"], &page["has_more"]), (&json!("msg_a_in2"), &json!(true)));
        let after = page["last_id"].as_str().map(str::to_owned);
        let page = list(&ItemsQuery { after, ..ItemsQuery::default() }).unwrap();
        assert_eq!((page["data"].as_array().unwrap().len(), &page["has_more"]), (1, &json!(false)));
    }

    #[test]
    fn a_query_that_cannot_be_is_refused() {
        for (query, param) in [
            (ItemsQuery { limit: Some(0), ..ItemsQuery::default() }, "limit"),
            (ItemsQuery { limit: Some(101), ..ItemsQuery::default() }, "limit"),
            (ItemsQuery { after: Some("x".to_owned()), ..ItemsQuery::default() }, "after"),
        ] {
            assert_eq!(list(&query).unwrap_err().param.as_deref(), Some(param));
        }
    }
}
