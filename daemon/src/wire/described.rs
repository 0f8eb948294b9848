//! What upstream's list says that a model takes.
//!
//! The list grows and changes its shape: what is not as it is known here counts as not said, and is never an error.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::Object;

/// What an entry says of its model; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    pub display_name: Option<String>,
    /// Tokens of a prompt.
    pub max_input: Option<u64>,
    /// Tokens of an answer.
    pub max_output: Option<u64>,
    pub thinking: Option<Thinking>,
    pub effort: Option<Effort>,
    pub structured_output: Option<bool>,
}

/// The types of `thinking` that are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thinking {
    pub adaptive: bool,
    pub enabled: bool,
    pub disabled: bool,
    pub between_tools: bool,
}

/// The levels of effort that are accepted beyond the usual ones, if any are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    None,
    Some { xhigh: bool, max: bool },
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Is {
    supported: bool,
}

#[derive(Deserialize)]
struct ThinkingFields {
    supported: bool,
    types: ThinkingTypes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ThinkingTypes {
    adaptive: Is,
    enabled: Is,
    disabled: Is,
    between_tools: Is,
}

#[derive(Deserialize)]
struct EffortFields {
    supported: bool,
    #[serde(default)]
    xhigh: Is,
    #[serde(default)]
    max: Is,
}

impl Described {
    /// Reads an entry of the list.
    pub(super) fn read(entry: &RawValue) -> Self {
        let mut entry: Object<'_> = serde_json::from_str(entry.get()).unwrap_or_default();
        let mut capabilities: Object<'_> = said(&mut entry, "capabilities").unwrap_or_default();
        let thinking = said::<ThinkingFields>(&mut capabilities, "thinking").map(|thinking| {
            let on = |is: Is| thinking.supported && is.supported;
            Thinking {
                adaptive: on(thinking.types.adaptive),
                enabled: on(thinking.types.enabled),
                disabled: thinking.types.disabled.supported,
                between_tools: on(thinking.types.between_tools),
            }
        });
        let effort = said::<EffortFields>(&mut capabilities, "effort").map(|effort| {
            let EffortFields { supported, xhigh, max } = effort;
            if supported { Effort::Some { xhigh: xhigh.supported, max: max.supported } } else { Effort::None }
        });
        Self {
            display_name: said(&mut entry, "display_name"),
            max_input: count(&mut entry, "max_input_tokens"),
            max_output: count(&mut entry, "max_tokens"),
            thinking,
            effort,
            structured_output: said::<Is>(&mut capabilities, "structured_outputs").map(|is| is.supported),
        }
    }
}

fn said<'a, T: Deserialize<'a>>(fields: &mut Object<'a>, name: &str) -> Option<T> {
    fields.read(name).ok().flatten()
}

/// A number of tokens. None and less are no limit but a way to say that there is nothing to say.
fn count(fields: &mut Object<'_>, name: &str) -> Option<u64> {
    said(fields, name).filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entry: &str) -> Described {
        Described::read(serde_json::from_str(entry).unwrap())
    }

    #[test]
    fn what_an_entry_says_is_read() {
        let entry = r#"{"id":"m","display_name":"M","max_input_tokens":1000000,"max_tokens":128000,"capabilities":{
            "effort":{"supported":true,"low":{"supported":true},"max":{"supported":true}},"structured_outputs":{"supported":false},
            "thinking":{"supported":true,"types":{"adaptive":{"supported":true},"disabled":{"supported":false},"news":7}}}}"#;
        let expected = Described {
            display_name: Some("M".to_owned()),
            max_input: Some(1_000_000),
            max_output: Some(128_000),
            thinking: Some(Thinking { adaptive: true, ..Thinking::default() }),
            effort: Some(Effort::Some { xhigh: false, max: true }),
            structured_output: Some(false),
        };
        assert_eq!(read(entry), expected);
    }

    #[test]
    fn what_is_not_said_or_said_in_a_new_way_is_not_known() {
        for entry in [
            "{}",
            "7",
            r#"{"display_name":7,"max_tokens":"many","max_input_tokens":0,"capabilities":[]}"#,
            r#"{"max_tokens":null,"capabilities":{"thinking":{"types":["adaptive"]},"effort":true,"structured_outputs":{}}}"#,
        ] {
            assert_eq!(read(entry), Described::default(), "{entry}");
        }
    }

    #[test]
    fn a_model_that_does_not_think_accepts_no_thinking() {
        let entry = r#"{"capabilities":{"effort":{"supported":false},"thinking":{"supported":false,"types":{"adaptive":{"supported":true}}}}}"#;
        let found = read(entry);
        assert_eq!((found.thinking, found.effort), (Some(Thinking::default()), Some(Effort::None)));
    }
}
