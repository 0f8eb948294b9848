//! The request that counts tokens: the same as the one that is answered, without what only an answer has.

use serde::{Deserialize, Serializer as _};

use crate::wire::json::Object;

/// What a request to `/v1/messages/count_tokens` may hold.
const COUNTED: [&str; 8] =
    ["model", "system", "messages", "tools", "tool_choice", "thinking", "output_config", "cache_control"];

/// A Messages request as one that counts its tokens. What is no request stays as it is.
pub fn counted(body: &[u8]) -> Vec<u8> {
    let Ok(fields) = Object::parse(body) else { return body.to_vec() };
    let kept = COUNTED.iter().filter_map(|name| Some((*name, fields.get(name)?)));
    let mut counted = Vec::with_capacity(body.len());
    // Names and raw JSON can always be written to memory.
    let _infallible = serde_json::Serializer::new(&mut counted).collect_map(kept);
    counted
}

/// How many tokens a count found.
pub fn count(answer: &[u8]) -> serde_json::Result<u64> {
    #[derive(Deserialize)]
    struct Count {
        input_tokens: u64,
    }
    serde_json::from_slice(answer).map(|Count { input_tokens }| input_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_counted_is_left_as_it_was_written() {
        let body = br#"{"max_tokens":9,"messages":[{"n":1.0e2}],"stream":true,"model":"m","metadata":{},"temperature":1}"#;
        assert_eq!(String::from_utf8(counted(body)).unwrap(), r#"{"model":"m","messages":[{"n":1.0e2}]}"#);
        assert_eq!(counted(b"[]"), b"[]");
        assert_eq!(count(br#"{"input_tokens":7,"more":1}"#).unwrap(), 7);
    }
}
