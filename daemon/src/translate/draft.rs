//! The last step of every request translation: decides what depends on several fields at once (limits,
//! thinking, sampling, forced tools, structured output, prefill, cache markers) and writes the Messages
//! request.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::call::sha256_hex;
use super::fields::{self, Table};
use super::history::{History, Turns};
use super::models::Capabilities;
use super::reasoning::{self, Plan, Situation, Wish};
use super::schema;
use super::tools::{Choice, Tools};
use super::{Config, cache};
use crate::wire::error::ApiError;
use crate::wire::json::{Kind, Str};
use crate::wire::messages::{Block, Format, Metadata, OutputConfig, Request, Thinking, Tool, ToolChoice};

/// Cache markers upstream takes in one request.
const MAX_CACHE_MARKERS: usize = 4;

/// What the model is told where JSON is wanted and no schema says which; upstream has no such mode.
const JSON_ONLY: &str = "Answer with one JSON object only, without any other text.";

/// The structure an answer must have.
#[derive(Debug)]
pub(super) enum Structure<'a> {
    JsonObject,
    Schema { name: Str<'a>, description: Option<Str<'a>>, schema: &'a RawValue, param: &'static str },
}

/// A request whose fields are read and whose conversation is built.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) model: &'a str,
    pub(super) capabilities: &'a Capabilities,
    pub(super) max_tokens: Option<u64>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) stop: Vec<Str<'a>>,
    pub(super) stream: bool,
    pub(super) history: History<'a>,
    pub(super) tools: Tools<'a>,
    pub(super) choice: Option<Choice>,
    pub(super) parallel: Option<bool>,
    /// How much the model shall think.
    pub(super) wish: Option<Wish>,
    /// The field that said so.
    pub(super) wish_field: &'static str,
    pub(super) show_thinking: bool,
    pub(super) structure: Option<Structure<'a>>,
    /// Whom the request is for; only a hash of it is sent.
    pub(super) user: Option<Str<'a>>,
    pub(super) thinking: Option<&'a RawValue>,
    pub(super) cache_control: Option<&'a RawValue>,
    /// The client wants no markers but its own.
    pub(super) own_markers: bool,
    pub(super) dropped: Vec<String>,
    pub(super) fields: &'static Table,
    pub(super) config: Config,
    /// The conversation's field, for errors.
    pub(super) messages_field: &'static str,
}

/// What is written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) body: Bytes,
    pub(super) betas: Vec<&'static str>,
    pub(super) dropped: Vec<String>,
    /// The tool whose input is the answer's text.
    pub(super) answer_tool: Option<String>,
}

