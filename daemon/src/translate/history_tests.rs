//! How a conversation is put in the order that Messages wants.

use super::*;
use crate::translate::models::capabilities;
use crate::wire::json::empty_object;

/// `S` system, `U` user, `A` assistant, `T` signed thinking, `C` call, `R` result; the rest is text or id.
fn build(model: &str, steps: &str) -> Option<String> {
    let mut history = History::new(capabilities(model));
    for step in steps.split(',') {
        let (kind, text) = step.trim().split_at(1);
        let text = text.trim();
        match kind {
            "S" => history.system(Block::text(text.to_owned())),
            "U" => {
                history.user_spoke();
                history.user(Block::text(text.to_owned()));
            }
            "A" => history.assistant(Block::text(text.to_owned())),
            "T" => {
                history
                    .assistant(Block::Thinking { thinking: text.to_owned().into(), signature: "s".into() });
            }
            "C" => history.tool_use(text, "f".to_owned(), empty_object(), None),
            "R" => {
                let (id, said) = text.split_once(':').unwrap_or((text, "ok"));
                assert!(history.tool_result(id, vec![Block::text(said.to_owned())], None), "{text}");
            }
            other => panic!("unknown step {other}"),
        }
    }
    let turns = history.finish()?;
    let mut out: Vec<String> = turns.system.iter().map(|block| format!("top:{}", show(block))).collect();
    for turn in &turns.turns {
        let blocks: Vec<String> = turn.content.iter().map(show).collect();
        out.push(format!("{}:{}", role(turn.role), blocks.join("+")));
    }
    Some(out.join(" "))
}

fn role(role: Role) -> char {
    match role {
        Role::User => 'u',
        Role::Assistant => 'a',
        Role::System => 's',
    }
}

