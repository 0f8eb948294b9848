//! A web search of upstream's own.

use serde::Deserialize;

use super::Sink;
use crate::wire::responses::{Action, EventFields, Item, ItemStatus};

#[derive(Debug)]
pub(in super::super) struct Search {
    id: String,
    input: String,
    /// The input given with the block's start, used if no part of it follows.
    initial: String,
}

#[derive(Default, Deserialize)]
struct Input {
    #[serde(default)]
    query: String,
}

impl Search {
    pub(in super::super) fn open(id: String, initial: String, sink: &mut Sink<'_>) -> Self {
        let search = Self { id, input: String::new(), initial };
        sink.added(&search.item(ItemStatus::InProgress, String::new()));
        for step in ["response.web_search_call.in_progress", "response.web_search_call.searching"] {
            sink.send(step, &search.id, EventFields::default());
        }
        search
    }

    pub(in super::super) fn push(&mut self, part: &str) {
        self.input.push_str(part);
    }

    pub(super) fn close(self, sink: &mut Sink<'_>) -> Item {
        let input = if self.input.is_empty() { &self.initial } else { &self.input };
        let Input { query } = serde_json::from_str(input).unwrap_or_default();
        sink.send("response.web_search_call.completed", &self.id, EventFields::default());
        self.item(ItemStatus::Completed, query)
    }

    fn item(&self, status: ItemStatus, query: String) -> Item {
        Item::WebSearchCall { id: self.id.clone(), status, action: Action { kind: "search", query } }
    }
}