impl Draft<'_> {
    /// `size` is the client's body length, for the first allocation.
    pub(super) fn write(mut self, size: usize) -> Result<Written, ApiError> {
        let model = self.capabilities;
        let mut dropped = std::mem::take(&mut self.dropped);
        let mut turns = self.history.finish().ok_or_else(|| {
            let field = self.messages_field;
            ApiError::invalid_param(field, format!("{field}: no message has any content"))
        })?;
        let wants_a_call = self.choice.as_ref().is_some_and(Choice::wants_a_call);
        let mut tool_choice = self.tools.choose(self.choice, self.parallel)?;
        if wants_a_call && tool_choice.is_none() {
            dropped.push("tool_choice".to_owned());
        }
        if !model.forced_tool && is_forced(tool_choice.as_ref()) {
            tool_choice = Some(ToolChoice::Auto { disable_parallel_tool_use: self.parallel == Some(false) });
            dropped.push("tool_choice".to_owned());
        }
        let mut shape = Shape { format: None, answer_tool: None, tool_choice };
        match self.structure {
            Some(Structure::JsonObject) => turns.system.push(Block::text(JSON_ONLY)),
            Some(Structure::Schema { schema, description, param, .. }) if model.structured_output => {
                let schema = schema::structured(schema, description.as_deref(), param)?;
                shape.format = Some(Format { kind: "json_schema", schema });
            }
            Some(Structure::Schema { name, description, schema, param }) => {
                shape = answer_by_tool(
                    &mut self.tools,
                    (&name, description),
                    schema::tool_input(Some(schema), param)?,
                    shape.tool_choice,
                );
            }
            None => {}
        }
        let Shape { format, answer_tool, tool_choice } = shape;
        dropped.append(&mut self.tools.loosen(format.as_ref().map(|format| &format.schema)));
        let forced = is_forced(tool_choice.as_ref());
        let given = self.thinking.map(GivenThinking::read).transpose()?;
        let given_thinks = given.as_ref().is_some_and(|given| given.on);
        let prefilled =
            end_with_user(&mut turns, model.prefill && format.is_none() && !forced && !given_thinks);

        let unlimited = match (&given, self.wish) {
            (Some(given), _) => model.clamp_output(model.default_output().saturating_add(given.budget)),
            (None, wish) => reasoning::default_output(model, wish),
        };
        let max_tokens = self.max_tokens.map_or(unlimited, |wanted| model.clamp_output(wanted));
        let situation = Situation {
            max_tokens,
            forced_tool: forced,
            prefilled,
            loop_lost_thinking: turns.lacks_thinking_in_open_loop(),
            replays_thinking: turns.has_thinking(),
            show: self.show_thinking,
        };
        let Plan { mut thinking, effort, mut thinks, level_dropped } =
            reasoning::plan(model, self.wish, situation);
        if level_dropped {
            dropped.push(self.wish_field.to_owned());
        }
        match given {
            Some(given) if given.on && (forced || (given.has_budget && situation.loop_lost_thinking)) => {
                dropped.push("thinking".to_owned());
            }
            Some(given) => {
                thinks = given.on;
                thinking = Some(Thinking::Given(given.raw));
            }
            None => {}
        }
        let (temperature, top_p) =
            sampling(self.temperature, self.top_p, model.sampling && !thinks, &mut dropped)?;

        let stop_sequences = stop_sequences(self.stop, &mut dropped);
        dropped.retain(|place| self.fields.is_loss(place));
        if self.config.strict {
            fields::strict(&dropped)?;
        }
        let mut request = Request {
            model: self.model,
            max_tokens,
            system: turns.system,
            messages: turns.turns,
            tools: self.tools.list,
            tool_choice,
            temperature,
            top_p,
            stop_sequences,
            output_config: (effort.is_some() || format.is_some()).then_some(OutputConfig { effort, format }),
            metadata: self.user.map(|user| Metadata { user_id: sha256_hex(&user) }),
            cache_control: self.cache_control,
            stream: self.stream,
            thinking,
        };
        let marked = limit_cache_markers(&mut request);
        if self.config.prompt_cache && !self.own_markers && !marked {
            cache::mark(&mut request, size);
        }
        let betas = if reasoning::has_binding(request.thinking.as_ref()) {
            vec![reasoning::BINDING_BETA]
        } else {
            Vec::new()
        };
        let mut body = Vec::with_capacity(size + size / 8 + 256);
        serde_json::to_writer(&mut body, &request)
            .map_err(|error| ApiError::api(format!("the translated request cannot be written: {error}")))?;
        Ok(Written { body: body.into(), betas, dropped, answer_tool })
    }
}

const fn is_forced(choice: Option<&ToolChoice>) -> bool {
    matches!(choice, Some(ToolChoice::Any { .. } | ToolChoice::Tool { .. }))
}

/// How the answer is made to have its structure.
struct Shape {
    format: Option<Format>,
    answer_tool: Option<String>,
    tool_choice: Option<ToolChoice>,
}

/// Lets the model answer through a tool. With tools of the client's own it may still call one of those first.
fn answer_by_tool(
    tools: &mut Tools<'_>,
    (name, description): (&str, Option<Str<'_>>),
    schema: serde_json::Map<String, serde_json::Value>,
    choice: Option<ToolChoice>,
) -> Shape {
    let has_tools = !tools.list.is_empty();
    let name = tools.answer(name, description.as_deref(), schema);
    let disable_parallel_tool_use = true;
    let choice = match choice {
        Some(forced @ (ToolChoice::Any { .. } | ToolChoice::Tool { .. })) => forced,
        Some(ToolChoice::Auto { .. }) | None if has_tools => ToolChoice::Any { disable_parallel_tool_use },
        _ => ToolChoice::Tool { name: name.clone(), disable_parallel_tool_use },
    };
    Shape { format: None, answer_tool: Some(name), tool_choice: Some(choice) }
}

/// A final assistant turn is continued where `allowed` (true is returned), and followed by a user turn
/// elsewhere.
fn end_with_user(turns: &mut Turns<'_>, allowed: bool) -> bool {
    if !turns.is_prefilled() {
        return false;
    }
    if allowed {
        turns.trim_prefill();
    } else {
        turns.ask_to_continue();
    }
    allowed
}

/// `thinking` as the client gave it, in Anthropic's own form.
struct GivenThinking<'a> {
    raw: &'a RawValue,
    on: bool,
    /// Of the kind that cannot start in the middle of a tool loop.
    has_budget: bool,
    budget: u64,
}

impl<'a> GivenThinking<'a> {
    fn read(raw: &'a RawValue) -> Result<Self, ApiError> {
        #[derive(serde::Deserialize)]
        struct Fields<'f> {
            #[serde(rename = "type", borrow)]
            kind: Str<'f>,
            #[serde(default)]
            budget_tokens: Option<u64>,
        }
        let fields: Fields<'_> = serde_json::from_str(raw.get()).map_err(|_| {
            ApiError::invalid_param(
                "thinking",
                "thinking: expected an object with a type, as in the Messages API",
            )
        })?;
        Ok(Self {
            raw,
            on: &*fields.kind != "disabled",
            has_budget: &*fields.kind == "enabled",
            budget: fields.budget_tokens.unwrap_or(0),
        })
    }
}

