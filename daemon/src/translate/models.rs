//! What each model family takes, as far as translation must know it.
//!
//! A table, not a gate: a model nobody knows is passed on, with the newest family's habits when its name is
//! Claude's and with the most careful ones otherwise. What upstream's own list says goes before the table.

use crate::wire::described::{self, Described, Effort};

/// How a model thinks, and which `thinking` objects it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingStyle {
    /// No extended thinking.
    None,
    /// `enabled` with a budget.
    Budget,
    /// `adaptive`, steered by effort.
    Adaptive,
}

/// How thinking is turned off on a model that can think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingOff {
    /// `{"type":"disabled"}`.
    Disabled,
    /// `{"type":"between_tools"}`, the least this model can do.
    BetweenTools,
    /// By leaving `thinking` out: it does not think unasked.
    Absent,
    /// It always thinks; low effort is the least.
    Never,
}

/// The effort levels a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffortLevels {
    None,
    ToHigh,
    /// Low to high, and max, but not xhigh.
    ToHighAndMax,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The most tokens a prompt may have; `None` when nobody knows.
    pub max_input: Option<u64>,
    /// The most output tokens a request may ask for; `None` when nobody knows.
    pub max_output: Option<u64>,
    /// `temperature` and `top_p` are accepted.
    pub sampling: bool,
    pub thinking: ThinkingStyle,
    pub thinking_off: ThinkingOff,
    pub effort: EffortLevels,
    /// A final assistant message is continued.
    pub prefill: bool,
    /// `tool_choice` may be `any` or `tool`.
    pub forced_tool: bool,
    /// System messages may stand in the middle of the conversation.
    pub system_mid: bool,
    /// Returned thinking blocks are checked against the conversation before them.
    pub bound_thinking: bool,
    /// They are worth nothing to another account than the one that they were made by.
    pub thinking_bound_to_account: bool,
    /// `output_config.format` and strict tools are accepted.
    pub structured_output: bool,
}

/// Output tokens asked for when the client named no limit.
const DEFAULT_OUTPUT: u64 = 32_000;
/// The same for a model nobody knows, which may refuse more.
const UNKNOWN_OUTPUT: u64 = 8_192;

impl Capabilities {
    /// `max_tokens` for a client that named none.
    pub fn default_output(&self) -> u64 {
        self.max_output.map_or(UNKNOWN_OUTPUT, |most| most.min(DEFAULT_OUTPUT))
    }

    /// A client's own limit, lowered to what the model takes.
    pub fn clamp_output(&self, wanted: u64) -> u64 {
        self.max_output.map_or(wanted, |most| most.min(wanted))
    }

    /// The same, but for what upstream's list says itself. Where it is silent, and of what it never tells, the table knows.
    #[must_use]
    pub fn as_described(self, by: &Described) -> Self {
        Self {
            max_input: by.max_input.or(self.max_input),
            max_output: by.max_output.or(self.max_output),
            thinking: by.thinking.map_or(self.thinking, |thinking| match thinking {
                described::Thinking { adaptive: true, .. } => ThinkingStyle::Adaptive,
                described::Thinking { enabled: true, .. } => ThinkingStyle::Budget,
                _ => ThinkingStyle::None,
            }),
            thinking_off: by.thinking.map_or(self.thinking_off, |thinking| match thinking {
                described::Thinking { disabled: true, .. } => ThinkingOff::Disabled,
                described::Thinking { between_tools: true, .. } => ThinkingOff::BetweenTools,
                // What does not think unasked need not be told not to.
                _ if self.thinking_off == ThinkingOff::Absent => ThinkingOff::Absent,
                _ => ThinkingOff::Never,
            }),
            effort: by.effort.map_or(self.effort, |effort| match effort {
                Effort::None => EffortLevels::None,
                Effort::Some { xhigh: true, .. } => EffortLevels::All,
                Effort::Some { max: true, .. } => EffortLevels::ToHighAndMax,
                Effort::Some { .. } => EffortLevels::ToHigh,
            }),
            structured_output: by.structured_output.unwrap_or(self.structured_output),
            ..self
        }
    }
}

