//! The conversation as upstream wants it: alternating turns that begin with the user, results right behind
//! their calls, system text where it is allowed, nothing empty.
//!
//! Each step looks only at what came before it, so a longer history never changes the turns of a shorter one.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::call;
use super::models::Capabilities;
use crate::wire::json::Str;
use crate::wire::messages::{Block, Role, Turn};

/// Stands where upstream needs a user turn and the client had none.
const CONTINUE: &str = "Continue.";
/// Stands for the result of a call the client never answered.
const NO_RESULT: &str = "No result was given for this call.";

/// A conversation under construction.
#[derive(Debug)]
pub(super) struct History<'a> {
    system_mid: bool,
    system: Vec<Block<'a>>,
    exchanges: Vec<Exchange<'a>>,
    /// Ids in use upstream, each with the number of calls that wanted it.
    call_ids: HashMap<String, usize>,
    /// Where the latest calls of each client id are.
    latest: HashMap<String, Latest>,
    /// The client had a user message, though perhaps an empty one.
    asked: bool,
}

/// An assistant turn and what follows it up to the next one. The first exchange has no assistant turn unless
/// the client's conversation starts with one.
#[derive(Debug, Default)]
struct Exchange<'a> {
    assistant: Vec<Block<'a>>,
    calls: Vec<Call<'a>>,
    /// Any of the calls has a result.
    has_results: bool,
    user: Vec<Block<'a>>,
    system: Vec<Block<'a>>,
}

#[derive(Debug)]
struct Call<'a> {
    upstream_id: String,
    result: Option<Block<'a>>,
}

/// The calls of one client id in the last exchange that has any.
#[derive(Debug, Default)]
struct Latest {
    exchange: usize,
    calls: Vec<usize>,
    answered: usize,
}

impl Exchange<'_> {
    fn is_answered(&self) -> bool {
        self.has_results || !self.user.is_empty() || !self.system.is_empty()
    }
}

/// A conversation ready to be sent.
#[derive(Debug)]
pub(super) struct Turns<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
}

impl<'a> History<'a> {
    pub(super) fn new(capabilities: &Capabilities) -> Self {
        Self {
            system_mid: capabilities.system_mid,
            system: Vec::new(),
            exchanges: vec![Exchange::default()],
            call_ids: HashMap::new(),
            latest: HashMap::new(),
            asked: false,
        }
    }

    fn last(&mut self) -> &mut Exchange<'a> {
        if self.exchanges.is_empty() {
            self.exchanges.push(Exchange::default());
        }
        let last = self.exchanges.len() - 1;
        // The list was filled above, so the index is inside it.
        #[expect(
            clippy::indexing_slicing,
            reason = "last is the index of the last element of a non-empty list"
        )]
        &mut self.exchanges[last]
    }

    /// System text: on top while nothing else came, later where the model takes it.
    pub(super) fn system(&mut self, block: Block<'a>) {
        if is_blank(&block) {
            return;
        }
        let started = self.exchanges.len() > 1 || {
            let first = self.last();
            !first.assistant.is_empty() || !first.user.is_empty()
        };
        if started && self.system_mid {
            self.last().system.push(block);
        } else {
            self.system.push(block);
        }
    }

    pub(super) fn user(&mut self, block: Block<'a>) {
        self.asked = true;
        if !is_blank(&block) {
            self.last().user.push(block);
        }
    }

    /// Notes that there was a user message, whatever it held.
    pub(super) fn user_spoke(&mut self) {
        self.asked = true;
    }

    pub(super) fn assistant(&mut self, block: Block<'a>) {
        if is_blank(&block) {
            return;
        }
        if self.last().is_answered() {
            self.exchanges.push(Exchange::default());
        }
        self.last().assistant.push(block);
    }

    /// A call of the model. An id used before is made unique, for upstream takes each only once.
    pub(super) fn tool_use(
        &mut self,
        client_id: &str,
        name: String,
        input: Box<RawValue>,
        cache_control: Option<&'a RawValue>,
    ) {
        let id = self.unique_id(call::upstream_id(client_id));
        self.assistant(Block::ToolUse { id: id.clone(), name, input, cache_control });
        let exchange = self.exchanges.len().saturating_sub(1);
        let calls = &mut self.last().calls;
        calls.push(Call { upstream_id: id, result: None });
        let place = calls.len() - 1;
        let latest = self.latest.entry(client_id.to_owned()).or_default();
        if latest.exchange != exchange {
            *latest = Latest { exchange, ..Latest::default() };
        }
        latest.calls.push(place);
    }

    fn unique_id(&mut self, base: String) -> String {
        let mut wanted = self.call_ids.get(&base).copied().unwrap_or(0);
        let mut id = base.clone();
        while wanted > 0 && self.call_ids.contains_key(&id) {
            wanted += 1;
            id = format!("{base}_{wanted}");
        }
        self.call_ids.insert(base, wanted.max(1));
        self.call_ids.entry(id.clone()).or_insert(1);
        id
    }

    /// The result of the latest call with this id; of several results the last counts. False if there is no
    /// such call.
    #[must_use]
    pub(super) fn tool_result(
        &mut self,
        client_id: &str,
        content: Vec<Block<'a>>,
        cache_control: Option<&'a RawValue>,
    ) -> bool {
        let Some(latest) = self.latest.get_mut(client_id) else {
            return false;
        };
        let place = latest.calls.get(latest.answered).or(latest.calls.last()).copied();
        latest.answered += 1;
        let Some(exchange) = self.exchanges.get_mut(latest.exchange) else { return false };
        let Some(call) = place.and_then(|place| exchange.calls.get_mut(place)) else {
            return false;
        };
        exchange.has_results = true;
        let content = content.into_iter().filter(|block| !is_blank(block)).collect();
        call.result = Some(Block::ToolResult {
            tool_use_id: call.upstream_id.clone(),
            content,
            is_error: false,
            cache_control,
        });
        true
    }

    /// The turns; `None` if the client's messages hold nothing at all.
    pub(super) fn finish(self) -> Option<Turns<'a>> {
        let mut out = Turns { system: self.system, turns: Vec::new() };
        let last = self.exchanges.len().saturating_sub(1);
        for (index, exchange) in self.exchanges.into_iter().enumerate() {
            let Exchange { mut assistant, calls, mut user, system, .. } = exchange;
            while assistant.last().is_some_and(Block::is_thinking) {
                // Upstream takes thinking only in front of something.
                assistant.pop();
            }
            out.push(Role::Assistant, assistant);
            let mut turn: Vec<Block<'a>> = calls.into_iter().map(Call::into_result).collect();
            turn.append(&mut user);
            if turn.is_empty() && (index < last || !system.is_empty()) {
                turn.extend(out.needs_user().then(|| Block::text(CONTINUE)));
            }
            out.push(Role::User, turn);
            out.push(Role::System, system);
        }
        if out.turns.is_empty() {
            if self.asked || out.system.is_empty() {
                return None;
            }
            out.push(Role::User, vec![Block::text(CONTINUE)]);
        }
        Some(out)
    }
}

