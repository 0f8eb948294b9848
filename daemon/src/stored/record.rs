//! One stored response: what was asked and what was answered, as it lies on disk. Pure.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::wire::responses::ResponseId;

/// The form of the files of responses that are the daemon's own user's.
const VERSION: u8 = 1;
/// And of those that are somebody's. An earlier proxyd, which would give them to everybody, does not read them; nor is a file
/// of a later form read here.
const HELD_VERSION: u8 = 2;

/// Whose a stored response is, where it is not the daemon's own user's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holder(String);

impl Holder {
    /// Whoever has the client key of this id.
    pub fn key(id: &str) -> Self {
        Self(format!("key:{id}"))
    }

    /// Whoever brings the credential that this fingerprint names.
    pub fn credential(fingerprint: &str) -> Self {
        Self(format!("credential:{fingerprint}"))
    }
}

/// A response, with the part of the conversation that was new in its request.
#[derive(Serialize, Deserialize)]
pub struct Record {
    version: u8,
    pub id: ResponseId,
    /// `None`: the daemon's own user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// The response it goes on from.
    #[serde(rename = "previous_response_id")]
    pub previous: Option<ResponseId>,
    /// An array of the request's items, with everything in them that stood elsewhere.
    pub input: Box<RawValue>,
    /// The response object, as the client got it.
    pub response: Box<RawValue>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    output: &'a RawValue,
}

/// What is looked at of an item.
#[derive(Deserialize)]
struct ItemId<'a> {
    #[serde(borrow, default)]
    id: Option<&'a str>,
}

impl Record {
    pub fn new(
        id: ResponseId,
        previous: Option<ResponseId>,
        input: Box<RawValue>,
        response: Box<RawValue>,
    ) -> Self {
        Self { version: VERSION, id, holder: None, previous, input, response }
    }

    /// The same response, as somebody's.
    #[must_use]
    pub fn held_by(self, holder: Option<Holder>) -> Self {
        let version = if holder.is_some() { HELD_VERSION } else { VERSION };
        Self { version, holder, ..self }
    }

    /// `None` for what is no record of this form, or another response's.
    pub fn parse(bytes: &[u8], id: &ResponseId) -> Option<Self> {
        let record: Self = serde_json::from_slice(bytes).ok()?;
        let version = if record.holder.is_some() { HELD_VERSION } else { VERSION };
        (record.version == version && record.id == *id).then_some(record)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts and raw JSON can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// How much of the store it takes.
    pub fn size(&self) -> u64 {
        (self.input.get().len() + self.response.get().len()) as u64
    }

    /// The array of the answer's items.
    pub fn output(&self) -> Option<&RawValue> {
        serde_json::from_str::<Output<'_>>(self.response.get()).ok().map(|response| response.output)
    }

    /// The items of the output and of the input, to be found by their ids.
    pub fn items(&self) -> Items<'_> {
        let output = self.output().map_or("[]", RawValue::get);
        let output: Vec<&RawValue> = serde_json::from_str(output).unwrap_or_default();
        let with_id = output.into_iter().filter_map(|item| {
            let ItemId { id } = serde_json::from_str(item.get()).ok()?;
            Some((id?, item))
        });
        Items { output: with_id.collect(), input: serde_json::from_str(self.input.get()).unwrap_or_default() }
    }
}

/// The items of one record.
#[derive(Debug)]
pub struct Items<'a> {
    output: HashMap<&'a str, &'a RawValue>,
    /// Numbered.
    input: Vec<&'a RawValue>,
}

impl<'a> Items<'a> {
    pub fn get(&self, id: &str) -> Option<&'a RawValue> {
        match id.rsplit_once("_in").and_then(|(_, place)| place.parse::<usize>().ok()) {
            Some(place) => self.input.get(place).copied(),
            None => self.output.get(id).copied(),
        }
    }
}

/// Says nothing of the conversation.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("id", &self.id).field("size", &self.size()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::raw_of;

    fn record() -> Record {
        let id = ResponseId::parse("resp_a").unwrap();
        let input = raw_of(&serde_json::json!([{"role": "user", "content": "PROMPT"}]));
        let response = raw_of(
            &serde_json::json!({"id": "resp_a", "output": [{"id": "msg_a_0"}, {"id": "fc_a_1", "x": 1}]}),
        );
        Record::new(id, ResponseId::parse("resp_0"), input, response)
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = record();
        let read = Record::parse(&record.to_bytes(), &record.id).unwrap();
        assert_eq!(read.to_bytes(), record.to_bytes());
        assert_eq!(read.previous, ResponseId::parse("resp_0"));
        assert!(!format!("{read:?}").contains("PROMPT"));
    }

    #[test]
    fn whose_a_record_is_stands_in_it_and_only_where_it_is_somebodys() {
        let plain = String::from_utf8(record().to_bytes()).unwrap();
        assert!(plain.starts_with(r#"{"version":1,"id":"resp_a","previous_response_id""#), "{plain}");
        let held = record().held_by(Some(Holder::key("k1")));
        let bytes = String::from_utf8(held.to_bytes()).unwrap();
        assert!(bytes.starts_with(r#"{"version":2,"id":"resp_a","holder":"key:k1","#), "{bytes}");
        assert_eq!(Record::parse(bytes.as_bytes(), &held.id).unwrap().holder, Some(Holder::key("k1")));
        assert_ne!(Holder::key("x"), Holder::credential("x"));
        for torn in
            [bytes.replace(r#""holder":"key:k1","#, ""), bytes.replace("\"version\":2", "\"version\":1")]
        {
            assert!(Record::parse(torn.as_bytes(), &held.id).is_none(), "{torn}");
        }
    }

    #[test]
    fn what_is_no_record_of_this_response_is_not_read() {
        let whole = record().to_bytes();
        let id = record().id;
        assert!(Record::parse(&whole, &ResponseId::parse("resp_b").unwrap()).is_none());
        let later = String::from_utf8(whole.clone()).unwrap().replace("\"version\":1", "\"version\":2");
        for bytes in [&b""[..], b"{}", later.as_bytes(), &whole[..whole.len() - 1]] {
            assert!(Record::parse(bytes, &id).is_none());
        }
    }

    #[test]
    fn items_are_found_by_their_ids() {
        let record = record();
        let items = record.items();
        assert_eq!(items.get("fc_a_1").unwrap().get(), r#"{"id":"fc_a_1","x":1}"#);
        assert!(items.get("msg_a_in0").unwrap().get().contains("PROMPT"));
        assert!(items.get("msg_a_in1").is_none() && items.get("msg_a_7").is_none());
    }
}
