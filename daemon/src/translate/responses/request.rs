//! A Responses request becomes a Messages request.

use std::sync::Arc;

use super::history::{Placed, read_history};
use super::{Recalled, Reply};
use crate::translate::draft::{DEFAULT_SCHEMA_NAME, Draft, Structure, below, session_key, token_count};
use crate::translate::fields::RESPONSES;
use crate::translate::models::{Capabilities, Known};
use crate::translate::reasoning::Level;
use crate::translate::tools::{Choice, Definition, Names, Tools, WEB_SEARCH};
use crate::translate::{Config, Prepared, cache, suffix};
use crate::wire::error::ApiError;
use crate::wire::json::Str;
use crate::wire::messages::UserLocation;
use crate::wire::responses::{
    CustomFormat, Format, InputItem, Namespace, Reasoning, Request, SelectedTool, ToolEntry, ToolSelection,
    WebSearch,
};

/// Translates a request whose body is `size` bytes long, and what it goes on from. `known` says what is known of the
/// model that the client names beyond its name: what it is called upstream, and what it takes.
///
/// # Errors
/// A 400 that names the field, for bodies that are not valid and for what Claude or this version cannot do.
pub fn to_messages<'a>(
    mut request: Request<'a>,
    recalled: &'a Recalled,
    size: usize,
    config: Config,
    known: impl FnOnce(&str) -> Option<Known>,
) -> Result<Prepared<Reply>, ApiError> {
    refuse_unsupported(&request)?;
    let (model, suffix) = suffix::split(&request.model)?;
    let Known { upstream, capabilities } = known(model).unwrap_or_else(|| Known::by_name(model.to_owned()));
    let capabilities = &capabilities;
    let mut dropped = std::mem::take(&mut request.ignored);
    if request.service_tier.as_deref().is_some_and(|tier| !matches!(tier, "auto" | "default")) {
        dropped.push("service_tier".to_owned());
    }
    if request.truncation.as_deref().is_some_and(|mode| mode != "disabled") {
        dropped.push("truncation".to_owned());
    }

    if request.store == Some(true) && !recalled.keeps {
        dropped.push("store".to_owned());
    }
    request.echo.store = recalled.keeps && request.store.unwrap_or(true);

    let mut items = Placed::all(recalled, request.input)?;
    let additional = additional_tools(&mut items);
    let tools = read_tools(capabilities, request.tools, additional, &mut dropped)?;
    let choice = request.tool_choice.map(|selection| read_choice(selection, &tools.names)).transpose()?;
    let history = read_history(request.instructions, items, capabilities, &tools.names, &mut dropped)?;
    let Reasoning { effort, summary, generate_summary, unread } = request.reasoning;
    below(&mut dropped, "reasoning", unread);
    let level = effort.map(|text| Level::parse(&text, "reasoning.effort")).transpose()?;
    let (wish, wish_field) = suffix::settle(suffix, level, ("reasoning.effort", &mut dropped));
    let own_markers = cache::is_explicit(request.prompt_cache_options, &mut dropped);
    let structure = request.format.map(|format| read_format(format, &mut dropped)).transpose()?;
    let show_thinking = summary.or(generate_summary).is_some_and(|summary| &*summary != "none");
    let user = request.safety_identifier.or(request.user);
    let session = session_key(request.prompt_cache_key.as_deref(), user.as_deref());

    let names = tools.names.clone();
    let draft = Draft {
        model: &upstream,
        capabilities,
        max_tokens: token_count(request.max_output_tokens, "max_output_tokens")?,
        temperature: request.temperature,
        top_p: request.top_p,
        stop: Vec::new(),
        stream: request.stream,
        history,
        tools,
        choice,
        parallel: request.parallel_tool_calls,
        wish,
        wish_field,
        show_thinking,
        structure: structure.flatten(),
        user,
        thinking: None,
        cache_control: None,
        own_markers,
        dropped,
        fields: &RESPONSES,
        config,
        messages_field: "input",
    };
    let written = draft.write(size)?;
    Ok(Prepared {
        body: written.body,
        model: model.to_owned(),
        upstream,
        stream: request.stream,
        session,
        betas: written.betas,
        dropped: written.dropped,
        reply: Reply {
            model: model.to_owned(),
            names,
            show_thinking,
            answer_tool: written.answer_tool,
            echo: Arc::new(request.echo.with_defaults()),
        },
    })
}

fn refuse_unsupported(request: &Request<'_>) -> Result<(), ApiError> {
    let refused = [
        ("background", request.background, "responses cannot run in the background"),
        (
            "conversation",
            request.conversation,
            "stored conversations are not available; send the items in input",
        ),
        (
            "prompt",
            request.prompt,
            "stored prompts are not available; send the text in input or instructions",
        ),
    ];
    match refused.into_iter().find(|(_, given, _)| *given) {
        Some((param, _, text)) => Err(ApiError::invalid_param(param, format!("{param}: {text}"))),
        None => Ok(()),
    }
}

/// Takes the tools that stand among the items, each list with its place.
fn additional_tools<'a>(items: &mut [Placed<'a>]) -> Vec<(String, Vec<ToolEntry<'a>>)> {
    let lists = items.iter_mut().filter_map(|placed| {
        let at = placed.at();
        let InputItem::AdditionalTools(tools) = &mut placed.item else { return None };
        Some((format!("{at}.tools"), std::mem::take(tools)))
    });
    lists.collect()
}

