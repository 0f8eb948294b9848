//! What is asked: a short question, or a conversation of a wanted length that is the same in each run.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::upstream::answers::Asked;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Dialect {
    Messages,
    Chat,
}

impl Dialect {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Messages => "/v1/messages",
            Self::Chat => "/v1/chat/completions",
        }
    }
}

const SYSTEM: &str =
    "You are a careful assistant who knows the birds of rivers and lakes. Answer in a sentence.";
const MODEL: &str = "claude-sonnet-4-5";

/// The body of a request that asks for `asked`, about `length` bytes long or as short as it can be, in the `index`th conversation.
pub(crate) fn body(dialect: Dialect, asked: Asked, length: usize, index: usize) -> String {
    let question = format!("Conversation {index}: which bird stands in the reeds? {}", asked.marker());
    let stream = asked != Asked::Small;
    let empty = whole(dialect, stream, vec![user(&question)]).len();
    let mut messages = vec![user(&question)];
    let (mut long, mut turn) = (empty, 0);
    while long < length {
        let new = turns(dialect, turn, length - long);
        long += new.iter().map(|message| message.to_string().len() + 1).sum::<usize>();
        messages.extend(new);
        turn += 1;
    }
    whole(dialect, stream, messages)
}

fn whole(dialect: Dialect, stream: bool, messages: Vec<Value>) -> String {
    match dialect {
        Dialect::Messages => json!({
            "model": MODEL, "max_tokens": 1024, "stream": stream, "system": SYSTEM, "messages": messages,
        }),
        Dialect::Chat => {
            let system = json!({"role": "system", "content": SYSTEM});
            let messages: Vec<Value> = std::iter::once(system).chain(messages).collect();
            json!({"model": MODEL, "max_tokens": 1024, "stream": stream, "messages": messages})
        }
    }
    .to_string()
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

/// An answer and the next question, no longer than they need to be; each fourth answer uses a tool.
fn turns(dialect: Dialect, turn: usize, left: usize) -> Vec<Value> {
    let (said, asked) = ((left / 2).min(2_000), (left / 2).min(1_200));
    let answer = prose(turn * 2, said);
    let question = prose(turn * 2 + 1, asked);
    if turn % 4 != 3 || left < 4_000 {
        return vec![json!({"role": "assistant", "content": answer}), user(&question)];
    }
    let id = format!("toolu_{turn:024}");
    let input = json!({"path": format!("notes/{turn}.md"), "from": 1, "to": 80});
    match dialect {
        Dialect::Messages => vec![
            json!({"role": "assistant", "content": [
                {"type": "text", "text": answer},
                {"type": "tool_use", "id": id, "name": "read_notes", "input": input},
            ]}),
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": question}]}),
        ],
        Dialect::Chat => vec![
            json!({"role": "assistant", "content": answer, "tool_calls": [
                {"id": id, "type": "function", "function": {"name": "read_notes", "arguments": input.to_string()}},
            ]}),
            json!({"role": "tool", "tool_call_id": id, "content": question}),
        ],
    }
}

/// Text with what JSON must escape and what is longer than a byte, about so long as it will be in JSON.
fn prose(seed: usize, length: usize) -> String {
    const PIECES: &[&str] = &[
        "The bird waits at the water's edge until something moves. ",
        "A note of that day says \"two of them, far apart\", and no more.\n",
        "```rust\nfn wingspan(age: u8) -> f32 {\n    1.5 + f32::from(age) * 0.02\n}\n```\n",
        "Höhe über dem Fluß: 3 m – dort steht er im Schilf. ",
        "path\\to\\the\\reeds\tand back; ",
        "It flies slowly, with its neck drawn in, and calls once. ",
    ];
    let mut text = String::with_capacity(length + 100);
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(PIECES.get((state >> 33) % PIECES.len()).unwrap_or(&" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{Dialect, body};
    use crate::upstream::answers::Asked;

    #[test]
    fn a_body_is_about_as_long_as_asked_for_and_always_the_same() {
        for dialect in [Dialect::Messages, Dialect::Chat] {
            for length in [1_000, 20_000, 1_000_000] {
                let text = body(dialect, Asked::Small, length, 3);
                assert_eq!(text, body(dialect, Asked::Small, length, 3));
                let (least, most) = (length * 99 / 100, length + length / 10 + 400);
                assert!((least..most).contains(&text.len()), "{dialect:?} {length}: {}", text.len());
                serde_json::from_str::<Value>(&text).unwrap();
            }
        }
    }

    #[test]
    fn a_short_question_says_what_it_asks_for_and_whose_it_is() {
        let text = body(Dialect::Messages, Asked::Stream(200), 0, 7);
        assert_eq!(Asked::of(text.as_bytes()), Asked::Stream(200));
        assert!(text.len() < 500 && text.contains("Conversation 7"));
        assert_ne!(text, body(Dialect::Messages, Asked::Stream(200), 0, 8));
    }
}
