//! How effort and thinking are told to each model.

use super::*;
use crate::translate::models::capabilities;

const CALM: Situation = Situation {
    max_tokens: 64_000,
    forced_tool: false,
    prefilled: false,
    loop_lost_thinking: false,
    replays_thinking: false,
    show: true,
};

fn planned(model: &str, level: &str, at: Situation) -> (String, Option<&'static str>, bool) {
    let plan =
        plan(capabilities(model), Some(Wish::Level(Level::parse(level, "reasoning_effort").unwrap())), at);
    (
        plan.thinking.map_or(String::new(), |thinking| serde_json::to_string(&thinking).unwrap()),
        plan.effort,
        plan.thinks,
    )
}

#[test]
fn each_level_is_accepted_for_each_model() {
    let adaptive = r#"{"type":"adaptive","display":"summarized"}"#;
    let budget = |tokens: u32| format!(r#"{{"type":"enabled","budget_tokens":{tokens}}}"#);
    let cases: Vec<(&str, &str, String, Option<&str>)> = vec![
        ("claude-opus-5", "minimal", adaptive.into(), Some("low")),
        ("claude-opus-5", "xhigh", adaptive.into(), Some("xhigh")),
        ("claude-opus-5", "none", r#"{"type":"disabled"}"#.into(), None),
        ("claude-sonnet-4-6", "xhigh", adaptive.into(), Some("high")),
        ("claude-sonnet-4-6", "max", adaptive.into(), Some("max")),
        ("claude-sonnet-4-6", "none", r#"{"type":"disabled"}"#.into(), None),
        ("claude-opus-4-7", "none", String::new(), None),
        ("claude-fable-5", "none", String::new(), Some("low")),
        ("claude-sonnet-5-5", "none", r#"{"type":"between_tools"}"#.into(), None),
        ("claude-haiku-4-5", "minimal", budget(1_024), None),
        ("claude-haiku-4-5", "low", budget(2_048), None),
        ("claude-haiku-4-5", "medium", budget(8_192), None),
        ("claude-haiku-4-5", "high", budget(16_384), None),
        ("claude-haiku-4-5", "xhigh", budget(32_000), None),
        ("claude-haiku-4-5", "max", budget(48_000), None),
        ("claude-haiku-4-5", "none", r#"{"type":"disabled"}"#.into(), None),
        ("claude-opus-4-5", "max", budget(48_000), Some("high")),
        ("claude-3-5-sonnet-20241022", "high", String::new(), None),
        ("gpt-9", "high", String::new(), None),
    ];
    for (model, level, thinking, effort) in cases {
        let (got, got_effort, _) = planned(model, level, CALM);
        assert_eq!((got, got_effort), (thinking, effort), "{model} {level}");
    }
    let error = Level::parse("extreme", "reasoning_effort").unwrap_err();
    assert_eq!(error.param.as_deref(), Some("reasoning_effort"));
}

#[test]
fn a_budget_fits_under_the_limit_or_is_left_out() {
    let at = |max_tokens| Situation { max_tokens, ..CALM };
    assert_eq!(
        planned("claude-haiku-4-5", "high", at(4_000)).0,
        r#"{"type":"enabled","budget_tokens":3999}"#
    );
    assert_eq!(
        planned("claude-haiku-4-5", "high", at(1_025)).0,
        r#"{"type":"enabled","budget_tokens":1024}"#
    );
    assert_eq!(planned("claude-haiku-4-5", "high", at(1_024)), (String::new(), None, false));
}

#[test]
fn without_a_limit_of_the_clients_thinking_leaves_room_for_the_answer() {
    let haiku = capabilities("claude-haiku-4-5");
    assert_eq!(default_output(haiku, Some(Wish::Level(Level::Medium))), 32_000);
    assert_eq!(default_output(haiku, Some(Wish::Level(Level::Max))), 64_000);
    assert_eq!(default_output(capabilities("claude-opus-5"), Some(Wish::Level(Level::Max))), 32_000);
    assert_eq!(default_output(haiku, None), 32_000);
}

#[test]
fn thinking_gives_way_to_what_excludes_it() {
    let forced = Situation { forced_tool: true, ..CALM };
    assert_eq!(planned("claude-opus-5", "high", forced), (String::new(), Some("high"), false));
    for at in [forced, Situation { prefilled: true, ..CALM }, Situation { loop_lost_thinking: true, ..CALM }]
    {
        assert_eq!(planned("claude-opus-4-5", "high", at), (String::new(), Some("high"), false));
    }
    let lost = Situation { loop_lost_thinking: true, ..CALM };
    assert!(planned("claude-opus-5", "high", lost).2, "adaptive models need no block in front");
}

#[test]
fn replayed_blocks_get_a_net_on_models_that_bind_them() {
    let replay = Situation { replays_thinking: true, ..CALM };
    let net = r#""block_binding":{"prefix_mismatch_behavior":"drop_block"}}"#;
    let with_level = planned("claude-opus-5-5", "high", replay).0;
    assert!(with_level.ends_with(net), "{with_level}");
    let bare = plan(capabilities("claude-opus-5-5"), None, replay);
    assert!(has_binding(bare.thinking.as_ref()));
    assert_eq!(serde_json::to_string(&bare.thinking).unwrap(), format!(r#"{{"type":"adaptive",{net}"#));
    assert!(plan(capabilities("claude-opus-5"), None, replay).thinking.is_none());
    assert!(!has_binding(
        plan(capabilities("claude-haiku-5-5"), Some(Wish::Level(Level::None)), replay).thinking.as_ref()
    ));
}

#[test]
fn a_number_is_a_budget_or_the_level_that_has_it() {
    let adaptive = |tokens| {
        let plan = plan(capabilities("claude-opus-5"), Some(Wish::Budget(tokens)), CALM);
        (plan.effort, serde_json::to_value(plan.thinking).unwrap()["type"].clone())
    };
    for (tokens, effort) in [
        (1_024, "low"),
        (2_047, "low"),
        (8_192, "medium"),
        (16_383, "medium"),
        (16_384, "high"),
        (32_000, "xhigh"),
        (1_000_000, "max"),
    ] {
        assert_eq!(adaptive(tokens), (Some(effort), "adaptive".into()), "{tokens}");
    }
    assert_eq!(adaptive(0), (None, "disabled".into()));
    let budget = |tokens| {
        let plan = plan(capabilities("claude-haiku-4-5"), Some(Wish::Budget(tokens)), CALM);
        serde_json::to_value(plan.thinking).unwrap()["budget_tokens"].as_u64()
    };
    assert_eq!((budget(5_000), budget(1_000_000), budget(0)), (Some(5_000), Some(63_999), None));
    let haiku = capabilities("claude-haiku-4-5");
    assert_eq!(default_output(haiku, Some(Wish::Budget(20_000))), 52_000, "the answer keeps its room");
}
