//! What a Responses request becomes, and what is refused.

use serde_json::{Value, json};

use super::*;
use crate::translate::responses::carrier;
use crate::translate::testing::responses_to_messages;

fn prepare(request: &Value) -> Result<Prepared<Reply>, ApiError> {
    let config = Config { prompt_cache: false, ..Config::default() };
    responses_to_messages(request.to_string().as_bytes(), config)
}

fn body(request: &Value) -> Value {
    let prepared = prepare(request).unwrap_or_else(|error| panic!("{error}: {request}"));
    serde_json::from_slice(&prepared.body).unwrap()
}

/// A request for `claude-opus-5` with these further fields.
fn with(fields: impl std::borrow::Borrow<Value>) -> Value {
    let mut request = json!({"model": "claude-opus-5", "input": "hi"});
    for (name, value) in fields.borrow().as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

#[test]
fn the_plainest_request_is_translated() {
    let expected = json!({"model": "claude-opus-5", "max_tokens": 32000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]});
    assert_eq!(body(&with(json!({}))), expected);
    assert_eq!(body(&with(json!({"input": [{"role": "user", "content": "hi"}]}))), expected);
    assert_eq!(
        body(&with(json!({"store": true, "include": [], "background": false, "metadata": {"a": "b"}}))),
        expected
    );
}

#[test]
fn a_coding_agents_request_is_translated() {
    let thinking = carrier::thinking("claude-opus-5-5", "Let me see.", "c2ln");
    let request = json!({
        "model": "claude-opus-5-5",
        "instructions": "You are a coding agent.",
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Sandbox: on."}]},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "Fix it."},
                {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "auto"},
            ]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "changed"}], "encrypted_content": thinking},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "Reading.", "annotations": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "toolu_1", "name": "shell", "arguments": "{\"command\":[\"ls\"]}"},
            {"type": "function_call", "call_id": "toolu_2", "namespace": "docs", "name": "find", "arguments": ""},
            {"type": "custom_tool_call", "call_id": "toolu_3", "name": "apply_patch", "input": "*** Begin"},
            {"type": "function_call_output", "call_id": "toolu_1", "output": "a.rs"},
            {"type": "custom_tool_call_output", "call_id": "toolu_3", "output": "Done."},
            {"type": "function_call_output", "call_id": "toolu_2", "output": [{"type": "input_text", "text": "none"}]},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
            {"type": "message", "role": "developer", "content": "Be quick."},
        ],
        "tools": [
            {"type": "function", "name": "shell", "description": "Runs.", "strict": false, "parameters": {"type": "object", "properties": {"command": {"type": "array", "items": {"type": "string"}}}}},
            {"type": "namespace", "name": "docs", "description": "", "tools": [{"type": "function", "name": "find", "parameters": {"type": "object", "properties": {}}}]},
            {"type": "custom", "name": "apply_patch", "description": "Edits.", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}},
            {"type": "web_search", "external_web_access": true},
        ],
        "tool_choice": "auto", "parallel_tool_calls": false,
        "reasoning": {"effort": "high", "summary": "auto"},
        "store": false, "stream": true, "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k-1", "client_metadata": {"x": "y"}, "text": {"verbosity": "low"},
    });
    let prepared = prepare(&request).unwrap();
    let got: Value = serde_json::from_slice(&prepared.body).unwrap();
    assert_eq!(
        got["system"],
        json!([
            {"type": "text", "text": "You are a coding agent."},
            {"type": "text", "text": "Sandbox: on."},
        ])
    );
    assert_eq!(
        got["messages"],
        json!([
            {"role": "user", "content": [
                {"type": "text", "text": "Fix it."},
                {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"},
                {"type": "text", "text": "Reading."},
                {"type": "tool_use", "id": "toolu_1", "name": "shell", "input": {"command": ["ls"]}},
                {"type": "tool_use", "id": "toolu_2", "name": "docs__find", "input": {}},
                {"type": "tool_use", "id": "toolu_3", "name": "apply_patch", "input": {"input": "*** Begin"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "a.rs"}]},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": [{"type": "text", "text": "none"}]},
                {"type": "tool_result", "tool_use_id": "toolu_3", "content": [{"type": "text", "text": "Done."}]},
            ]},
            {"role": "system", "content": [{"type": "text", "text": "Be quick."}]},
        ])
    );
    let names: Vec<&str> =
        got["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["web_search", "shell", "docs__find", "apply_patch"]);
    assert_eq!(got["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    assert_eq!(got["output_config"], json!({"effort": "high"}));
    assert_eq!(got["thinking"]["display"], "summarized");
    assert_eq!(prepared.betas, ["thinking-binding-controls-2026-08-01"]);
    assert_eq!(prepared.session.as_deref(), Some("k-1"));
    assert_eq!(
        prepared.dropped,
        ["client_metadata", "text.verbosity", "tools[3].external_web_access", "input[10] (web_search_call)"]
    );
    assert!(prepared.stream && prepared.reply.show_thinking);
}

#[test]
fn a_summary_nobody_asked_for_is_not_made() {
    let got = body(&with(json!({"reasoning": {"effort": "low"}})));
    assert_eq!(got["thinking"], json!({"type": "adaptive", "display": "omitted"}));
    let older =
        prepare(&with(json!({"reasoning": {"effort": "low", "generate_summary": "concise"}}))).unwrap();
    assert!(older.reply.show_thinking);
}

#[test]
fn foreign_reasoning_is_dropped_and_named() {
    let prepared = prepare(&with(json!({"input": [
        {"role": "user", "content": "a"},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABforeign"},
        {"type": "reasoning", "summary": []},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]})))
    .unwrap();
    assert_eq!(prepared.dropped, ["input[1].encrypted_content"]);
}

#[test]
fn files_of_each_kind_become_documents() {
    let parts = json!([
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"},
        {"type": "input_file", "file_url": "https://x.test/b.pdf"},
    ]);
    let got = body(&with(json!({"input": [{"role": "user", "content": parts}]})));
    assert_eq!(
        got["messages"][0]["content"],
        json!([
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}, "title": "a.pdf"},
            {"type": "document", "source": {"type": "url", "url": "https://x.test/b.pdf"}},
        ])
    );
}

