//! Conversations as programs have them, in each dialect: a question, one that is thought about, tools that are called and their results,
//! a picture, and one that has lasted.

use proxy_tests::fake_claude::TOOL_WORD;
use serde_json::{Value, json};

const MODEL: &str = "claude-sonnet-4-5";
/// A picture of one dot.
const DOT: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/// Of the one that has lasted.
const TURNS: usize = 21;

/// The path and the body of every one, whole and as a stream, and of a count of tokens.
pub(crate) fn all() -> Vec<(&'static str, Value)> {
    let count = json!({"model": MODEL, "messages": [{"role": "user", "content": "How long is this?"}]});
    let mut all = vec![("/v1/messages/count_tokens", count)];
    let dialects = [
        ("/v1/messages", in_messages()),
        ("/v1/chat/completions", in_chat()),
        ("/v1/responses", in_responses()),
    ];
    for (path, bodies) in dialects {
        for mut body in bodies {
            all.push((path, body.clone()));
            if let Some(fields) = body.as_object_mut() {
                fields.insert("stream".to_owned(), true.into());
            }
            all.push((path, body));
        }
    }
    all
}

fn question() -> String {
    format!("How is the {TOOL_WORD} in Paris?")
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
}

/// The turns of the one that has lasted, with what JSON must escape and what is longer than a byte.
fn turns() -> Vec<Value> {
    let turn = |number: usize| {
        let role = if number.is_multiple_of(2) { "user" } else { "assistant" };
        let text = format!("Turn {number}: \"far apart\",\na path\\to\\the reeds – in der Höhe. ").repeat(20);
        json!({"role": role, "content": text.trim_end()})
    };
    (0..TURNS).map(turn).collect()
}

fn in_messages() -> Vec<Value> {
    let body = |messages: Value, more: Value| {
        let mut body = json!({
            "model": MODEL, "max_tokens": 2000, "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "metadata": {"user_id": "training"}, "messages": messages,
        });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        body
    };
    let tools =
        json!({"tools": [{"name": "get_weather", "description": "Weather.", "input_schema": schema()}]});
    let called = json!([
        {"role": "user", "content": question()},
        {"role": "assistant", "content": [
            {"type": "text", "text": "I will look that up."},
            {"type": "tool_use", "id": "toolu_FAKE", "name": "get_weather", "input": {"city": "Paris"}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_FAKE", "content": "21 degrees"}]},
    ]);
    let picture = json!([{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DOT}},
        {"type": "text", "text": "What is this?"},
    ]}]);
    vec![
        body(json!([{"role": "user", "content": "Hello!"}]), json!({})),
        body(
            json!([{"role": "user", "content": "Think first."}]),
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ),
        body(json!([{"role": "user", "content": question()}]), tools.clone()),
        body(called, tools),
        body(picture, json!({})),
        body(turns().into(), json!({})),
    ]
}

fn in_chat() -> Vec<Value> {
    let tools = json!([{"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": schema()}}]);
    let usage = json!({"include_usage": true});
    let system = json!({"role": "system", "content": "Be brief."});
    let called = json!([
        {"role": "user", "content": question()},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "call_FAKE", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Paris\"}"}},
        ]},
        {"role": "tool", "tool_call_id": "call_FAKE", "content": "21 degrees"},
    ]);
    let parts = json!([{"role": "user", "content": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{DOT}")}},
    ]}]);
    let long: Vec<Value> = std::iter::once(system.clone()).chain(turns()).collect();
    vec![
        json!({"model": MODEL, "messages": [system, {"role": "user", "content": "Hello!"}], "stream_options": usage}),
        json!({"model": MODEL, "messages": [{"role": "user", "content": question()}], "tools": tools, "tool_choice": "auto"}),
        json!({"model": MODEL, "messages": called, "tools": tools, "temperature": 0.5}),
        json!({"model": MODEL, "messages": parts, "max_completion_tokens": 500}),
        json!({"model": MODEL, "messages": long}),
    ]
}

fn in_responses() -> Vec<Value> {
    let tools = json!([{"type": "function", "name": "get_weather", "description": "Weather.", "parameters": schema(), "strict": false}]);
    let called = json!([
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": question()}]},
        {"type": "function_call", "call_id": "call_FAKE", "name": "get_weather", "arguments": "{\"city\": \"Paris\"}"},
        {"type": "function_call_output", "call_id": "call_FAKE", "output": "21 degrees"},
    ]);
    vec![
        json!({"model": MODEL, "input": "Hello!", "instructions": "Be brief.", "store": false}),
        json!({"model": MODEL, "input": "Hello!"}),
        json!({"model": MODEL, "input": "Think first.", "reasoning": {"effort": "low", "summary": "auto"}, "store": false}),
        json!({"model": MODEL, "input": question(), "tools": tools, "store": false}),
        json!({"model": MODEL, "input": called, "tools": tools, "store": false, "include": ["reasoning.encrypted_content"]}),
        json!({"model": MODEL, "input": turns(), "store": false}),
    ]
}

#[cfg(test)]
mod tests {
    use http::Method;
    use proxy_tests::daemon::TestDaemon;
    use proxy_tests::fake_claude::FakeClaude;

    #[tokio::test]
    async fn every_one_is_answered() {
        let fake = FakeClaude::start().await;
        let (daemon, _) = TestDaemon::with_account(&fake).await;
        let json = [("content-type", "application/json")];
        for (path, body) in super::all() {
            let answer = daemon.send(Method::POST, path, &json, body.to_string()).await;
            let (status, said) = (answer.status(), answer.text().await.unwrap());
            assert!(status.is_success() && !said.contains("\"error\":{"), "{path} {body}: {said}");
        }
    }
}
