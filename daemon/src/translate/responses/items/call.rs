//! A call of a client's tool. A function's arguments flow on as they come; free text can be told only when
//! all of the object around it is there.

use super::Sink;
use crate::translate::call::unwrap_custom_input;
use crate::translate::tools::Names;
use crate::wire::responses::{EventFields, Item, ItemStatus};

#[derive(Debug)]
pub(in super::super) struct Call {
    id: String,
    upstream_id: String,
    name: String,
    namespace: Option<String>,
    custom: bool,
    arguments: String,
    /// The input given with the block's start, used if no part of it follows.
    initial: String,
}

impl Call {
    /// `id` makes the item's id from its prefix.
    pub(in super::super) fn open(
        id: impl FnOnce(&str) -> String,
        upstream_id: &str,
        upstream_name: &str,
        names: &Names,
        initial: String,
        sink: &mut Sink<'_>,
    ) -> Self {
        let tool = names.client(upstream_name);
        let custom = tool.is_some_and(|tool| tool.custom);
        let call = Self {
            id: id(if custom { "ctc" } else { "fc" }),
            upstream_id: upstream_id.to_owned(),
            name: tool.map_or_else(|| upstream_name.to_owned(), |tool| tool.name.clone()),
            namespace: tool.and_then(|tool| tool.namespace.clone()),
            custom,
            arguments: String::new(),
            initial,
        };
        sink.added(&call.item(String::new(), ItemStatus::InProgress));
        call
    }

    pub(in super::super) fn push(&mut self, part: &str, sink: &mut Sink<'_>) {
        if part.is_empty() {
            return;
        }
        self.arguments.push_str(part);
        if !self.custom {
            let fields = EventFields { delta: Some(part), ..EventFields::default() };
            sink.send("response.function_call_arguments.delta", &self.id, fields);
        }
    }

    /// The input is complete.
    pub(in super::super) fn end_input(&mut self, sink: &mut Sink<'_>) {
        if self.arguments.is_empty() {
            let whole = std::mem::take(&mut self.initial);
            self.push(&whole, sink);
        }
    }

    pub(super) fn close(mut self, status: ItemStatus, sink: &mut Sink<'_>) -> Item {
        let arguments = std::mem::take(&mut self.arguments);
        if !self.custom {
            let fields = EventFields { arguments: Some(&arguments), ..EventFields::default() };
            sink.send("response.function_call_arguments.done", &self.id, fields);
            return self.item(arguments, status);
        }
        let input = unwrap_custom_input(&arguments);
        let fields = EventFields { delta: Some(&input), ..EventFields::default() };
        sink.send("response.custom_tool_call_input.delta", &self.id, fields);
        let fields = EventFields { input: Some(&input), ..EventFields::default() };
        sink.send("response.custom_tool_call_input.done", &self.id, fields);
        self.item(input, status)
    }

    fn item(&self, input: String, status: ItemStatus) -> Item {
        let (id, call_id) = (self.id.clone(), self.upstream_id.clone());
        let (name, namespace) = (self.name.clone(), self.namespace.clone());
        if self.custom {
            Item::CustomToolCall { id, call_id, name, namespace, input, status }
        } else {
            Item::FunctionCall { id, call_id, name, namespace, arguments: input, status }
        }
    }
}
