//! What the service remembers of prompts: a marked prefix that is long enough can be read from the cache by the next
//! request that begins with it, from a marker or from one of the few blocks before it. Each caller has a cache of its own.

use std::collections::HashSet;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::checks::list;
use super::issued::Caller;

/// A shorter prefix is not kept.
const FEWEST_TOKENS: usize = 1_024;
/// How many blocks before a marker are looked at.
const LOOK_BACK: usize = 20;

#[derive(Debug, Default)]
pub(super) struct PromptCache {
    kept: HashSet<Vec<u8>>,
}

/// How much of a prompt was in the cache, and how much was put there, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cached {
    pub(super) read: usize,
    pub(super) written: usize,
}

/// The prompt up to the end of one block.
struct Prefix {
    hash: Vec<u8>,
    tokens: usize,
    marked: bool,
}

impl PromptCache {
    /// Reads what it can of this prompt, and keeps what is marked.
    pub(super) fn pass(&mut self, caller: &Caller, body: &Map<String, Value>) -> Cached {
        let prefixes = prefixes(caller, body);
        let (mut read, mut last, mut keep) = (0, 0, Vec::new());
        let marked = |prefix: &Prefix| prefix.marked && prefix.tokens >= FEWEST_TOKENS;
        for (at, prefix) in prefixes.iter().enumerate().filter(|(_, prefix)| marked(prefix)) {
            let near = prefixes.iter().take(at + 1).skip(at.saturating_sub(LOOK_BACK));
            let known = near.filter(|prefix| self.kept.contains(&prefix.hash)).map(|prefix| prefix.tokens);
            read = known.max().unwrap_or(0).max(read);
            last = prefix.tokens;
            keep.push(prefix.hash.clone());
        }
        self.kept.extend(keep);
        Cached { read, written: last.saturating_sub(read) }
    }
}

/// Every prefix of the prompt, in the order tools, system, messages.
fn prefixes(caller: &Caller, body: &Map<String, Value>) -> Vec<Prefix> {
    let mut all = Vec::new();
    let mut hash = Sha256::digest(format!("{caller:?}")).to_vec();
    let mut tokens = 0;
    let mut add = |of: &str, block: &Value| {
        let (text, marked) = without_marker(block);
        hash = Sha256::digest([&hash, of.as_bytes(), text.as_bytes()].concat()).to_vec();
        tokens += text.len().div_ceil(4);
        all.push(Prefix { hash: hash.clone(), tokens, marked });
    };
    for tool in list(body.get("tools")) {
        add("tool", tool);
    }
    for block in list(body.get("system")) {
        add("system", block);
    }
    for turn in list(body.get("messages")) {
        let role = turn["role"].as_str().unwrap_or_default();
        for block in list(turn.get("content")) {
            add(role, block);
        }
    }
    all
}

fn without_marker(block: &Value) -> (String, bool) {
    let mut block = block.clone();
    let marker = block.as_object_mut().and_then(|fields| fields.shift_remove("cache_control"));
    (block.to_string(), marker.is_some_and(|marker| marker.is_object()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(turns: usize, marked: &[usize]) -> Map<String, Value> {
        let turn = |at: usize| {
            let mut block = json!({"type": "text", "text": "word ".repeat(1_000)});
            if marked.contains(&at) {
                block["cache_control"] = json!({"type": "ephemeral"});
            }
            json!({"role": "user", "content": [block]})
        };
        let body = json!({"messages": (0..turns).map(turn).collect::<Vec<_>>()});
        body.as_object().cloned().unwrap()
    }

    #[test]
    fn a_marked_prefix_is_read_by_the_next_request_of_the_same_caller() {
        let (one, other) = (Caller::ApiKey("a".to_owned()), Caller::ApiKey("b".to_owned()));
        let mut cache = PromptCache::default();
        let first = cache.pass(&one, &body(2, &[1]));
        assert!(first.read == 0 && first.written > 2_000, "{first:?}");
        let second = cache.pass(&one, &body(3, &[2]));
        assert_eq!((second.read, second.written), (first.written, first.written / 2));
        assert_eq!(cache.pass(&other, &body(3, &[2])).read, 0, "another caller's cache");
        assert_eq!(cache.pass(&one, &body(3, &[])), Cached::default(), "nothing is marked");
        assert_eq!(cache.pass(&one, &body(30, &[29])).read, 0, "too far back");
        assert_eq!(cache.pass(&one, &body(60, &[2, 59])).read, first.written / 2 * 3);
    }
}
