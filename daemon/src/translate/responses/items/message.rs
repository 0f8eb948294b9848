//! A message: text that may grow over several blocks, with the sources it cites.

use super::Sink;
use crate::wire::json::Str;
use crate::wire::messages::Citation;
use crate::wire::responses::{Annotation, ContentPart, EventFields, Item, ItemStatus};

#[derive(Debug)]
pub(in super::super) struct Message {
    id: String,
    text: String,
    characters: usize,
    annotations: Vec<Annotation>,
}

impl Message {
    pub(in super::super) fn open(id: String, sink: &mut Sink<'_>) -> Self {
        begin(&id, &output_text(String::new(), Vec::new()), sink);
        Self { id, text: String::new(), characters: 0, annotations: Vec::new() }
    }

    /// How many characters it says so far, where citations count from.
    pub(in super::super) const fn characters(&self) -> usize {
        self.characters
    }

    pub(in super::super) fn push(&mut self, text: &str, sink: &mut Sink<'_>) {
        self.text.push_str(text);
        self.characters += text.chars().count();
        let fields = EventFields { delta: Some(text), logprobs: Some([]), ..content() };
        sink.send("response.output_text.delta", &self.id, fields);
    }

    /// Cites sources for the text from `start_index` on. Only those with an address have a counterpart.
    pub(in super::super) fn cite(
        &mut self,
        start_index: usize,
        citations: Vec<Citation<'_>>,
        sink: &mut Sink<'_>,
    ) {
        for citation in citations {
            let Some(Str(url)) = citation.url else { continue };
            let title = citation.title.map_or_else(String::new, |title| title.0.into_owned());
            let end_index = self.characters;
            let annotation =
                Annotation { kind: "url_citation", url: url.into_owned(), title, start_index, end_index };
            let annotation_index = Some(self.annotations.len());
            let fields = EventFields { annotation_index, annotation: Some(&annotation), ..content() };
            sink.send("response.output_text.annotation.added", &self.id, fields);
            self.annotations.push(annotation);
        }
    }

    pub(super) fn close(self, status: ItemStatus, sink: &mut Sink<'_>) -> Item {
        let Self { id, text, annotations, .. } = self;
        let fields = EventFields { text: Some(&text), logprobs: Some([]), ..content() };
        sink.send("response.output_text.done", &id, fields);
        end(id, output_text(text, annotations), status, sink)
    }
}

/// A message that only says why the model refused.
pub(in super::super) fn refusal(id: String, explanation: &str, sink: &mut Sink<'_>) -> Item {
    begin(&id, &ContentPart::Refusal { refusal: String::new() }, sink);
    sink.send("response.refusal.delta", &id, EventFields { delta: Some(explanation), ..content() });
    sink.send("response.refusal.done", &id, EventFields { refusal: Some(explanation), ..content() });
    let part = ContentPart::Refusal { refusal: explanation.to_owned() };
    let item = end(id, part, ItemStatus::Incomplete, sink);
    sink.item("response.output_item.done", &item);
    item
}

fn begin(id: &str, part: &ContentPart, sink: &mut Sink<'_>) {
    sink.added(&item(id.to_owned(), ItemStatus::InProgress, Vec::new()));
    sink.send("response.content_part.added", id, EventFields { part: Some(part), ..content() });
}

fn end(id: String, part: ContentPart, status: ItemStatus, sink: &mut Sink<'_>) -> Item {
    sink.send("response.content_part.done", &id, EventFields { part: Some(&part), ..content() });
    item(id, status, vec![part])
}

fn item(id: String, status: ItemStatus, content: Vec<ContentPart>) -> Item {
    Item::Message { id, role: "assistant", status, content }
}

/// A message has one part.
fn content<'a>() -> EventFields<'a> {
    EventFields { content_index: Some(0), ..EventFields::default() }
}

fn output_text(text: String, annotations: Vec<Annotation>) -> ContentPart {
    ContentPart::OutputText { text, annotations, logprobs: [] }
}
