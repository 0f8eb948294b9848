//! A client of Responses.

use serde_json::{Value, json};

use super::{append, frames};

/// Reads a stream that is over: numbered without a gap, with one terminal event, which is the last.
pub(crate) fn read(stream: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for (name, data) in frames(stream) {
        let event: Value = serde_json::from_str(data).unwrap();
        assert_eq!(event["type"].as_str(), name);
        assert_eq!(event["sequence_number"], events.len());
        events.push(event);
    }
    let is_terminal = |event: &Value| {
        let kind = event["type"].as_str().unwrap();
        matches!(kind, "response.completed" | "response.incomplete" | "response.failed")
    };
    assert_eq!(events.iter().filter(|event| is_terminal(event)).count(), 1, "{stream}");
    let last = events.last().unwrap();
    assert!(is_terminal(last), "the terminal event is the last");
    let status = last["type"].as_str().unwrap().trim_start_matches("response.");
    assert_eq!(last["response"]["status"], status);
    assert_eq!(status == "failed", last["response"]["error"].is_object());
    events
}

/// Puts the output together from the events of its items alone, and checks each event, and the output that the
/// terminal event tells, against it.
pub(crate) fn accumulate(events: &[Value]) -> Value {
    let mut output: Vec<Value> = Vec::new();
    let mut closed = 0;
    let begun = events.iter().take(2).map(|event| event["type"].as_str().unwrap());
    let failed = events.last().unwrap()["type"] == "response.failed";
    assert!(failed || begun.eq(["response.created", "response.in_progress"]));
    for event in events {
        let kind = event["type"].as_str().unwrap();
        let Some(index) = event.get("output_index").and_then(Value::as_u64) else {
            assert!(event["response"].is_object(), "{kind}");
            continue;
        };
        let index = usize::try_from(index).unwrap();
        if kind == "response.output_item.added" {
            assert_eq!((index, closed), (output.len(), output.len()), "one item at a time");
            assert_eq!(event["item"]["status"], "in_progress");
            output.push(event["item"].clone());
            continue;
        }
        assert_eq!(index + 1, output.len(), "{kind} belongs to the open item");
        let item = &mut output[index];
        if kind == "response.output_item.done" {
            closed += 1;
            let mut settled = item.clone();
            for late in ["status", "encrypted_content", "action"] {
                if event["item"].get(late).is_some() {
                    settled[late] = event["item"][late].clone();
                }
            }
            assert_eq!(settled, event["item"], "the deltas add up to the item");
            *item = event["item"].clone();
            continue;
        }
        assert_eq!(event["item_id"], item["id"]);
        grow(item, kind, event);
    }
    assert!(failed || closed == output.len(), "every item is closed");
    output.truncate(closed);
    let output = json!(output);
    assert_eq!(events.last().unwrap()["response"]["output"], output);
    output
}

/// What an event says of the item that is open.
fn grow(item: &mut Value, kind: &str, event: &Value) {
    match kind {
        "response.content_part.added" => {
            item["content"].as_array_mut().unwrap().push(event["part"].clone());
        }
        "response.output_text.delta" => append(&mut item["content"][0]["text"], &event["delta"]),
        "response.output_text.done" => assert_eq!(item["content"][0]["text"], event["text"]),
        "response.refusal.delta" => append(&mut item["content"][0]["refusal"], &event["delta"]),
        "response.refusal.done" => assert_eq!(item["content"][0]["refusal"], event["refusal"]),
        "response.content_part.done" => assert_eq!(item["content"][0], event["part"]),
        "response.output_text.annotation.added" => {
            let annotations = item["content"][0]["annotations"].as_array_mut().unwrap();
            assert_eq!(event["annotation_index"], annotations.len());
            annotations.push(event["annotation"].clone());
        }
        "response.function_call_arguments.delta" => append(&mut item["arguments"], &event["delta"]),
        "response.function_call_arguments.done" => assert_eq!(item["arguments"], event["arguments"]),
        "response.custom_tool_call_input.delta" => append(&mut item["input"], &event["delta"]),
        "response.custom_tool_call_input.done" => assert_eq!(item["input"], event["input"]),
        "response.reasoning_summary_part.added" => {
            item["summary"].as_array_mut().unwrap().push(event["part"].clone());
        }
        "response.reasoning_summary_text.delta" => append(&mut item["summary"][0]["text"], &event["delta"]),
        "response.reasoning_summary_text.done" => assert_eq!(item["summary"][0]["text"], event["text"]),
        "response.reasoning_summary_part.done" => assert_eq!(item["summary"][0], event["part"]),
        "response.web_search_call.in_progress"
        | "response.web_search_call.searching"
        | "response.web_search_call.completed" => assert_eq!(item["type"], "web_search_call"),
        other => panic!("unexpected {other}"),
    }
}