impl<'a> Call<'a> {
    fn into_result(self) -> Block<'a> {
        self.result.unwrap_or_else(|| Block::ToolResult {
            tool_use_id: self.upstream_id,
            content: vec![Block::text(NO_RESULT)],
            is_error: true,
            cache_control: None,
        })
    }
}

impl<'a> Turns<'a> {
    /// Appends blocks, into the last turn if it is of the same role.
    fn push(&mut self, role: Role, mut content: Vec<Block<'a>>) {
        if content.is_empty() {
            return;
        }
        if self.turns.is_empty() && role == Role::Assistant {
            self.turns.push(Turn { role: Role::User, content: vec![Block::text(CONTINUE)] });
        }
        let mut recent = self.turns.iter_mut().rev();
        // User text behind a system message belongs to the user turn before it: that message must follow a
        // user turn.
        let place = recent.find(|turn| !(role == Role::User && turn.role == Role::System));
        match place {
            Some(turn) if turn.role == role => turn.content.append(&mut content),
            _ => self.turns.push(Turn { role, content }),
        }
    }

    /// A system message or an assistant turn that came now would not follow a user turn.
    fn needs_user(&self) -> bool {
        self.turns
            .iter()
            .rev()
            .find(|turn| turn.role != Role::System)
            .is_none_or(|turn| turn.role != Role::User)
    }

    /// The conversation ends with words put into the model's mouth.
    pub(super) fn is_prefilled(&self) -> bool {
        self.turns.last().is_some_and(|turn| turn.role == Role::Assistant)
    }

    /// Ends the conversation with a user turn.
    pub(super) fn ask_to_continue(&mut self) {
        self.push(Role::User, vec![Block::text(CONTINUE)]);
    }

    /// Cuts the white space upstream refuses at the end of a prefill.
    pub(super) fn trim_prefill(&mut self) {
        if let Some(Block::Text { text, .. }) = self.turns.last_mut().and_then(|turn| turn.content.last_mut())
        {
            text.trim_end();
        }
    }

    /// Thinking blocks are sent back with this conversation.
    pub(super) fn has_thinking(&self) -> bool {
        self.turns.iter().any(|turn| turn.content.iter().any(Block::is_thinking))
    }

    /// The model is in the middle of a tool loop whose last assistant turn does not begin with its thinking.
    /// Models with a thinking budget refuse to go on with thinking from there.
    pub(super) fn lacks_thinking_in_open_loop(&self) -> bool {
        let mut recent = self.turns.iter().rev().filter(|turn| turn.role != Role::System);
        let (Some(user), Some(assistant)) = (recent.next(), recent.next()) else {
            return false;
        };
        let in_loop = user.role == Role::User
            && user.content.iter().any(|block| matches!(block, Block::ToolResult { .. }));
        in_loop && !assistant.content.first().is_some_and(Block::is_thinking)
    }
}

/// A thinking block a client carried: only one that upstream signed, or that it hid, can go back.
pub(super) fn carried_thinking<'a>(
    kind: &str,
    thinking: Option<Str<'a>>,
    signature: Option<Str<'a>>,
    data: Option<Str<'a>>,
) -> Option<Block<'a>> {
    let given = |text: Option<Str<'a>>| text.filter(|text| !text.is_empty());
    match kind {
        "thinking" | "reasoning.text" => {
            Some(Block::Thinking { signature: given(signature)?, thinking: thinking.unwrap_or_default() })
        }
        "redacted_thinking" | "reasoning.encrypted" => Some(Block::RedactedThinking { data: given(data)? }),
        _ => None,
    }
}

/// Puts a message's cache marker on its last block.
pub(super) fn mark_last<'a>(blocks: &mut [Block<'a>], marker: Option<&'a RawValue>) {
    if marker.is_some()
        && let Some(place) = blocks.last_mut().and_then(Block::cache_control)
    {
        *place = marker;
    }
}

/// Upstream refuses text of nothing but white space.
pub(super) fn is_blank(block: &Block<'_>) -> bool {
    matches!(block, Block::Text { text, .. } if text.is_blank())
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