/// The texts that end the answer. Upstream takes none of white space alone.
fn stop_sequences<'a>(stop: Vec<Str<'a>>, dropped: &mut Vec<String>) -> Vec<Str<'a>> {
    let given = stop.len();
    let kept: Vec<_> = stop.into_iter().filter(|stop| !stop.trim().is_empty()).collect();
    if kept.len() < given {
        dropped.push("stop".to_owned());
    }
    kept
}

/// Temperature and `top_p`, of which upstream takes one, up to 1, and none beside thinking. A temperature above 1 is sent as
/// 1: the client's scale goes on to 2, but what stands above 1 there has no counterpart.
fn sampling(
    temperature: Option<f64>,
    top_p: Option<f64>,
    allowed: bool,
    dropped: &mut Vec<String>,
) -> Result<(Option<f64>, Option<f64>), ApiError> {
    for (name, value) in [("temperature", temperature), ("top_p", top_p)] {
        if value.is_some_and(|value| value < 0.0) {
            return Err(ApiError::invalid_param(name, format!("{name}: must not be negative")));
        }
    }
    let temperature_kept = temperature.filter(|_| allowed).map(|value| value.min(1.0));
    let top_p_kept = top_p.filter(|_| allowed && temperature_kept.is_none()).map(|value| value.min(1.0));
    // 1 is what both are where nobody says anything, so nothing is lost with it.
    let is_lost = |given: Option<f64>, kept: Option<f64>| {
        given.is_some_and(|value| (value - 1.0).abs() > f64::EPSILON) && given != kept
    };
    if is_lost(temperature, temperature_kept) {
        dropped.push("temperature".to_owned());
    }
    if is_lost(top_p, top_p_kept) {
        dropped.push("top_p".to_owned());
    }
    Ok((temperature_kept, top_p_kept))
}

/// Keeps the last of the client's markers, in upstream's order of tools, system, messages. True if there are any.
fn limit_cache_markers(request: &mut Request<'_>) -> bool {
    let whole = usize::from(request.cache_control.is_some());
    let mut markers: Vec<&mut Option<&RawValue>> = Vec::new();
    for tool in &mut request.tools {
        if let Tool::Client { cache_control, .. } = tool {
            markers.push(cache_control);
        }
    }
    for block in
        request.system.iter_mut().chain(request.messages.iter_mut().flat_map(|turn| &mut turn.content))
    {
        collect_markers(block, &mut markers);
    }
    for marker in &mut markers {
        // Anything but an object is no marker.
        **marker = marker.filter(|raw| Kind::of(raw) == Kind::Object);
    }
    markers.retain(|marker| marker.is_some());
    let surplus = (markers.len() + whole).saturating_sub(MAX_CACHE_MARKERS);
    let marked = !markers.is_empty() || whole > 0;
    for marker in markers.into_iter().take(surplus) {
        *marker = None;
    }
    marked
}

fn collect_markers<'b, 'a>(block: &'b mut Block<'a>, markers: &mut Vec<&'b mut Option<&'a RawValue>>) {
    match block {
        Block::Text { cache_control, .. }
        | Block::Image { cache_control, .. }
        | Block::Document { cache_control, .. }
        | Block::ToolUse { cache_control, .. } => markers.push(cache_control),
        Block::ToolResult { content, cache_control, .. } => {
            for inner in content {
                collect_markers(inner, markers);
            }
            markers.push(cache_control);
        }
        Block::Thinking { .. } | Block::RedactedThinking { .. } => {}
    }
}

/// Names the fields of the object at this place that nobody reads.
pub(super) fn below(dropped: &mut Vec<String>, at: &str, unread: Vec<String>) {
    dropped.extend(unread.into_iter().map(|name| format!("{at}.{name}")));
}

/// A count of tokens as a client wrote it.
pub(super) fn token_count(value: Option<f64>, param: &str) -> Result<Option<u64>, ApiError> {
    // Beyond 2^53 a float no longer tells whole numbers apart; no model takes that many tokens.
    const MOST: f64 = 9_007_199_254_740_992.0;
    let Some(value) = value else { return Ok(None) };
    if value < 1.0 || value.fract() != 0.0 || value > MOST {
        return Err(ApiError::invalid_param(param, format!("{param}: must be a whole number of at least 1")));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number between 1 and 2^53, as checked above"
    )]
    Ok(Some(value as u64))
}

/// What tells this conversation from others: the client's cache key, else whom it is for. The latter may be a
/// person's address, so only a hash of it is used.
pub(super) fn session_key(cache_key: Option<&str>, user: Option<&str>) -> Option<String> {
    cache_key.map(str::to_owned).or_else(|| user.map(sha256_hex))
}

/// The name of a response schema that has none.
pub(super) const DEFAULT_SCHEMA_NAME: &str = "answer";

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
