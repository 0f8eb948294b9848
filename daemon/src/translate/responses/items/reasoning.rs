//! A thinking block as reasoning: its text as a summary where the client asked for one, the block itself
//! carried in `encrypted_content`.

use super::Sink;
use crate::translate::responses::carrier;
use crate::wire::responses::{EventFields, Item, ItemStatus, SummaryPart};

#[derive(Debug)]
pub(in super::super) struct Reasoning {
    id: String,
    text: String,
    signature: String,
    redacted: Option<String>,
    show: bool,
}

impl Reasoning {
    /// `redacted` is the data of a block whose thinking upstream hid; `show` says whether the client sees the
    /// text.
    pub(in super::super) fn open(
        id: String,
        redacted: Option<String>,
        show: bool,
        sink: &mut Sink<'_>,
    ) -> Self {
        let status = ItemStatus::InProgress;
        sink.added(&Item::Reasoning { id: id.clone(), summary: Vec::new(), encrypted_content: None, status });
        Self { id, text: String::new(), signature: String::new(), redacted, show }
    }

    pub(in super::super) fn push(&mut self, text: &str, sink: &mut Sink<'_>) {
        if text.is_empty() {
            return;
        }
        if self.show {
            if self.text.is_empty() {
                let part = SummaryPart::SummaryText { text: String::new() };
                let fields = EventFields { summary_part: Some(&part), ..summary() };
                sink.send("response.reasoning_summary_part.added", &self.id, fields);
            }
            let fields = EventFields { delta: Some(text), ..summary() };
            sink.send("response.reasoning_summary_text.delta", &self.id, fields);
        }
        self.text.push_str(text);
    }

    pub(in super::super) fn sign(&mut self, signature: &str) {
        self.signature.push_str(signature);
    }

    pub(super) fn close(self, status: ItemStatus, model: &str, sink: &mut Sink<'_>) -> Item {
        let Self { id, text, signature, redacted, show } = self;
        let encrypted_content = match redacted {
            Some(data) => Some(carrier::redacted(model, &data)),
            None if signature.is_empty() => None,
            None => Some(carrier::thinking(model, &text, &signature)),
        };
        let mut parts = Vec::new();
        if show && !text.is_empty() {
            let fields = EventFields { text: Some(&text), ..summary() };
            sink.send("response.reasoning_summary_text.done", &id, fields);
            let part = SummaryPart::SummaryText { text };
            let fields = EventFields { summary_part: Some(&part), ..summary() };
            sink.send("response.reasoning_summary_part.done", &id, fields);
            parts.push(part);
        }
        Item::Reasoning { id, summary: parts, encrypted_content, status }
    }
}

/// Reasoning has one summary part.
fn summary<'a>() -> EventFields<'a> {
    EventFields { summary_index: Some(0), ..EventFields::default() }
}
