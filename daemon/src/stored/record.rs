//! One stored response: what was asked and what was answered, as it lies on disk. Pure.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::wire::responses::ResponseId;

/// The form of the files. A file of a later form is not read.
const VERSION: u8 = 1;

/// A response, with the part of the conversation that was new in its request.
#[derive(Serialize, Deserialize)]
pub struct Record {
    version: u8,
    pub id: ResponseId,
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
        Self { version: VERSION, id, previous, input, response }
    }

    /// `None` for what is no record of this form, or another response's.
    pub fn parse(bytes: &[u8], id: &ResponseId) -> Option<Self> {
        let record: Self = serde_json::from_slice(bytes).ok()?;
        (record.version == VERSION && record.id == *id).then_some(record)
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