fn show(block: &Block<'_>) -> String {
    match block {
        Block::Text { text, .. } if text.read() == CONTINUE => "~".to_owned(),
        Block::Text { text, .. } => text.read().into_owned(),
        Block::Thinking { thinking, .. } => format!("<{}>", &**thinking),
        Block::ToolUse { id, .. } => format!("call({id})"),
        Block::ToolResult { tool_use_id, is_error: true, .. } => format!("lost({tool_use_id})"),
        Block::ToolResult { tool_use_id, content, .. } => {
            format!("result({tool_use_id}={})", content.first().map_or(String::new(), show))
        }
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn turns_alternate_and_begin_with_the_user() {
    let cases = [
        ("U a", "u:a"),
        ("U a,U b,A c,A d,U e", "u:a+b a:c+d u:e"),
        ("A hi,U a", "u:~ a:hi u:a"),
        ("U a,A,U b", "u:a+b"),
        ("U a,A b,U,A c,U d", "u:a a:b+c u:d"),
        ("S x,S y,U a", "top:x top:y u:a"),
        ("S x", "top:x u:~"),
        ("U a,A b", "u:a a:b"),
        ("U a,T t,U b", "u:a+b"),
        ("U a,T t,A b,T u,U c", "u:a a:<t>+b u:c"),
    ];
    for (steps, expected) in cases {
        assert_eq!(build("claude-opus-5", steps).as_deref(), Some(expected), "{steps}");
    }
    assert_eq!(build("claude-opus-5", "U"), None);
    assert_eq!(build("claude-opus-5", "S x,U"), None);
}

#[test]
fn results_stand_first_behind_their_calls() {
    let cases = [
        ("U a,C 1,R 1,A b", "u:a a:call(1) u:result(1=ok) a:b"),
        ("U a,C 1,C 2,U wait,R 2:two,R 1:one", "u:a a:call(1)+call(2) u:result(1=one)+result(2=two)+wait"),
        ("U a,C 1,A b,C 2,R 1,R 2", "u:a a:call(1)+b+call(2) u:result(1=ok)+result(2=ok)"),
        ("U a,C 1,U wait,C 2,R 1,R 2", "u:a a:call(1) u:result(1=ok)+wait a:call(2) u:result(2=ok)"),
        ("U a,C 1,R 1:x,R 1:y", "u:a a:call(1) u:result(1=y)"),
        ("U a,C 1,U b", "u:a a:call(1) u:lost(1)+b"),
        ("U a,C 1", "u:a a:call(1) u:lost(1)"),
        ("U a,C 1,R 1,C 1,R 1:again", "u:a a:call(1) u:result(1=ok) a:call(1_2) u:result(1_2=again)"),
        ("U a,C 1,C 1,R 1:x,R 1:y", "u:a a:call(1)+call(1_2) u:result(1=x)+result(1_2=y)"),
        ("U a,C 1,C 1_2,C 1", "u:a a:call(1)+call(1_2)+call(1_3) u:lost(1)+lost(1_2)+lost(1_3)"),
    ];
    for (steps, expected) in cases {
        assert_eq!(build("claude-opus-5", steps).as_deref(), Some(expected), "{steps}");
    }
    let mut history = History::new(capabilities("claude-opus-5"));
    assert!(!history.tool_result("none", Vec::new(), None));
}

#[test]
fn late_system_text_stands_behind_a_user_turn_or_on_top() {
    let cases = [
        ("U a,S x,A b,U c", "u:a s:x a:b u:c", "top:x u:a a:b u:c"),
        ("U a,A b,S x,U c", "u:a a:b u:c s:x", "top:x u:a a:b u:c"),
        ("U a,S x,U b", "u:a+b s:x", "top:x u:a+b"),
        (
            "U a,C 1,S x,R 1,A b",
            "u:a a:call(1) u:result(1=ok) s:x a:b",
            "top:x u:a a:call(1) u:result(1=ok) a:b",
        ),
        ("U a,A b,S x", "u:a a:b u:~ s:x", "top:x u:a a:b"),
        ("U a,A b,S x,A c,U d", "u:a a:b u:~ s:x a:c u:d", "top:x u:a a:b+c u:d"),
        ("U a,S x,T t,U b", "u:a+b s:x", "top:x u:a+b"),
        ("A a,S x,U b", "u:~ a:a u:b s:x", "top:x u:~ a:a u:b"),
    ];
    for (steps, in_place, on_top) in cases {
        assert_eq!(build("claude-opus-5", steps).as_deref(), Some(in_place), "{steps}");
        assert_eq!(build("claude-opus-4-5", steps).as_deref(), Some(on_top), "{steps}");
    }
}

#[test]
fn a_longer_history_keeps_the_turns_of_a_shorter_one() {
    let steps = "S x,U a,A b,S y,A c,U d,C 1,R 1,T t,C 1,R 1:two,S z,A e,U f";
    let all: Vec<&str> = steps.split(',').collect();
    let whole = build("claude-opus-5-5", steps).unwrap();
    for end in [2, 4, 6, 8, 11, 12, 14] {
        let part = build("claude-opus-5-5", &all[..end].join(",")).unwrap();
        assert!(whole.starts_with(&part), "{part}\n{whole}");
    }
}

#[test]
fn an_open_loop_without_its_thinking_is_seen() {
    let cases = [
        ("U a,C 1,R 1", true),
        ("U a,T t,C 1,R 1", false),
        ("U a,C 1,R 1,A b,U c", false),
        ("U a,T t,C 1,R 1,C 2,R 2", true),
        ("U a", false),
    ];
    for (steps, expected) in cases {
        let mut history = History::new(capabilities("claude-haiku-4-5"));
        for step in steps.split(',') {
            let (kind, text) = step.split_at(1);
            match kind {
                "U" => history.user(Block::text(text.to_owned())),
                "A" => history.assistant(Block::text(text.to_owned())),
                "T" => history.assistant(Block::RedactedThinking { data: "d".into() }),
                "C" => history.tool_use(text, "f".to_owned(), empty_object(), None),
                _ => assert!(history.tool_result(text, Vec::new(), None)),
            }
        }
        assert_eq!(history.finish().unwrap().lacks_thinking_in_open_loop(), expected, "{steps}");
    }
}

#[test]
fn only_thinking_that_upstream_vouches_for_is_carried() {
    let some = |text: &'static str| Some(Str::borrowed(text));
    assert!(carried_thinking("thinking", some("t"), some("s"), None).is_some());
    assert!(carried_thinking("thinking", None, some("s"), None).is_some(), "its text may be withheld");
    assert!(carried_thinking("thinking", some("t"), None, None).is_none());
    assert!(carried_thinking("thinking", some("t"), some(""), None).is_none());
    assert!(carried_thinking("redacted_thinking", None, None, some("d")).is_some());
    assert!(carried_thinking("redacted_thinking", None, None, None).is_none());
    assert!(carried_thinking("other", some("t"), some("s"), some("d")).is_none());
}
