//! What the fake model says, as a pure function of the request, and how that looks whole and as events.
//!
//! - Plain text is answered with `You said: ...`, naming images and documents it was shown.
//! - If there are tools and the last user text contains [`TOOL_WORD`], or a tool is forced, the first (or the
//!   forced) tool is called with an input made from its schema. [`ALL_TOOLS_WORD`] calls every tool at once.
//! - `call the tool NAME with {...}` in the last user text calls that tool with that input; see
//!   [`CALL_WORDS`].
//! - [`SEARCH_WORD`] with a web search tool makes a search and an answer that cites what it found.
//! - [`REFUSED_WORD`] is refused.
//! - After tool results the answer is `The tools said: ...`.
//! - With a JSON schema as output format the answer is an instance of it.
//! - With thinking on, a signed thinking block comes first; its text is empty where the display is `omitted`.

use serde_json::{Map, Value, json};

use super::binding;
use super::checks::{content, list, text};
use super::issued::Caller;
use super::message::{Block, Message, Usage, bound_signature_of, signature_of};
use super::models::Model;
use super::prompt_cache::Cached;

/// In the last user text, makes the fake call its first tool.
pub const TOOL_WORD: &str = "weather";

/// In the last user text, makes the fake call all its tools in one answer.
pub const ALL_TOOLS_WORD: &str = "every tool";

/// In the last user text, followed by a tool's name, the word `with` and a JSON object: calls that tool with that
/// input, if the request has such a tool.
pub const CALL_WORDS: &str = "call the tool ";

/// In the last user text, makes the fake search the web if it may.
pub const SEARCH_WORD: &str = "search the web";

/// In the last user text, makes the fake refuse.
pub const REFUSED_WORD: &str = "the forbidden word";

/// What a refusal says beside the answer.
pub const REFUSAL: &str = "The fake does not talk about this.";

/// In the last user text, makes the code that the fake runs write a file.
pub const FILE_WORD: &str = "chart";

const THOUGHT: &str = "The person wants an answer. I will give a short one.";

/// Composes the answer. `mint` makes a new id from a prefix.
pub(super) fn compose(
    body: &Map<String, Value>,
    model: &'static Model,
    caller: &Caller,
    mint: &mut dyn FnMut(&str) -> String,
) -> Message {
    let thinking = body.get("thinking");
    let mut blocks = Vec::new();
    // A forced call comes without thoughts: asked for, they are refused, and unasked they do not come.
    if !forces_a_tool(body) && model.thinks(thinking.map(|t| text(t, "type"))) {
        // Models that take a budget show their thoughts unless told not to; the newer ones the other way
        // round.
        let shown = match thinking.map(|t| text(t, "display")) {
            Some("omitted") => false,
            Some("summarized") => true,
            _ => model.thinking.contains(&"enabled"),
        };
        let thought = if shown { THOUGHT } else { "" };
        let signature = if model.binds_to_conversation() {
            let mark = binding::mark_of(body, list(body.get("messages")));
            bound_signature_of(thought, &mark, model.binds_to_account().then_some(caller))
        } else {
            signature_of(thought)
        };
        blocks.push(Block::Thinking { text: thought.to_owned(), signature });
    }
    let calls = tools_to_call(body);
    let (stop_reason, stop_sequence) = if last_user_text(body).contains(REFUSED_WORD) {
        ("refusal", None)
    } else if calls.is_empty() {
        if searches(body) {
            blocks.extend(search(mint("srvtoolu_")));
        }
        let (said, reason, sequence) = stopped(body, words(body));
        if !said.is_empty() {
            blocks.push(Block::Text(said));
        }
        (reason, sequence)
    } else {
        // A forced call comes at once; and with a schema every text would have to be an instance of it.
        if !forces_a_tool(body) && schema_of(body).is_none() {
            blocks.push(Block::Text("I will look that up.".to_owned()));
        }
        blocks.extend(calls.into_iter().map(|(name, input)| Block::ToolUse {
            id: mint("toolu_"),
            name: name.to_owned(),
            input,
        }));
        ("tool_use", None)
    };
    let container = container_of(body, mint);
    if container.is_some() && last_user_text(body).contains(FILE_WORD) {
        blocks.push(Block::MadeFile { id: mint("file_") });
    }
    let thinking = blocks.iter().map(|b| if let Block::Thinking { .. } = b { 12 } else { 0 }).sum();
    let output = blocks.iter().map(Block::tokens).sum::<usize>().max(1);
    let usage = Usage { input: input_tokens(body), output, thinking, cached: Cached::default() };
    let refusal = (stop_reason == "refusal").then_some(REFUSAL);
    Message {
        id: mint("msg_"),
        model: model.id,
        blocks,
        stop_reason,
        stop_sequence,
        refusal,
        usage,
        container,
    }
}

