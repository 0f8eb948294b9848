//! A long conversation of a coding agent in both dialects: the same each time it is made, and about as large as is
//! asked for.

use std::fmt::Write as _;

use serde_json::{Value, json};

const MODEL: &str = "claude-opus-5";
/// Lines of what agents read and write: escapes, other scripts, long and short ones.
const LINES: [&str; 8] = [
    "fn main() -> Result<(), Box<dyn std::error::Error>> {",
    "\tlet name = \"caf\u{e9} \\\"quoted\\\"\"; // \u{4f60}\u{597d}, \u{1f600}",
    "    println!(\"{name}: {}\", items.iter().map(|item| item.len()).sum::<usize>());",
    "",
    "The test fails because the reader keeps the last line until its end has arrived.",
    "| column | value |\r",
    "C:\\Users\\somebody\\project\\src\\lib.rs",
    "\u{417}\u{434}\u{435}\u{441}\u{44c} \u{43d}\u{435}\u{442} \u{43e}\u{448}\u{438}\u{431}\u{43a}\u{438}.",
];

/// One body for each dialect.
pub(crate) struct Bodies {
    pub(crate) chat: Vec<u8>,
    pub(crate) responses: Vec<u8>,
}

/// Bodies of about `size` bytes each.
pub(crate) fn bodies(size: usize) -> Bodies {
    let mut chat = vec![json!({"role": "system", "content": text(0, 60)})];
    let mut responses =
        vec![json!({"role": "developer", "content": [{"type": "input_text", "text": text(0, 60)}]})];
    let mut written = 0;
    let mut turn = 1;
    while written < size {
        let (said, called) = turns(turn);
        written += said.iter().map(|message| message.to_string().len()).sum::<usize>();
        chat.extend(said);
        responses.extend(called);
        turn += 1;
    }
    let schema = |index: usize| {
        json!({"type": "object", "required": ["path"], "additionalProperties": false, "properties": {
            "path": {"type": "string", "description": text(index, 2)},
            "line": {"type": "integer", "minimum": 1},
            "edits": {"type": "array", "items": {"type": "object", "properties": {"old": {"type": "string"}, "new": {"type": "string"}}}},
        }})
    };
    let tools: Vec<(String, String, Value)> =
        (0..30).map(|index| (format!("tool_{index}"), text(index, 8), schema(index))).collect();
    let functions: Vec<Value> = tools
        .iter()
        .map(|(name, description, parameters)| {
            json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}})
        })
        .collect();
    let flat: Vec<Value> = tools
        .iter()
        .map(|(name, description, parameters)| {
            json!({"type": "function", "name": name, "description": description, "parameters": parameters, "strict": false})
        })
        .collect();
    Bodies {
        chat: json!({"model": MODEL, "stream": true, "stream_options": {"include_usage": true}, "tools": functions,
            "reasoning_effort": "high", "messages": chat})
        .to_string()
        .into_bytes(),
        responses: json!({"model": MODEL, "stream": true, "store": false, "tools": flat, "prompt_cache_key": "bench",
            "reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
            "instructions": text(1, 40), "input": responses})
        .to_string()
        .into_bytes(),
    }
}

/// One round of the conversation in both dialects: a question, two calls, their results, an answer.
fn turns(turn: usize) -> (Vec<Value>, Vec<Value>) {
    let question = text(turn, 6);
    let mut asked = vec![json!({"type": "text", "text": question})];
    let mut asked_items = vec![json!({"type": "input_text", "text": question})];
    if turn.is_multiple_of(12) {
        let url = format!("data:image/png;base64,{}", image(turn));
        asked.push(json!({"type": "image_url", "image_url": {"url": url}}));
        asked_items.push(json!({"type": "input_image", "image_url": url}));
    }
    let mut items = vec![json!({"type": "message", "role": "user", "content": asked_items})];
    let [mut calls, mut results, mut outputs] = [Vec::new(), Vec::new(), Vec::new()];
    for (place, lines) in [40, 25].into_iter().enumerate() {
        let id = format!("call_{turn}_{place}");
        let edits = json!([{"old": text(turn + place, 4), "new": text(turn + place + 1, 5)}]);
        let arguments =
            json!({"path": format!("src/module_{turn}.rs"), "line": turn, "edits": edits}).to_string();
        let result = text(turn + place + 1, lines);
        calls.push(
            json!({"id": id, "type": "function", "function": {"name": "tool_3", "arguments": arguments}}),
        );
        items.push(json!({"type": "function_call", "call_id": id, "name": "tool_3", "arguments": arguments}));
        results.push(json!({"role": "tool", "tool_call_id": id, "content": result}));
        outputs.push(json!({"type": "function_call_output", "call_id": id, "output": result}));
    }
    let answer = text(turn + 3, 12);
    let mut chat = vec![json!({"role": "user", "content": asked})];
    chat.push(json!({"role": "assistant", "content": null, "tool_calls": calls}));
    chat.append(&mut results);
    chat.push(json!({"role": "assistant", "content": answer}));
    items.append(&mut outputs);
    items.push(
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": answer}]}),
    );
    (chat, items)
}

/// So many lines, other ones for each seed.
fn text(seed: usize, lines: usize) -> String {
    let chosen = |line: usize| LINES.iter().cycle().nth((seed * 7 + line * 5 + line / 8) % LINES.len());
    (0..lines).filter_map(|line| Some((line, chosen(line)?))).fold(
        String::new(),
        |mut text, (line, chosen)| {
            // Writing to memory cannot fail.
            let _written = writeln!(text, "{:>4} {chosen}", seed + line);
            text
        },
    )
}

/// Base64 that begins as a PNG does.
fn image(seed: usize) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let tail = ALPHABET.chars().cycle().skip(seed % ALPHABET.len()).step_by(7).take(24_000);
    "iVBORw0KGgoAAAANSUhEUgAA".chars().chain(tail).collect()
}
