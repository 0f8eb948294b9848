//! A Chat Completions request becomes a Messages request.

use super::Reply;
use super::history::read_history;
use crate::translate::draft::{DEFAULT_SCHEMA_NAME, Draft, Structure, below, session_key, token_count};
use crate::translate::fields::CHAT;
use crate::translate::models::{Capabilities, Known};
use crate::translate::reasoning::Level;
use crate::translate::tools::{Choice, Definition, Names, Tools};
use crate::translate::{Config, Prepared, cache, suffix};
use crate::wire::chat::{
    CustomFormat, Function, Request, ResponseFormat, ToolEntry, ToolSelection, WebSearchOptions,
};
use crate::wire::error::ApiError;
use crate::wire::json::Str;
use crate::wire::messages::UserLocation;

/// Translates a request body. `known` says what is known of the model that the client names beyond its
/// name: what it is called upstream, and what it takes.
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
    let (model, suffix) = suffix::split(&request.model)?;
    let Known { upstream, capabilities } = known(model).unwrap_or_else(|| Known::by_name(model.to_owned()));
    let capabilities = &capabilities;
    let mut dropped = request.unread;
    if request.service_tier.as_deref().is_some_and(|tier| !matches!(tier, "auto" | "default")) {
        dropped.push("service_tier".to_owned());
    }

    let legacy_functions = request.tools.is_empty() && !request.functions.is_empty();
    let tools =
        read_tools(capabilities, request.web_search_options, request.tools, request.functions, &mut dropped)?;
    let selection = request.tool_choice.map(|selection| ("tool_choice", selection));
    let selection = selection.or(request.function_call.map(|selection| ("function_call", selection)));
    let choice =
        selection.map(|(param, selection)| read_choice(selection, &tools.names, param)).transpose()?;
    let history = read_history(request.messages, capabilities, &tools.names, &mut dropped)?;
    let max_tokens = match token_count(request.max_completion_tokens, "max_completion_tokens")? {
        Some(limit) => Some(limit),
        None => token_count(request.max_tokens, "max_tokens")?,
    };
    let level = request.reasoning_effort.map(|text| Level::parse(&text, "reasoning_effort")).transpose()?;
    let (wish, wish_field) = suffix::settle(suffix, level, ("reasoning_effort", &mut dropped));
    let thinking = request.thinking.filter(|_| suffix.is_none());
    if request.thinking.is_some() && suffix.is_some() {
        dropped.push("thinking".to_owned());
    }
    let structure = request.response_format.map(|format| read_format(format, &mut dropped)).transpose()?;
    let own_markers = cache::is_explicit(request.prompt_cache_options, &mut dropped);
    let user = request.safety_identifier.or(request.user);
    let session = session_key(request.prompt_cache_key.as_deref(), user.as_deref());

    let names = tools.names.clone();
    let draft = Draft {
        model: &upstream,
        capabilities,
        max_tokens,
        temperature: request.temperature,
        top_p: request.top_p,
        stop: request.stop.map(|stop| stop.0).unwrap_or_default(),
        stream: request.stream,
        history,
        tools,
        choice,
        // One `function_call` field holds one call.
        parallel: if legacy_functions { Some(false) } else { request.parallel_tool_calls },
        wish,
        wish_field,
        show_thinking: true,
        structure: structure.flatten(),
        user,
        thinking,
        cache_control: request.cache_control,
        own_markers,
        dropped,
        fields: &CHAT,
        config,
        messages_field: "messages",
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
        reply: Reply {
            names,
            include_usage: request.include_usage,
            legacy_functions,
            answer_tool: written.answer_tool,
        },
    })
}

fn refuse_unsupported(request: &Request<'_>) -> Result<(), ApiError> {
    #[expect(clippy::float_cmp, reason = "1 is exact, and anything else is refused")]
    if request.n.is_some_and(|n| n != 1.0) {
        return Err(ApiError::invalid_param(
            "n",
            "n: only 1 choice is supported; send several requests instead",
        ));
    }
    if let Some(other) = request.modalities.iter().find(|modality| &***modality != "text") {
        let message = format!("modalities: {:?} is not supported; answers are text", &**other);
        return Err(ApiError::invalid_param("modalities", message));
    }
    if request.audio {
        return Err(ApiError::invalid_param("audio", "audio: audio answers are not supported"));
    }
    Ok(())
}