#[test]
fn tools_in_the_input_join_the_list() {
    let got = body(&with(json!({
        "input": [
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "late"}]},
            {"role": "user", "content": "a"},
        ],
        "tools": [{"type": "function", "name": "early"}],
        "tool_choice": {"type": "function", "name": "late"},
    })));
    assert_eq!(got["tools"][1]["name"], "late");
    assert_eq!(got["tool_choice"], json!({"type": "tool", "name": "late"}));
}

#[test]
fn tool_choices_of_every_form_are_understood() {
    let tools = json!([{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}, {"type": "web_search",
            "filters": {"allowed_domains": ["x.test"]}, "user_location": {"type": "approximate", "country": "CH"}},
        {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "f"}]}]);
    let cases = [
        (json!("none"), json!({"type": "none"})),
        (json!("required"), json!({"type": "any"})),
        (json!({"type": "function", "name": "f"}), json!({"type": "tool", "name": "f"})),
        (
            json!({"type": "function", "namespace": "ns", "name": "f"}),
            json!({"type": "tool", "name": "ns__f"}),
        ),
        (json!({"type": "custom", "name": "c"}), json!({"type": "tool", "name": "c"})),
        (json!({"type": "web_search"}), json!({"type": "tool", "name": "web_search"})),
        (
            json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}),
            json!({"type": "auto"}),
        ),
    ];
    for (choice, expected) in cases {
        let got = body(&with(json!({"tools": tools, "tool_choice": choice})));
        assert_eq!(got["tool_choice"], expected, "{choice}");
        assert_eq!(got["tools"].as_array().unwrap().len(), if choice["mode"] == "auto" { 1 } else { 4 });
    }
    let got = body(&with(json!({"tools": tools})));
    assert_eq!(
        got["tools"][0],
        json!({"type": "web_search_20250305", "name": "web_search",
        "allowed_domains": ["x.test"], "user_location": {"type": "approximate", "country": "CH"}})
    );
}

#[test]
fn text_formats_become_structured_output() {
    let format = json!({"type": "json_schema", "name": "s", "strict": true, "schema": {"type": "object", "properties": {}}});
    let got = body(&with(json!({"text": {"format": format}})));
    assert_eq!(got["output_config"]["format"]["schema"]["additionalProperties"], false);
    let got = body(&with(json!({"text": {"format": {"type": "json_object"}}, "instructions": "x"})));
    assert_eq!(got["system"].as_array().unwrap().len(), 2);
    assert_eq!(body(&with(json!({"text": {"format": {"type": "text"}}}))).as_object().unwrap().len(), 3);
}

