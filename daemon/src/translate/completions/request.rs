//! A request of the older completions becomes a Messages request.

use super::Reply;
use crate::translate::draft::{Draft, session_key, token_count};
use crate::translate::fields::COMPLETIONS;
use crate::translate::history::History;
use crate::translate::models::Known;
use crate::translate::tools::Tools;
use crate::translate::{Config, Prepared, suffix};
use crate::wire::completions::{Prompt, Request};
use crate::wire::error::ApiError;
use crate::wire::json::Str;
use crate::wire::messages::Block;

/// Translates a request body. `known` says what is known of the model that the client names beyond its name: what it is
/// called upstream, and what it takes.
///
/// # Errors
/// A 400 that names the field, for bodies that are not valid and for what Claude cannot do.
pub fn to_messages(
    body: &[u8],
    config: Config,
    known: impl FnOnce(&str) -> Option<Known>,
) -> Result<Prepared<Reply>, ApiError> {
    let request = Request::read(body)?;
    refuse_unsupported(&request)?;
    let prompt = only_text(request.prompt)?;
    let (model, suffix) = suffix::split(&request.model)?;
    let Known { upstream, capabilities } = known(model).unwrap_or_else(|| Known::by_name(model.to_owned()));
    let capabilities = &capabilities;
    let reply =
        Reply { echo: request.echo.then(|| prompt.to_string()), include_usage: request.include_usage };
    let session = session_key(None, request.user.as_deref());
    let mut history = History::new(capabilities);
    history.user(Block::text(prompt));
    let draft = Draft {
        model: &upstream,
        capabilities,
        max_tokens: token_count(request.max_tokens, "max_tokens")?,
        temperature: request.temperature,
        top_p: request.top_p,
        stop: request.stop.map(|stop| stop.0).unwrap_or_default(),
        stream: request.stream,
        history,
        tools: Tools::new(capabilities),
        choice: None,
        parallel: None,
        wish: Some(suffix::quiet(suffix)),
        wish_field: "model",
        show_thinking: false,
        structure: None,
        user: request.user,
        thinking: None,
        cache_control: None,
        // Nothing goes on from here, so no later request would read what was cached.
        own_markers: true,
        dropped: request.unread,
        fields: &COMPLETIONS,
        config,
        messages_field: "prompt",
    };
    let written = draft.write(body.len())?;
    Ok(Prepared {
        body: written.body,
        model: model.to_owned(),
        upstream,
        stream: request.stream,
        session,
        betas: written.betas,
        dropped: written.dropped,
        reply,
    })
}

fn refuse_unsupported(request: &Request<'_>) -> Result<(), ApiError> {
    #[expect(clippy::float_cmp, reason = "1 is exact, and anything else is refused")]
    let several = [("n", request.n), ("best_of", request.best_of)]
        .into_iter()
        .find(|(_, count)| count.is_some_and(|count| count != 1.0));
    if let Some((param, _)) = several {
        let text = format!("{param}: only 1 choice is supported; send several requests instead");
        return Err(ApiError::invalid_param(param, text));
    }
    if request.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
        let text = "suffix: Claude answers a prompt and cannot fill in the text before a suffix; describe the task in the prompt";
        return Err(ApiError::invalid_param("suffix", text));
    }
    Ok(())
}

fn only_text(prompt: Prompt<'_>) -> Result<Str<'_>, ApiError> {
    let refused = |text: &str| Err(ApiError::invalid_param("prompt", format!("prompt: {text}")));
    let Prompt::Texts(mut texts) = prompt else {
        return refused("tokens are another model's words and not known here; send the text itself");
    };
    match (texts.pop(), texts.is_empty()) {
        (Some(text), true) => Ok(text),
        (Some(_), false) => refused("one prompt at a time is supported; send several requests instead"),
        (None, _) => refused("must not be empty"),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
