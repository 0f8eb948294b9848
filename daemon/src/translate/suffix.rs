//! A model's name may end with how hard the model shall think: `claude-opus-5(high)`, or a number of tokens.
//!
//! For programs that let a person write the model's name and nothing else. Routing never sees the suffix.

use super::reasoning::{Level, MIN_BUDGET, Wish};
use crate::wire::error::ApiError;

/// The name without its suffix, and what the suffix wishes.
pub(super) fn split(model: &str) -> Result<(&str, Option<Wish>), ApiError> {
    let Some((name, suffix)) = model.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')) else {
        return Ok((model, None));
    };
    let (name, suffix) = (name.trim_end(), suffix.trim());
    if name.is_empty() {
        return Err(ApiError::invalid_param("model", "model: no name stands before the suffix"));
    }
    let wish = match (Level::of(suffix), suffix.parse()) {
        (Some(level), _) => Wish::Level(level),
        (None, Ok(tokens)) if tokens == 0 || tokens >= MIN_BUDGET => Wish::Budget(tokens),
        _ => return Err(unknown(suffix)),
    };
    Ok((name, Some(wish)))
}

fn unknown(suffix: &str) -> ApiError {
    let text = format!(
        "model: unknown suffix \"({suffix})\": use a level (none, minimal, low, medium, high, xhigh or max) or a number of \
         thinking tokens (0, or at least {MIN_BUDGET}), as in claude-opus-5(high)"
    );
    ApiError::invalid_param("model", text)
}

/// What is wished for, by the suffix and by the request's own field. The suffix is the more specific of the two and wins: a
/// person wrote it for this one use, while many programs send an effort that nobody chose. What the field said is then
/// named in `dropped`, unless it says the same.
pub(super) fn settle(
    suffix: Option<Wish>,
    field: Option<Level>,
    (name, dropped): (&'static str, &mut Vec<String>),
) -> (Option<Wish>, &'static str) {
    match (suffix, field) {
        (Some(suffix), field) => {
            if field.is_some_and(|level| level != suffix.level()) {
                dropped.push(name.to_owned());
            }
            (Some(suffix), "model")
        }
        (None, field) => (field.map(Wish::Level), name),
    }
}

/// A completion's thinking is seen by nobody: without a wish there is none, where the model can do without.
pub(super) fn quiet(wish: Option<Wish>) -> Wish {
    wish.unwrap_or(Wish::Level(Level::None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_is_split_from_the_name() {
        let level = |level| Some(Wish::Level(level));
        for (model, expected) in [
            ("claude-opus-5", ("claude-opus-5", None)),
            ("claude-opus-5(high)", ("claude-opus-5", level(Level::High))),
            ("work/best (none)", ("work/best", level(Level::None))),
            ("a(b)(max)", ("a(b)", level(Level::Max))),
            ("claude-haiku-4-5(4096)", ("claude-haiku-4-5", Some(Wish::Budget(4_096)))),
            ("claude-haiku-4-5(0)", ("claude-haiku-4-5", Some(Wish::Budget(0)))),
            ("odd)", ("odd)", None)),
            ("odd(high", ("odd(high", None)),
        ] {
            assert_eq!(split(model).unwrap(), expected, "{model}");
        }
        for model in
            ["a()", "a(huge)", "a(HIGH)", "a(12)", "a(-1)", "a(1e4)", "(high)", "a(99999999999999999999)"]
        {
            let error = split(model).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some("model")), "{model}");
        }
        assert!(split("a(huge)").unwrap_err().message.contains("minimal, low, medium, high, xhigh or max"));
    }

    #[test]
    fn the_suffix_wins_and_a_field_that_says_otherwise_is_named() {
        let settled = |suffix, field| {
            let mut dropped = Vec::new();
            let (wish, from) = settle(suffix, field, ("reasoning_effort", &mut dropped));
            (wish, from, dropped.join(","))
        };
        let (high, low) = (Wish::Level(Level::High), Wish::Level(Level::Low));
        assert_eq!(settled(None, None), (None, "reasoning_effort", String::new()));
        assert_eq!(settled(None, Some(Level::Low)), (Some(low), "reasoning_effort", String::new()));
        assert_eq!(settled(Some(high), Some(Level::High)), (Some(high), "model", String::new()));
        assert_eq!(
            settled(Some(high), Some(Level::Low)),
            (Some(high), "model", "reasoning_effort".to_owned())
        );
    }
}
