//! The items of an output while they are put together: each opens, grows and closes, and says so in events.

mod call;
mod message;
mod reasoning;
mod search;

use bytes::BytesMut;

pub(super) use call::Call;
pub(super) use message::{Message, refusal};
pub(super) use reasoning::Reasoning;
pub(super) use search::Search;

use super::frames::Frames;
use crate::wire::responses::{EventFields, Item, ItemStatus};

/// Where the events of the item at one place of the output go.
#[derive(Debug)]
pub(super) struct Sink<'s> {
    pub(super) frames: &'s mut Frames,
    pub(super) output_index: usize,
    pub(super) out: &'s mut BytesMut,
}

impl Sink<'_> {
    fn send(&mut self, kind: &str, id: &str, fields: EventFields<'_>) {
        let fields = EventFields { item_id: Some(id), output_index: self.output_index, ..fields };
        self.frames.item(kind, &fields, self.out);
    }

    fn added(&mut self, item: &Item) {
        self.item("response.output_item.added", item);
    }

    fn item(&mut self, kind: &str, item: &Item) {
        let fields =
            EventFields { output_index: self.output_index, item: Some(item), ..EventFields::default() };
        self.frames.item(kind, &fields, self.out);
    }
}

/// The item being put together.
#[derive(Debug)]
pub(super) enum Open {
    Message(Message),
    Reasoning(Reasoning),
    Call(Call),
    Search(Search),
}

impl Open {
    /// Completes the item. `model` is the one that made it.
    pub(super) fn close(self, status: ItemStatus, model: &str, sink: &mut Sink<'_>) -> Item {
        let item = match self {
            Self::Message(message) => message.close(status, sink),
            Self::Reasoning(reasoning) => reasoning.close(status, model, sink),
            Self::Call(call) => call.close(status, sink),
            Self::Search(search) => search.close(sink),
        };
        sink.item("response.output_item.done", &item);
        item
    }
}
