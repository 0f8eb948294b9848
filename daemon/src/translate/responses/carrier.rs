//! `encrypted_content` of reasoning items: how a client that keeps nothing else carries a thinking block
//! through.
//!
//! `pxd1:<kind>:<model>:<payload>`; the payload is the exact block, because a client may change the summary.
//! Nothing in it is secret: upstream signed or hid the thinking itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::wire::messages::Block;

/// Begins every value made here; values of others are not ours to read.
const PREFIX: &str = "pxd1";

#[derive(Serialize, Deserialize)]
struct Thinking {
    thinking: String,
    signature: String,
}

#[derive(Serialize, Deserialize)]
struct Redacted {
    data: String,
}

pub(super) fn thinking(model: &str, thinking: &str, signature: &str) -> String {
    let block = Thinking { thinking: thinking.to_owned(), signature: signature.to_owned() };
    carry("thinking", model, &block)
}

pub(super) fn redacted(model: &str, data: &str) -> String {
    carry("redacted", model, &Redacted { data: data.to_owned() })
}

fn carry<T: Serialize>(kind: &str, model: &str, block: &T) -> String {
    // Strings cannot fail to be written.
    let payload = STANDARD.encode(serde_json::to_vec(block).unwrap_or_default());
    format!("{PREFIX}:{kind}:{model}:{payload}")
}

/// The block in a value; `None` if it was not made here or was cut or changed.
pub(super) fn block<'a>(carried: &str) -> Option<Block<'a>> {
    let (kind, rest) = carried.strip_prefix(PREFIX)?.strip_prefix(':')?.split_once(':')?;
    // A model's name may hold colons, a payload never does.
    let (_model, payload) = rest.rsplit_once(':')?;
    let payload = STANDARD.decode(payload).ok()?;
    match kind {
        "thinking" => {
            let Thinking { thinking, signature } = serde_json::from_slice(&payload).ok()?;
            (!signature.is_empty())
                .then(|| Block::Thinking { thinking: thinking.into(), signature: signature.into() })
        }
        "redacted" => {
            let Redacted { data } = serde_json::from_slice(&payload).ok()?;
            (!data.is_empty()).then(|| Block::RedactedThinking { data: data.into() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_exactly() {
        let carried = thinking("claude-x:1", "h\"m\n\u{1f600}", "c2ln+/=");
        assert!(carried.starts_with("pxd1:thinking:claude-x:1:"));
        let Some(Block::Thinking { thinking: text, signature }) = block(&carried) else {
            panic!("{carried}")
        };
        assert_eq!((&*text, &*signature), ("h\"m\n\u{1f600}", "c2ln+/="));
        let Some(Block::RedactedThinking { data }) = block(&redacted("m", "xx")) else { panic!("redacted") };
        assert_eq!(&*data, "xx");
    }

    #[test]
    fn foreign_and_broken_values_are_no_blocks() {
        let good = thinking("m", "t", "s");
        let unsigned = thinking("m", "t", "");
        for value in [
            "",
            "gAAAAABfoo",
            "pxd1",
            "pxd1:thinking:m:",
            "pxd1:thinking:m:!!",
            "pxd2:thinking:m:e30=",
            "pxd1:other:m:e30=",
            "pxd1:thinking:m:e30=",
            &good[..good.len() - 4],
            &unsigned,
        ] {
            assert!(block(value).is_none(), "{value}");
        }
    }
}