const CLAUDE_3: Capabilities = Capabilities {
    max_input: Some(200_000),
    max_output: Some(8_192),
    sampling: true,
    thinking: ThinkingStyle::None,
    thinking_off: ThinkingOff::Absent,
    effort: EffortLevels::None,
    prefill: true,
    forced_tool: true,
    system_mid: false,
    bound_thinking: false,
    thinking_bound_to_account: false,
    structured_output: false,
};
const CLAUDE_3_FIRST: Capabilities = Capabilities { max_output: Some(4_096), ..CLAUDE_3 };
const CLAUDE_4: Capabilities = Capabilities {
    max_output: Some(64_000),
    thinking: ThinkingStyle::Budget,
    thinking_off: ThinkingOff::Disabled,
    ..CLAUDE_3
};
const OPUS_4: Capabilities = Capabilities { max_output: Some(32_000), ..CLAUDE_4 };
const CLAUDE_4_5: Capabilities = Capabilities { structured_output: true, ..CLAUDE_4 };
const OPUS_4_5: Capabilities = Capabilities { effort: EffortLevels::ToHigh, ..CLAUDE_4_5 };
const CLAUDE_4_6: Capabilities = Capabilities {
    max_input: Some(1_000_000),
    max_output: Some(128_000),
    thinking: ThinkingStyle::Adaptive,
    effort: EffortLevels::ToHighAndMax,
    prefill: false,
    ..CLAUDE_4_5
};
/// Sources differ on `disabled` here; leaving `thinking` out has the same effect on this model.
const OPUS_4_7: Capabilities = Capabilities {
    sampling: false,
    thinking_off: ThinkingOff::Absent,
    effort: EffortLevels::All,
    ..CLAUDE_4_6
};
const OPUS_5: Capabilities =
    Capabilities { thinking_off: ThinkingOff::Disabled, system_mid: true, ..OPUS_4_7 };
const FABLE_5: Capabilities = Capabilities { thinking_off: ThinkingOff::Never, ..OPUS_5 };
const HAIKU_5_5: Capabilities =
    Capabilities { bound_thinking: true, thinking_bound_to_account: true, ..OPUS_5 };
const OPUS_5_5: Capabilities = Capabilities { bound_thinking: true, forced_tool: false, ..FABLE_5 };
const SONNET_5_5: Capabilities =
    Capabilities { thinking_off: ThinkingOff::BetweenTools, thinking_bound_to_account: true, ..OPUS_5_5 };

/// Not a Claude model as far as its name says: nothing is asked of it that it might refuse.
const UNKNOWN: Capabilities = Capabilities { max_input: None, max_output: None, prefill: false, ..CLAUDE_3 };

const FAMILIES: &[(&str, &Capabilities)] = &[
    ("3-opus", &CLAUDE_3_FIRST),
    ("3-sonnet", &CLAUDE_3_FIRST),
    ("3-haiku", &CLAUDE_3_FIRST),
    ("3-7-sonnet", &CLAUDE_4),
    ("sonnet-4", &CLAUDE_4),
    ("sonnet-4-0", &CLAUDE_4),
    ("opus-4", &OPUS_4),
    ("opus-4-0", &OPUS_4),
    ("opus-4-1", &OPUS_4),
    ("haiku-4-5", &CLAUDE_4_5),
    ("sonnet-4-5", &CLAUDE_4_5),
    ("opus-4-5", &OPUS_4_5),
    ("opus-4-6", &CLAUDE_4_6),
    ("sonnet-4-6", &CLAUDE_4_6),
    ("opus-4-7", &OPUS_4_7),
    ("opus-4-8", &OPUS_5),
    ("sonnet-5", &OPUS_5),
    ("opus-5", &OPUS_5),
    ("fable-5", &FABLE_5),
    ("haiku-5-5", &HAIKU_5_5),
    ("fable-5-1", &OPUS_5_5),
    ("fable-5-2", &OPUS_5_5),
    ("opus-5-5", &OPUS_5_5),
    ("sonnet-5-5", &SONNET_5_5),
];

/// A model as a request names it and as it is known.
#[derive(Clone, Debug)]
pub struct Known {
    /// What it is called upstream.
    pub upstream: String,
    pub capabilities: Capabilities,
}

impl Known {
    /// What the table knows of it.
    pub fn by_name(upstream: String) -> Self {
        Self { capabilities: *capabilities(&upstream), upstream }
    }
}