fn read_tools<'a>(
    capabilities: &Capabilities,
    search: Option<WebSearchOptions<'a>>,
    entries: Vec<ToolEntry<'a>>,
    functions: Vec<Function<'a>>,
    dropped: &mut Vec<String>,
) -> Result<Tools<'a>, ApiError> {
    let mut tools = Tools::new(capabilities);
    if let Some(search) = search {
        const LOCATION: &str = "web_search_options.user_location";
        below(dropped, "web_search_options", search.unread);
        let place = search.user_location.and_then(|location| {
            below(dropped, LOCATION, location.unread);
            location.approximate
        });
        let location = place.map(|place| {
            below(dropped, &format!("{LOCATION}.approximate"), place.unread);
            UserLocation {
                kind: "approximate",
                city: place.city,
                region: place.region,
                country: place.country,
                timezone: place.timezone,
            }
        });
        tools.web_search(Vec::new(), location);
    }
    for (index, entry) in entries.into_iter().enumerate() {
        let param = format!("tools[{index}]");
        below(dropped, &param, entry.unread);
        match (&*entry.kind, entry.function, entry.custom) {
            ("function", Some(function), _) => {
                let at = format!("{param}.function");
                let mut tool = definition(function, &at, dropped);
                tool.cache_control = tool.cache_control.or(entry.cache_control);
                tools.function(tool, &at)?;
            }
            ("custom", _, Some(mut custom)) => {
                let at = format!("{param}.custom");
                let mut format = custom.format.take();
                if let Some(format) = &mut format {
                    below(dropped, &format!("{at}.format"), std::mem::take(&mut format.unread));
                }
                let mut tool = definition(custom, &at, dropped);
                tool.cache_control = tool.cache_control.or(entry.cache_control);
                tools.custom(tool, grammar(format.as_ref()), &at)?;
            }
            (kind @ ("function" | "custom"), ..) => {
                return Err(ApiError::invalid_param(&*param, format!("{param}.{kind}: field required")));
            }
            (kind, ..) => {
                return Err(ApiError::invalid_param(
                    format!("{param}.type"),
                    format!("{param}.type: {kind:?} is not supported; use function or custom"),
                ));
            }
        }
    }
    for (index, function) in functions.into_iter().enumerate() {
        let at = format!("functions[{index}]");
        tools.function(definition(function, &at, dropped), &at)?;
    }
    Ok(tools)
}

fn definition<'a>(function: Function<'a>, at: &str, dropped: &mut Vec<String>) -> Definition<'a> {
    below(dropped, at, function.unread);
    Definition {
        namespace: None,
        name: function.name,
        description: function.description,
        parameters: function.parameters,
        strict: function.strict.unwrap_or(false),
        cache_control: function.cache_control,
    }
}

fn grammar<'f>(format: Option<&'f CustomFormat<'_>>) -> Option<(&'f str, &'f str)> {
    let grammar = format?.grammar.as_ref()?;
    Some((grammar.syntax.as_deref().unwrap_or("formal"), &grammar.definition))
}

fn read_choice(selection: ToolSelection<'_>, names: &Names, param: &str) -> Result<Choice, ApiError> {
    match selection {
        ToolSelection::Mode(mode) => Choice::mode(&mode, param),
        ToolSelection::Named(name) => Ok(Choice::Named(names.upstream(None, &name))),
        ToolSelection::Allowed { mode, names: allowed } => Ok(Choice::Allowed {
            required: Choice::is_required(&mode, &format!("{param}.allowed_tools.mode"))?,
            names: allowed.iter().map(|name| names.upstream(None, name)).collect(),
        }),
    }
}

fn read_format<'a>(
    format: ResponseFormat<'a>,
    dropped: &mut Vec<String>,
) -> Result<Option<Structure<'a>>, ApiError> {
    const PARAM: &str = "response_format.json_schema.schema";
    below(dropped, "response_format", format.unread);
    match (&*format.kind, format.json_schema) {
        ("text", _) => Ok(None),
        ("json_object", _) => Ok(Some(Structure::JsonObject)),
        ("json_schema", Some(given)) => match given.schema {
            Some(schema) => {
                below(dropped, "response_format.json_schema", given.unread);
                let name = given.name.unwrap_or(Str::borrowed(DEFAULT_SCHEMA_NAME));
                Ok(Some(Structure::Schema { name, description: given.description, schema, param: PARAM }))
            }
            None => Err(ApiError::invalid_param(PARAM, format!("{PARAM}: field required"))),
        },
        ("json_schema", None) => {
            let param = "response_format.json_schema";
            Err(ApiError::invalid_param(param, format!("{param}: field required")))
        }
        (other, _) => Err(ApiError::invalid_param(
            "response_format.type",
            format!("response_format.type: {other:?} is not supported; use text, json_object or json_schema"),
        )),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "fidelity_tests.rs"]
mod fidelity_tests;