fn read_tools<'a>(
    capabilities: &Capabilities,
    entries: Vec<ToolEntry<'a>>,
    additional: Vec<(String, Vec<ToolEntry<'a>>)>,
    dropped: &mut Vec<String>,
) -> Result<Tools<'a>, ApiError> {
    let mut tools = Tools::new(capabilities);
    let lists = std::iter::once(("tools".to_owned(), entries)).chain(additional);
    let mut others = Vec::new();
    for (list, entries) in lists {
        for (index, entry) in entries.into_iter().enumerate() {
            let at = format!("{list}[{index}]");
            match entry {
                ToolEntry::WebSearch(search) => web_search(&mut tools, search, &at, dropped),
                other => others.push((at, other)),
            }
        }
    }
    for (at, entry) in others {
        add_tool(&mut tools, entry, None, &at, dropped)?;
    }
    Ok(tools)
}

fn web_search<'a>(tools: &mut Tools<'a>, search: WebSearch<'a>, at: &str, dropped: &mut Vec<String>) {
    dropped.extend(search.ignored.iter().map(|name| format!("{at}.{name}")));
    let location = search.has_location.then_some(UserLocation {
        kind: "approximate",
        city: search.city,
        region: search.region,
        country: search.country,
        timezone: search.timezone,
    });
    tools.web_search(search.allowed_domains, location);
}

fn add_tool<'a>(
    tools: &mut Tools<'a>,
    entry: ToolEntry<'a>,
    namespace: Option<&Str<'a>>,
    at: &str,
    dropped: &mut Vec<String>,
) -> Result<(), ApiError> {
    match entry {
        ToolEntry::Function(tool) => {
            below(dropped, at, tool.unread);
            let definition = Definition {
                namespace: namespace.cloned(),
                name: tool.name,
                description: tool.description,
                parameters: tool.parameters,
                strict: tool.strict.unwrap_or(false),
                cache_control: tool.cache_control,
            };
            tools.function(definition, at)
        }
        ToolEntry::Custom(mut tool) => {
            below(dropped, at, tool.unread);
            if let Some(format) = &mut tool.format {
                below(dropped, &format!("{at}.format"), std::mem::take(&mut format.unread));
            }
            let definition = Definition {
                namespace: namespace.cloned(),
                name: tool.name,
                description: tool.description,
                parameters: None,
                strict: false,
                cache_control: tool.cache_control,
            };
            tools.custom(definition, grammar(tool.format.as_ref()), at)
        }
        ToolEntry::Namespace(Namespace { name, description, tools: children, unread, .. })
            if namespace.is_none() =>
        {
            below(dropped, at, unread);
            if description.is_some_and(|text| !text.trim().is_empty()) {
                dropped.push(format!("{at}.description"));
            }
            for (index, child) in children.into_iter().enumerate() {
                add_tool(tools, child, Some(&name), &format!("{at}.tools[{index}]"), dropped)?;
            }
            Ok(())
        }
        ToolEntry::Namespace(_) => unsupported_tool(at, "namespace inside a namespace"),
        ToolEntry::WebSearch(_) => unsupported_tool(at, "web search inside a namespace"),
        ToolEntry::Other { kind } => unsupported_tool(at, &format!("{:?}", &*kind)),
    }
}

fn unsupported_tool(at: &str, what: &str) -> Result<(), ApiError> {
    let param = format!("{at}.type");
    let text = format!("{param}: {what} is not supported; use function, custom, namespace or web_search");
    Err(ApiError::invalid_param(param, text))
}

fn grammar<'f>(format: Option<&'f CustomFormat<'_>>) -> Option<(&'f str, &'f str)> {
    let format = format?;
    Some((format.syntax.as_deref().unwrap_or("formal"), format.definition.as_deref()?))
}

fn read_choice(selection: ToolSelection<'_>, names: &Names) -> Result<Choice, ApiError> {
    match selection {
        ToolSelection::Mode(mode) => Choice::mode(&mode, "tool_choice"),
        ToolSelection::Named(tool) => Ok(Choice::Named(upstream(names, &tool))),
        ToolSelection::Allowed { mode, tools } => Ok(Choice::Allowed {
            required: Choice::is_required(&mode, "tool_choice.mode")?,
            names: tools.iter().map(|tool| upstream(names, tool)).collect(),
        }),
    }
}

fn upstream(names: &Names, tool: &SelectedTool<'_>) -> String {
    match tool {
        SelectedTool::Client { namespace, name } => names.upstream(namespace.as_deref(), name),
        SelectedTool::WebSearch => WEB_SEARCH.to_owned(),
    }
}

fn read_format<'a>(format: Format<'a>, dropped: &mut Vec<String>) -> Result<Option<Structure<'a>>, ApiError> {
    const PARAM: &str = "text.format.schema";
    below(dropped, "text.format", format.unread);
    match (&*format.kind, format.schema) {
        ("text", _) => Ok(None),
        ("json_object", _) => Ok(Some(Structure::JsonObject)),
        ("json_schema", Some(schema)) => {
            let name = format.name.unwrap_or(Str::borrowed(DEFAULT_SCHEMA_NAME));
            Ok(Some(Structure::Schema { name, description: format.description, schema, param: PARAM }))
        }
        ("json_schema", None) => Err(ApiError::invalid_param(PARAM, format!("{PARAM}: field required"))),
        (other, _) => Err(ApiError::invalid_param(
            "text.format.type",
            format!("text.format.type: {other:?} is not supported; use text, json_object or json_schema"),
        )),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