#[test]
fn null_is_the_same_as_absent() {
    let mut request = with(json!({}));
    let plain = prepare(&request).unwrap();
    for name in [
        "instructions",
        "max_output_tokens",
        "reasoning",
        "text",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "temperature",
        "top_p",
        "stream",
        "stream_options",
        "store",
        "include",
        "previous_response_id",
        "background",
        "conversation",
        "prompt",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "service_tier",
        "truncation",
        "metadata",
    ] {
        request[name] = Value::Null;
    }
    let nulled = prepare(&request).unwrap();
    assert_eq!((plain.body, plain.dropped), (nulled.body, nulled.dropped));
}

#[test]
fn what_needs_storage_is_refused_with_the_way_out() {
    let cases = [
        (
            with(json!({"input": [{"type": "item_reference", "id": "msg_1"}]})),
            "input[0]",
            Some("item_not_found"),
            "msg_1",
        ),
        (with(json!({"input": [{"id": "rs_1"}]})), "input[0]", Some("item_not_found"), "rs_1"),
        (with(json!({"conversation": "conv_1"})), "conversation", None, "input"),
        (with(json!({"prompt": {"id": "p"}})), "prompt", None, "instructions"),
        (with(json!({"background": true})), "background", None, "background"),
    ];
    for (request, param, code, hint) in cases {
        let error = prepare(&request).unwrap_err();
        assert_eq!(
            (error.status, error.param.as_deref(), error.code.as_deref()),
            (400, Some(param), code),
            "{error}"
        );
        assert!(error.message.contains(hint), "{error}");
    }
}

