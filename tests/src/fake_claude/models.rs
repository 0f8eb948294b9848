//! The models the fake knows and what each of them accepts; `GET /v1/models` in pages.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Answer;
use super::error::ApiError;

/// One model. The flags are what the request checks ask.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) id: &'static str,
    /// Another id the service takes for the same model; empty if there is none.
    alias: &'static str,
    name: &'static str,
    line: &'static str,
    created_at: &'static str,
    pub(super) max_tokens: u64,
    max_input_tokens: u64,
    /// Takes temperature, `top_p` and `top_k`.
    pub(super) sampling: bool,
    /// Takes temperature and `top_p` together.
    pub(super) both_sampling: bool,
    pub(super) thinking: &'static [&'static str],
    pub(super) thinks_unasked: bool,
    pub(super) effort: &'static [&'static str],
    /// Takes a last message by the assistant.
    pub(super) prefill: bool,
    /// Takes `tool_choice` any and tool.
    pub(super) forced_tool: bool,
    /// Takes messages with role system.
    pub(super) late_system: bool,
    pub(super) structured_outputs: bool,
}

impl Model {
    /// Whether its thoughts are worth nothing to another account.
    pub(super) fn binds_to_account(&self) -> bool {
        matches!(self.id, "claude-sonnet-5-5" | "claude-haiku-5-5")
    }

    /// Whether its thoughts are worth nothing where anything before them has changed.
    pub(super) fn binds_to_conversation(&self) -> bool {
        self.binds_to_account() || self.id == "claude-opus-5-5"
    }
}

const NO_EFFORT: &[&str] = &[];
const UP_TO_HIGH: &[&str] = &["low", "medium", "high"];
const NO_XHIGH: &[&str] = &["low", "medium", "high", "max"];
const ALL_EFFORT: &[&str] = &["low", "medium", "high", "xhigh", "max"];

/// What most current models have in common; the table below says where each differs.
const CURRENT: Model = Model {
    id: "",
    alias: "",
    name: "",
    line: "",
    created_at: "2026-06-01T00:00:00Z",
    max_tokens: 128_000,
    max_input_tokens: 1_000_000,
    sampling: false,
    both_sampling: false,
    thinking: &["adaptive", "disabled"],
    thinks_unasked: true,
    effort: ALL_EFFORT,
    prefill: false,
    forced_tool: true,
    late_system: true,
    structured_outputs: true,
};

const OLDER: Model = Model {
    max_tokens: 64_000,
    max_input_tokens: 200_000,
    sampling: true,
    thinking: &["enabled", "disabled"],
    thinks_unasked: false,
    effort: NO_EFFORT,
    prefill: true,
    late_system: false,
    ..CURRENT
};

/// Newest first, as the service lists them.
pub(super) const MODELS: &[Model] = &[
    Model {
        id: "claude-sonnet-5-5",
        name: "Claude Sonnet 5.5",
        line: "sonnet",
        created_at: "2026-10-01T00:00:00Z",
        thinking: &["adaptive", "between_tools"],
        forced_tool: false,
        ..CURRENT
    },
    Model {
        id: "claude-opus-5-5",
        name: "Claude Opus 5.5",
        line: "opus",
        created_at: "2026-09-01T00:00:00Z",
        thinking: &["adaptive"],
        forced_tool: false,
        ..CURRENT
    },
    Model { id: "claude-haiku-5-5", name: "Claude Haiku 5.5", line: "haiku", ..CURRENT },
    Model { id: "claude-fable-5", name: "Claude Fable 5", line: "fable", thinking: &["adaptive"], ..CURRENT },
    Model { id: "claude-opus-5", name: "Claude Opus 5", line: "opus", ..CURRENT },
    Model { id: "claude-sonnet-5", name: "Claude Sonnet 5", line: "sonnet", ..CURRENT },
    Model { id: "claude-opus-4-8", name: "Claude Opus 4.8", line: "opus", thinks_unasked: false, ..CURRENT },
    Model {
        id: "claude-opus-4-7",
        name: "Claude Opus 4.7",
        line: "opus",
        created_at: "2026-03-01T00:00:00Z",
        thinks_unasked: false,
        late_system: false,
        ..CURRENT
    },
    Model {
        id: "claude-opus-4-6",
        name: "Claude Opus 4.6",
        line: "opus",
        created_at: "2026-02-01T00:00:00Z",
        sampling: true,
        thinking: &["adaptive", "enabled", "disabled"],
        thinks_unasked: false,
        effort: NO_XHIGH,
        late_system: false,
        ..CURRENT
    },
    Model {
        id: "claude-sonnet-4-6",
        name: "Claude Sonnet 4.6",
        line: "sonnet",
        created_at: "2026-02-01T00:00:00Z",
        sampling: true,
        thinking: &["adaptive", "enabled", "disabled"],
        thinks_unasked: false,
        effort: NO_XHIGH,
        late_system: false,
        ..CURRENT
    },
    Model {
        id: "claude-opus-4-5-20251101",
        alias: "claude-opus-4-5",
        name: "Claude Opus 4.5",
        line: "opus",
        created_at: "2025-11-24T00:00:00Z",
        effort: UP_TO_HIGH,
        ..OLDER
    },
    Model {
        id: "claude-haiku-4-5-20251001",
        alias: "claude-haiku-4-5",
        name: "Claude Haiku 4.5",
        line: "haiku",
        created_at: "2025-10-15T00:00:00Z",
        ..OLDER
    },
    Model {
        id: "claude-sonnet-4-5-20250929",
        alias: "claude-sonnet-4-5",
        name: "Claude Sonnet 4.5",
        line: "sonnet",
        created_at: "2025-09-29T00:00:00Z",
        ..OLDER
    },
    Model {
        id: "claude-3-5-sonnet-20241022",
        alias: "claude-3-5-sonnet-latest",
        name: "Claude Sonnet 3.5",
        line: "sonnet",
        created_at: "2024-10-22T00:00:00Z",
        max_tokens: 8_192,
        both_sampling: true,
        thinking: &["disabled"],
        structured_outputs: false,
        ..OLDER
    },
];

