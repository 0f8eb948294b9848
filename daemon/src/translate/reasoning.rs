//! How hard a model shall think: the other APIs' one word becomes Claude's `thinking` and `effort`.

use super::models::{Capabilities, EffortLevels, ThinkingOff, ThinkingStyle};
use crate::wire::error::ApiError;
use crate::wire::messages::{Binding, Thinking};

/// The levels of `reasoning_effort` and `reasoning.effort`, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Level {
    pub(super) fn of(text: &str) -> Option<Self> {
        Some(match text {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    pub(super) fn parse(text: &str, param: &str) -> Result<Self, ApiError> {
        Self::of(text).ok_or_else(|| {
            let levels = "none, minimal, low, medium, high, xhigh or max";
            ApiError::invalid_param(param, format!("{param}: unknown level {text:?}: use {levels}"))
        })
    }

    /// The tokens a model with a thinking budget may think for.
    const fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal => 1_024,
            Self::Low => 2_048,
            Self::Medium => 8_192,
            Self::High => 16_384,
            Self::XHigh => 32_000,
            Self::Max => 48_000,
        }
    }

    /// The level as `output_config.effort`, or the next lower one the model has.
    const fn effort(self, levels: EffortLevels) -> Option<&'static str> {
        match (levels, self) {
            (EffortLevels::None, _) | (_, Self::None) => None,
            (_, Self::Minimal | Self::Low) => Some("low"),
            (_, Self::Medium) => Some("medium"),
            (_, Self::High) | (EffortLevels::ToHigh, _) | (EffortLevels::ToHighAndMax, Self::XHigh) => {
                Some("high")
            }
            (EffortLevels::All, Self::XHigh) => Some("xhigh"),
            (EffortLevels::ToHighAndMax | EffortLevels::All, Self::Max) => Some("max"),
        }
    }
}

/// How much a model shall think: by a level, or by tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Level(Level),
    Budget(u64),
}

impl Wish {
    /// The level whose budget this is, or the next lower one.
    pub(super) fn level(self) -> Level {
        let tokens = match self {
            Self::Level(level) => return level,
            Self::Budget(tokens) => tokens,
        };
        let levels = [Level::Max, Level::XHigh, Level::High, Level::Medium, Level::Low, Level::Minimal];
        levels.into_iter().find(|level| level.budget() <= tokens).unwrap_or(Level::None)
    }

    const fn budget(self) -> u64 {
        match self {
            Self::Level(level) => level.budget(),
            Self::Budget(tokens) => tokens,
        }
    }
}

/// The least thinking budget upstream takes.
pub(super) const MIN_BUDGET: u64 = 1_024;

/// What is known of the request when its thinking is decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) max_tokens: u64,
    /// Thinking must stay off: a tool is forced, the answer is prefilled, or an open tool loop lost its
    /// thinking.
    pub(super) forced_tool: bool,
    pub(super) prefilled: bool,
    pub(super) loop_lost_thinking: bool,
    /// Thinking blocks are sent back.
    pub(super) replays_thinking: bool,
    /// The client wants to see the thinking.
    pub(super) show: bool,
}

/// What to send.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) thinking: Option<Thinking<'static>>,
    pub(super) effort: Option<&'static str>,
    /// Sampling parameters are refused beside it.
    pub(super) thinks: bool,
    /// The client's level has no effect.
    pub(super) level_dropped: bool,
}

/// Output tokens for a client that named no limit: enough that thinking leaves room for an answer.
pub(super) fn default_output(model: &Capabilities, wish: Option<Wish>) -> u64 {
    let usual = model.default_output();
    match (model.thinking, wish) {
        (ThinkingStyle::Budget, Some(wish)) if wish.budget() >= usual / 2 => {
            model.clamp_output(usual.saturating_add(wish.budget()))
        }
        _ => usual,
    }
}

pub(super) fn plan(model: &Capabilities, wish: Option<Wish>, at: Situation) -> Plan {
    let mut plan = match wish {
        None => Plan::default(),
        Some(wish) if wish.level() == Level::None => off(model),
        Some(wish) => on(model, wish, at),
    };
    // A net under histories a client altered: a block that no longer fits is dropped instead of refused.
    if model.bound_thinking && at.replays_thinking && !at.forced_tool {
        let binding = Some(Binding { prefix_mismatch_behavior: "drop_block" });
        match &mut plan.thinking {
            Some(Thinking::Adaptive { block_binding, .. }) => *block_binding = binding,
            None => plan.thinking = Some(adaptive(None, binding)),
            Some(Thinking::Given(_) | Thinking::Enabled { .. } | Thinking::Plain { .. }) => {}
        }
    }
    plan
}

/// The beta that [`Binding`] needs.
pub(super) const BINDING_BETA: &str = "thinking-binding-controls-2026-08-01";

pub(super) const fn has_binding(thinking: Option<&Thinking<'_>>) -> bool {
    matches!(thinking, Some(Thinking::Adaptive { block_binding: Some(_), .. }))
}

const fn adaptive(display: Option<&'static str>, block_binding: Option<Binding>) -> Thinking<'static> {
    Thinking::Adaptive { kind: "adaptive", display, block_binding }
}

fn off(model: &Capabilities) -> Plan {
    let plain = |kind| Some(Thinking::Plain { kind });
    match (model.thinking, model.thinking_off) {
        (ThinkingStyle::None, _) | (_, ThinkingOff::Absent) => Plan::default(),
        (_, ThinkingOff::Disabled) => Plan { thinking: plain("disabled"), ..Plan::default() },
        (_, ThinkingOff::BetweenTools) => {
            Plan { thinking: plain("between_tools"), thinks: true, ..Plan::default() }
        }
        (_, ThinkingOff::Never) => Plan { effort: Some("low"), thinks: true, ..Plan::default() },
    }
}

fn on(model: &Capabilities, wish: Wish, at: Situation) -> Plan {
    let effort = wish.level().effort(model.effort);
    match model.thinking {
        ThinkingStyle::None => Plan { level_dropped: true, ..Plan::default() },
        ThinkingStyle::Adaptive if at.forced_tool => Plan { effort, ..Plan::default() },
        ThinkingStyle::Adaptive => {
            let display = if at.show { "summarized" } else { "omitted" };
            Plan { thinking: Some(adaptive(Some(display), None)), effort, thinks: true, level_dropped: false }
        }
        ThinkingStyle::Budget => {
            let budget_tokens = wish.budget().min(at.max_tokens.saturating_sub(1));
            if at.forced_tool || at.prefilled || at.loop_lost_thinking || budget_tokens < MIN_BUDGET {
                return Plan { effort, level_dropped: effort.is_none(), ..Plan::default() };
            }
            let thinking = Some(Thinking::Enabled { kind: "enabled", budget_tokens });
            Plan { thinking, effort, thinks: true, level_dropped: false }
        }
    }
}

#[cfg(test)]
#[path = "reasoning_tests.rs"]
mod tests;