/// Where its code runs: the container that the request names, else a new one if there is a tool that runs code.
fn container_of(body: &Map<String, Value>, mint: &mut dyn FnMut(&str) -> String) -> Option<String> {
    let named = body.get("container");
    let id = named.and_then(|c| c.as_str().or_else(|| c.get("id")?.as_str()));
    let runs_code =
        list(body.get("tools")).iter().any(|tool| text(tool, "type").starts_with("code_execution_"));
    id.map(str::to_owned).or_else(|| runs_code.then(|| mint("container_")))
}

fn forces_a_tool(body: &Map<String, Value>) -> bool {
    body.get("tool_choice").is_some_and(|c| matches!(text(c, "type"), "any" | "tool"))
}

/// A tool's name and the input of a call of it.
type ToolCall<'a> = (&'a str, Value);

/// The calls the answer makes; none means a text.
fn tools_to_call(body: &Map<String, Value>) -> Vec<ToolCall<'_>> {
    let with_instance =
        |tool| (text(tool, "name"), tool.get("input_schema").map_or_else(|| json!({}), instance));
    match told_call(body) {
        Some(call) if !answers_a_tool(body) => vec![call],
        _ => chosen_tools(body).into_iter().map(with_instance).collect(),
    }
}

/// The call that the last user text tells in words.
fn told_call(body: &Map<String, Value>) -> Option<ToolCall<'_>> {
    let last = last_user_text(body);
    let (_, told) = last.split_once(CALL_WORDS)?;
    let (name, input) = told.split_once(" with ")?;
    // The object ends where it ends; what a program adds after it is not looked at.
    let input = serde_json::Deserializer::from_str(input).into_iter().next()?.ok()?;
    let tool = list(body.get("tools")).iter().find(|tool| text(tool, "name") == name)?;
    Some((text(tool, "name"), input))
}

fn chosen_tools(body: &Map<String, Value>) -> Vec<&Value> {
    let tools: Vec<&Value> =
        list(body.get("tools")).iter().filter(|t| t.get("input_schema").is_some()).collect();
    let choice = body.get("tool_choice");
    let one_only = choice.and_then(|c| c.get("disable_parallel_tool_use")) == Some(&Value::Bool(true));
    let last = last_user_text(body);
    let first = || tools.iter().take(1).copied().collect();
    if answers_a_tool(body) {
        return Vec::new();
    }
    match choice.map(|c| text(c, "type")).unwrap_or_default() {
        "none" => Vec::new(),
        "tool" => {
            let wanted = choice.map(|c| text(c, "name")).unwrap_or_default();
            tools.into_iter().filter(|t| text(t, "name") == wanted).collect()
        }
        _ if last.contains(ALL_TOOLS_WORD) && !one_only => tools,
        "any" => first(),
        _ if last.contains(TOOL_WORD) || last.contains(ALL_TOOLS_WORD) => first(),
        _ => Vec::new(),
    }
}

fn searches(body: &Map<String, Value>) -> bool {
    let may = list(body.get("tools")).iter().any(|tool| text(tool, "type").starts_with("web_search_"));
    may && last_user_text(body).contains(SEARCH_WORD)
}

