//! How much of a request upstream can bind to schemas: it makes one grammar of all strict tools and the answer's schema,
//! and refuses a request whose grammar would be too large. OpenAI has no such bound for a whole request.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::schema::visit;

/// What is left of the bounds upstream states for one request.
#[derive(Debug)]
pub(super) struct Budget {
    tools: usize,
    /// Properties that may be absent.
    optional: usize,
    /// Schemas of more than one type.
    unions: usize,
}

impl Budget {
    /// The whole bounds, less what the answer's schema takes.
    pub(super) fn beside(answer: Option<&Map<String, Value>>) -> Self {
        let (optional, unions) = answer.map(size).unwrap_or_default();
        Self {
            tools: 20,
            optional: 24_usize.saturating_sub(optional),
            unions: 16_usize.saturating_sub(unions),
        }
    }

    /// Takes what a strict tool needs, if that much is left.
    pub(super) fn take(&mut self, input: &Map<String, Value>) -> bool {
        let (optional, unions) = size(input);
        let left =
            (self.tools.checked_sub(1), self.optional.checked_sub(optional), self.unions.checked_sub(unions));
        let (Some(tools), Some(optional), Some(unions)) = left else {
            return false;
        };
        *self = Self { tools, optional, unions };
        true
    }
}

/// The optional properties of a schema, and its parts that allow several types.
fn size(schema: &Map<String, Value>) -> (usize, usize) {
    let (mut optional, mut unions) = (0, 0);
    visit(schema, &mut |node| {
        let required = node.get("required").and_then(Value::as_array).into_iter().flatten();
        let required: HashSet<&str> = required.filter_map(Value::as_str).collect();
        let properties = node.get("properties").and_then(Value::as_object);
        optional +=
            properties.map_or(0, |all| all.keys().filter(|name| !required.contains(name.as_str())).count());
        let several = node.contains_key("anyOf") || node.get("type").is_some_and(Value::is_array);
        unions += usize::from(several);
    });
    (optional, unions)
}