#[test]
fn refusals_name_the_field() {
    let item = |item: Value| with(json!({"input": [{"role": "user", "content": "a"}, item]}));
    let part = |part: Value| with(json!({"input": [{"role": "user", "content": [part]}]}));
    let tool = |tool: Value| with(json!({"tools": [tool]}));
    let cases = [
        (json!({"input": "x"}), "model", "required"),
        (json!({"model": "m"}), "input", "required"),
        (json!({"model": "m", "input": 7}), "input", "string"),
        (json!({"model": "m", "input": " "}), "input", "no message"),
        (json!({"model": "m", "input": [7]}), "input[0]", ""),
        (item(json!({"type": "message", "role": "robot", "content": "x"})), "input[1].role", "robot"),
        (item(json!({"type": "compaction", "encrypted_content": "x"})), "input[1].type", "compaction"),
        (item(json!({"type": "local_shell_call"})), "input[1].type", "local_shell_call"),
        (item(json!({"type": "function_call", "name": "f"})), "input[1]", "call_id"),
        (
            item(json!({"type": "function_call_output", "call_id": "z", "output": "x"})),
            "input[1].call_id",
            "\"z\"",
        ),
        (
            item(
                json!({"role": "assistant", "content": [{"type": "input_image", "image_url": "https://x.test"}]}),
            ),
            "input[1].content[0].type",
            "role",
        ),
        (part(json!({"type": "input_audio"})), "input[0].content[0].type", "audio"),
        (part(json!({"type": "hologram"})), "input[0].content[0].type", "hologram"),
        (part(json!({"type": "input_text"})), "input[0].content[0].text", "required"),
        (part(json!({"type": "input_image", "file_id": "f"})), "input[0].content[0].file_id", "stored files"),
        (
            part(json!({"type": "input_image", "image_url": "ftp://x"})),
            "input[0].content[0].image_url",
            "https",
        ),
        (part(json!({"type": "input_file", "file_id": "f"})), "input[0].content[0].file_id", "stored files"),
        (part(json!({"type": "input_file"})), "input[0].content[0].file_data", "required"),
        (
            part(json!({"type": "input_file", "file_url": "http://x"})),
            "input[0].content[0].file_url",
            "https",
        ),
        (tool(json!({"type": "code_interpreter", "container": {}})), "tools[0].type", "code_interpreter"),
        (tool(json!({"type": "mcp", "name": 7})), "tools[0].type", "mcp"),
        (tool(json!({"type": "function"})), "tools[0]", "name"),
        (tool(json!({"type": "function", "name": "f", "parameters": 7})), "tools[0].parameters", "schema"),
        (
            tool(json!({"type": "namespace", "name": "n", "tools": [{"type": "shell"}]})),
            "tools[0].tools[0].type",
            "shell",
        ),
        (
            tool(
                json!({"type": "namespace", "name": "n", "tools": [{"type": "namespace", "name": "m", "tools": []}]}),
            ),
            "tools[0].tools[0].type",
            "inside",
        ),
        (
            with(
                json!({"tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "mcp", "server_label": "x"}}),
            ),
            "tool_choice",
            "names no",
        ),
        (
            with(
                json!({"tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "function", "name": "z"}}),
            ),
            "tool_choice",
            "\"z\"",
        ),
        (with(json!({"max_output_tokens": 0})), "max_output_tokens", "at least 1"),
        (with(json!({"reasoning": {"effort": "huge"}})), "reasoning.effort", "huge"),
        (with(json!({"text": {"format": {"type": "xml"}}})), "text.format.type", "xml"),
        (
            with(json!({"text": {"format": {"type": "json_schema", "name": "s"}}})),
            "text.format.schema",
            "required",
        ),
    ];
    for (request, param, hint) in cases {
        let error = prepare(&request).unwrap_err();
        assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{request}: {error}");
        assert!(error.message.contains(hint), "{request}: {error}");
    }
}

fn raw(value: &Value) -> Box<serde_json::value::RawValue> {
    crate::wire::json::raw_of(value)
}

fn recalled(conversation: &[Value], items: &[(&str, Value)]) -> Recalled {
    Recalled {
        conversation: conversation.iter().map(raw).collect(),
        items: items.iter().map(|(id, item)| ((*id).to_owned(), raw(item))).collect(),
        keeps: true,
    }
}

fn continued(request: &Value, recalled: &Recalled) -> Result<Prepared<Reply>, ApiError> {
    let text = request.to_string();
    let config = Config { prompt_cache: false, ..Config::default() };
    to_messages(Request::read(text.as_bytes())?, recalled, text.len(), config, |_| None)
}

#[test]
fn what_a_request_goes_on_from_is_as_if_the_client_had_sent_it() {
    let call = json!({"type": "function_call", "id": "fc_a_1", "call_id": "toolu_1", "name": "f", "arguments": "{\"a\":1}", "status": "completed"});
    let search = json!({"type": "web_search_call", "id": "ws_a_0", "status": "completed", "action": {"type": "search", "query": "q"}});
    let tools = json!([{"type": "additional_tools", "tools": [{"type": "function", "name": "f"}]}, {"role": "user", "content": "one"}]);
    let earlier = [tools, json!([search, call])];
    let result = json!({"type": "function_call_output", "call_id": "toolu_1", "output": "1"});
    let said =
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "two"}]});
    let recalled = recalled(&earlier, &[("msg_b_0", said.clone())]);
    let own =
        json!([result, {"type": "item_reference", "id": "msg_b_0"}, {"role": "user", "content": "three"}]);
    let request = with(json!({"previous_response_id": "resp_a", "input": own}));
    let prepared = continued(&request, &recalled).unwrap();
    assert_eq!(prepared.dropped, Vec::<String>::new(), "it was declared when it was dropped first");
    assert!(prepared.reply.is_stored());

    let mut whole: Vec<Value> = earlier.iter().flat_map(|items| items.as_array().unwrap().clone()).collect();
    whole.extend([result, said, json!({"role": "user", "content": "three"})]);
    assert_eq!(prepared.body, prepare(&with(json!({"input": whole}))).unwrap().body);
}

#[test]
fn whether_the_response_is_stored_is_what_is_said_and_done() {
    for (asked, keeps, stored, dropped) in [
        (Value::Null, true, true, false),
        (json!(true), true, true, false),
        (json!(false), true, false, false),
        (json!(false), false, false, false),
        (json!(true), false, false, true),
        (Value::Null, false, false, false),
    ] {
        let recalled = Recalled { keeps, ..Recalled::default() };
        let prepared = continued(&with(json!({"store": asked})), &recalled).unwrap();
        assert_eq!((prepared.reply.is_stored(), !prepared.dropped.is_empty()), (stored, dropped), "{asked}");
    }
}