pub(super) fn find(id: &str) -> Option<&'static Model> {
    MODELS.iter().find(|m| m.id == id || (!m.alias.is_empty() && m.alias == id))
}

/// `GET /v1/models?limit=&after_id=&before_id=`.
pub(super) fn list(query: &HashMap<String, String>) -> Result<Answer, ApiError> {
    let limit = match query.get("limit").map(|l| l.parse::<usize>()) {
        None => 20,
        Some(Ok(limit)) if (1..=1000).contains(&limit) => limit,
        Some(_) => return Err(ApiError::invalid("limit: Input should be between 1 and 1000")),
    };
    let place = |name: &str| match query.get(name) {
        None => Ok(None),
        Some(id) => MODELS
            .iter()
            .position(|m| m.id == id)
            .map(Some)
            .ok_or_else(|| ApiError::invalid(format!("{name}: no model has the id {id}"))),
    };
    let (after, before) = (place("after_id")?, place("before_id")?);
    let (page, has_more) = match (after, before) {
        (Some(_), Some(_)) => return Err(ApiError::invalid("after_id and before_id exclude each other")),
        (_, Some(end)) => {
            let start = end.saturating_sub(limit);
            (MODELS.get(start..end).unwrap_or_default(), start > 0)
        }
        (after, None) => {
            let start = after.map_or(0, |at| at + 1);
            let end = (start + limit).min(MODELS.len());
            (MODELS.get(start..end).unwrap_or_default(), end < MODELS.len())
        }
    };
    let body = json!({
        "data": page.iter().map(Model::info).collect::<Vec<_>>(),
        "has_more": has_more,
        "first_id": page.first().map(|m| m.id),
        "last_id": page.last().map(|m| m.id),
    });
    Ok(Answer::json(StatusCode::OK, &body))
}

/// `GET /v1/models/{id}`.
pub(super) fn get(id: &str) -> Result<Answer, ApiError> {
    let model = find(id).ok_or_else(|| ApiError::not_found(format!("model: {id}")))?;
    Ok(Answer::json(StatusCode::OK, &model.info()))
}

impl Model {
    /// Whether a request without `thinking` thinks, or what its type says.
    pub(super) fn thinks(&self, kind: Option<&str>) -> bool {
        match kind {
            None => self.thinks_unasked,
            Some(kind) => matches!(kind, "adaptive" | "enabled"),
        }
    }

    fn info(&self) -> Value {
        let is = |supported: bool| json!({"supported": supported});
        let level = |name: &str| is(self.effort.contains(&name));
        let thinking = |name: &str| is(self.thinking.contains(&name));
        let thinks = self.thinking.iter().any(|t| *t != "disabled");
        json!({
            "type": "model",
            "id": self.id,
            "display_name": self.name,
            "created_at": self.created_at,
            "lifecycle": "active",
            "deprecated_at": null,
            "retires_at": null,
            "line": self.line,
            "max_input_tokens": self.max_input_tokens,
            "max_tokens": self.max_tokens,
            "capabilities": {
                "batch": is(true),
                "citations": is(true),
                "code_execution": is(false),
                "context_management": {"supported": false},
                "effort": {
                    "supported": !self.effort.is_empty(),
                    "low": level("low"), "medium": level("medium"), "high": level("high"),
                    "xhigh": level("xhigh"), "max": level("max"),
                },
                "image_input": is(true),
                "pdf_input": is(true),
                "server_tools": {"supported": true, "web_search": is(true), "code_execution": is(false)},
                "structured_outputs": is(self.structured_outputs),
                "thinking": {
                    "supported": thinks,
                    "types": {
                        "adaptive": thinking("adaptive"), "enabled": thinking("enabled"),
                        "disabled": thinking("disabled"), "between_tools": thinking("between_tools"),
                    },
                },
            },
        })
    }
}