/// What is known of `model`, which may carry a date or `-latest`.
pub fn capabilities(model: &str) -> &'static Capabilities {
    let Some(name) = model.strip_prefix("claude-") else {
        return &UNKNOWN;
    };
    let family = family(name);
    if let Some((_, found)) = FAMILIES.iter().find(|(known, _)| *known == family) {
        return found;
    }
    if ["3-", "2", "instant"].iter().any(|old| family.starts_with(old)) { &CLAUDE_3 } else { &OPUS_5 }
}

/// The name without what only pins a snapshot: `-20251101`, `@20251101`, `-latest`.
fn family(name: &str) -> &str {
    let name = name.strip_suffix("-latest").unwrap_or(name);
    match name.rsplit_once(['-', '@']) {
        Some((family, date)) if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) => family,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_family() {
        let cases = [
            ("claude-3-5-sonnet-20241022", &CLAUDE_3),
            ("claude-3-5-haiku-latest", &CLAUDE_3),
            ("claude-3-haiku-20240307", &CLAUDE_3_FIRST),
            ("claude-2.1", &CLAUDE_3),
            ("claude-sonnet-4-20250514", &CLAUDE_4),
            ("claude-opus-4-1-20250805", &OPUS_4),
            ("claude-haiku-4-5-20251001", &CLAUDE_4_5),
            ("claude-haiku-4-5@20251001", &CLAUDE_4_5),
            ("claude-opus-4-5-20251101", &OPUS_4_5),
            ("claude-sonnet-4-6", &CLAUDE_4_6),
            ("claude-opus-5", &OPUS_5),
            ("claude-opus-5-5", &OPUS_5_5),
            ("claude-sonnet-5-5-20260901", &SONNET_5_5),
            ("claude-saga-9", &OPUS_5),
            ("gpt-9", &UNKNOWN),
            ("", &UNKNOWN),
        ];
        for (model, expected) in cases {
            assert_eq!(capabilities(model), expected, "{model}");
        }
    }

    #[test]
    fn old_models_take_what_old_models_took() {
        let old = capabilities("claude-3-5-sonnet-20241022");
        assert!(old.sampling && old.prefill && old.forced_tool);
        assert_eq!((old.thinking, old.max_output), (ThinkingStyle::None, Some(8_192)));
    }

    #[test]
    fn output_limits_follow_the_model() {
        assert_eq!(capabilities("claude-opus-5").default_output(), 32_000);
        assert_eq!(capabilities("claude-opus-5").clamp_output(500_000), 128_000);
        assert_eq!(capabilities("claude-3-5-sonnet-20241022").default_output(), 8_192);
        assert_eq!(capabilities("somebody-else").default_output(), 8_192);
        assert_eq!(capabilities("somebody-else").clamp_output(500_000), 500_000);
    }

    #[test]
    fn what_the_list_says_goes_before_the_table() {
        let thinking = described::Thinking { adaptive: true, between_tools: true, ..Default::default() };
        let by = Described {
            max_input: Some(7),
            max_output: Some(5),
            thinking: Some(thinking),
            effort: Some(Effort::Some { xhigh: false, max: true }),
            structured_output: Some(false),
            ..Described::default()
        };
        let expected = Capabilities {
            max_input: Some(7),
            max_output: Some(5),
            thinking: ThinkingStyle::Adaptive,
            thinking_off: ThinkingOff::BetweenTools,
            effort: EffortLevels::ToHighAndMax,
            structured_output: false,
            ..CLAUDE_4_5
        };
        assert_eq!(CLAUDE_4_5.as_described(&by), expected);
        assert_eq!(OPUS_5.as_described(&Described::default()), OPUS_5);
    }

    #[test]
    fn thinking_is_turned_off_as_the_list_allows() {
        let off = |base: Capabilities, thinking| {
            base.as_described(&Described { thinking: Some(thinking), ..Described::default() }).thinking_off
        };
        let adaptive = described::Thinking { adaptive: true, ..Default::default() };
        assert_eq!(off(OPUS_5, adaptive), ThinkingOff::Never);
        assert_eq!(off(OPUS_4_7, adaptive), ThinkingOff::Absent);
        assert_eq!(off(FABLE_5, described::Thinking { disabled: true, ..adaptive }), ThinkingOff::Disabled);
    }
}