/// A search, what it found, and a text that cites it.
fn search(id: String) -> [Block; 3] {
    let found = Block::SearchResult { id: id.clone() };
    [Block::Search { id }, found, Block::Cited("The web says: sunny. ".to_owned())]
}

fn last_user_message(body: &Map<String, Value>) -> Option<&Value> {
    list(body.get("messages")).iter().rev().find(|m| text(m, "role") == "user")
}

fn answers_a_tool(body: &Map<String, Value>) -> bool {
    last_user_message(body).is_some_and(|m| content(m).iter().any(|b| text(b, "type") == "tool_result"))
}

fn last_user_text(body: &Map<String, Value>) -> String {
    last_user_message(body).map(|m| text_of(m.get("content"))).unwrap_or_default()
}

/// Text of a content value; what is no text is named in brackets, so that tests see it arrived.
fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Array(blocks)) => blocks.iter().map(named).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

fn named(block: &Value) -> String {
    let source = block.get("source");
    let of = |name: &str| source.map(|s| text(s, name)).unwrap_or_default();
    match text(block, "type") {
        "text" => text(block, "text").to_owned(),
        "tool_result" => text_of(block.get("content")),
        "image" if of("type") == "url" => format!("[image {}]", of("url")),
        "image" => format!("[image {}]", of("media_type")),
        "document" => format!("[document {}]", text(block, "title")),
        other => format!("[{other}]"),
    }
}

/// The schema that the answer's text must fit.
fn schema_of(body: &Map<String, Value>) -> Option<&Value> {
    body.get("output_config")?.get("format")?.get("schema")
}

fn words(body: &Map<String, Value>) -> String {
    if let Some(schema) = schema_of(body) {
        return instance(schema).to_string();
    }
    let said = last_user_text(body);
    if answers_a_tool(body) { format!("The tools said: {said}") } else { format!("You said: {said}") }
}

/// Applies stop sequences and `max_tokens`, counting a word as a token.
fn stopped(body: &Map<String, Value>, mut said: String) -> (String, &'static str, Option<String>) {
    let sequences = list(body.get("stop_sequences")).iter().filter_map(Value::as_str);
    let first = sequences.filter_map(|s| said.find(s).map(|at| (at, s))).min_by_key(|(at, _)| *at);
    if let Some((at, sequence)) = first {
        let sequence = sequence.to_owned();
        said.truncate(at);
        return (said, "stop_sequence", Some(sequence));
    }
    let limit = body.get("max_tokens").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    match limit.and_then(|n| said.split_inclusive(' ').nth(n).map(|_| n)) {
        Some(n) => (said.split_inclusive(' ').take(n).collect(), "max_tokens", None),
        None => (said, "end_turn", None),
    }
}

/// The smallest sensible value of a JSON schema.
fn instance(schema: &Value) -> Value {
    let first = |name: &str| list(schema.get(name)).first();
    if let Some(value) = schema.get("const").or_else(|| first("enum")).or_else(|| schema.get("default")) {
        return value.clone();
    }
    if let Some(one) = first("anyOf").or_else(|| first("oneOf")) {
        return instance(one);
    }
    let kind = schema.get("type");
    match kind.and_then(Value::as_str).or_else(|| first("type").and_then(Value::as_str)) {
        Some("object") => {
            let properties = schema.get("properties").and_then(Value::as_object);
            properties
                .into_iter()
                .flatten()
                .map(|(k, v)| (k.clone(), instance(v)))
                .collect::<Map<_, _>>()
                .into()
        }
        Some("array") => schema.get("items").map_or_else(|| json!([]), |items| json!([instance(items)])),
        Some("string") => json!("Paris"),
        Some("number") => json!(21.5),
        Some("integer") => json!(21),
        Some("boolean") => json!(true),
        _ => Value::Null,
    }
}

/// A stand-in for the tokenizer: a quarter of the bytes of everything the model would read.
pub(super) fn input_tokens(body: &Map<String, Value>) -> usize {
    let parts = ["system", "messages", "tools"].iter().filter_map(|name| body.get(*name));
    parts.map(|p| p.to_string().len().div_ceil(4)).sum()
}
