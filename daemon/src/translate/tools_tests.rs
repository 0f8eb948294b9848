//! How tools, and the choice among them, are translated.

use super::*;
use crate::translate::models::capabilities;
use crate::wire::json::raw_of;

fn definition(name: &str) -> Definition<'_> {
    Definition {
        namespace: None,
        name: name.into(),
        description: None,
        parameters: None,
        strict: false,
        cache_control: None,
    }
}

fn tools(names: &[&'static str]) -> Tools<'static> {
    let mut tools = Tools::new(capabilities("claude-opus-5"));
    for name in names {
        tools.function(definition(name), "tools").unwrap();
    }
    tools
}

#[test]
fn names_go_there_and_back() {
    let mut tools = tools(&["plain", "with.dot"]);
    tools.custom(definition("patch"), None, "tools").unwrap();
    tools.function(Definition { namespace: Some("fs".into()), ..definition("read") }, "tools").unwrap();
    let names: Vec<&str> = tools.list.iter().map(Tool::name).collect();
    assert_eq!(names[0], "plain");
    assert_eq!(&names[2..], ["patch", "fs__read"]);
    assert_eq!(tools.names.client("plain"), None);
    assert_eq!(tools.names.client(names[1]).unwrap().name, "with.dot");
    assert!(tools.names.client("patch").unwrap().custom);
    let spaced = tools.names.client("fs__read").unwrap();
    assert_eq!((spaced.name.as_str(), spaced.namespace.as_deref()), ("read", Some("fs")));
}

#[test]
fn two_tools_of_one_name_are_refused() {
    let error = tools(&["a"]).function(definition("a"), "tools[1]").unwrap_err();
    assert_eq!(error.param.as_deref(), Some("tools[1].name"));
    assert!(tools(&[]).function(definition(" "), "tools[0]").is_err());
}

#[test]
fn a_clients_web_search_gives_way_to_upstreams() {
    let mut tools = Tools::new(capabilities("claude-opus-5"));
    tools.web_search(Vec::new(), None);
    tools.web_search(Vec::new(), None);
    tools.function(definition("web_search"), "tools").unwrap();
    assert_eq!(tools.list.len(), 2);
    let renamed = tools.list[1].name().to_owned();
    assert_ne!(renamed, "web_search");
    assert_eq!(tools.names.client(&renamed).unwrap().name, "web_search");
    assert_eq!(tools.names.upstream(None, "web_search"), renamed);
}

#[test]
fn choices_become_upstreams() {
    let choose = |choice, parallel| tools(&["a", "b"]).choose(choice, parallel).unwrap();
    let off = true;
    let on = false;
    assert_eq!(choose(None, None), None);
    assert_eq!(choose(None, Some(true)), None);
    assert_eq!(choose(None, Some(false)), Some(ToolChoice::Auto { disable_parallel_tool_use: off }));
    assert_eq!(choose(Some(Choice::Auto), None), Some(ToolChoice::Auto { disable_parallel_tool_use: on }));
    assert_eq!(choose(Some(Choice::None), Some(false)), Some(ToolChoice::None));
    assert_eq!(
        choose(Some(Choice::Required), Some(false)),
        Some(ToolChoice::Any { disable_parallel_tool_use: off })
    );
    assert_eq!(
        choose(Some(Choice::Named("b".into())), None),
        Some(ToolChoice::Tool { name: "b".into(), disable_parallel_tool_use: on })
    );
    assert!(tools(&["a"]).choose(Some(Choice::Named("z".into())), None).is_err());
    assert_eq!(tools(&[]).choose(Some(Choice::Required), Some(false)), Ok(None));
    assert!(Choice::mode("sometimes", "tool_choice").is_err());
}

#[test]
fn allowed_tools_shorten_the_list() {
    let mut list = tools(&["a", "b", "c"]);
    let choice = Choice::Allowed { required: true, names: vec!["c".into(), "a".into()] };
    let chosen = list.choose(Some(choice), None).unwrap();
    assert_eq!(chosen, Some(ToolChoice::Any { disable_parallel_tool_use: false }));
    assert_eq!(list.list.iter().map(Tool::name).collect::<Vec<_>>(), ["a", "c"]);
    let unknown = Choice::Allowed { required: false, names: vec!["z".into()] };
    assert!(tools(&["a"]).choose(Some(unknown), None).is_err());
}

#[test]
fn a_grammar_is_told_in_the_description() {
    let mut tools = tools(&[]);
    let tool = Definition { description: Some("Edits.".into()), ..definition("patch") };
    tools.custom(tool, Some(("lark", "start: X")), "tools").unwrap();
    let written = serde_json::to_string(&tools.list).unwrap();
    assert!(written.contains(r"Edits.\nThe input must follow this lark grammar:\nstart: X"), "{written}");
}

fn strict_tools(count: usize, parameters: &RawValue) -> Tools<'_> {
    let mut tools = Tools::new(capabilities("claude-opus-5"));
    for index in 0..count {
        let name = Str::owned(format!("tool_{index}"));
        let tool = Definition { name, parameters: Some(parameters), strict: true, ..definition("") };
        tools.function(tool, &format!("tools[{index}]")).unwrap();
    }
    tools
}

fn object(properties: usize, property: &Value, required: bool) -> Box<RawValue> {
    let names: Vec<String> = (0..properties).map(|n| format!("p{n}")).collect();
    let fields: Map<String, Value> = names.iter().map(|name| (name.clone(), property.clone())).collect();
    let required = if required { names } else { Vec::new() };
    raw_of(
        &json!({"type": "object", "properties": fields, "required": required, "additionalProperties": false}),
    )
}

#[test]
fn tools_beyond_what_upstream_can_bind_are_not_strict() {
    let text = json!({"type": "string"});
    let nullable = json!({"type": ["string", "null"]});
    let either = json!({"anyOf": [{"type": "string"}, {"type": "null"}]});
    for (parameters, kept) in [
        (object(9, &text, true), 20),
        (object(10, &text, false), 2),
        (object(24, &text, false), 1),
        (object(25, &text, false), 0),
        (object(5, &nullable, true), 3),
        (object(5, &either, true), 3),
        (object(17, &either, true), 0),
    ] {
        let mut tools = strict_tools(22, &parameters);
        let expected: Vec<String> = (kept..22).map(|index| format!("tools[{index}].strict")).collect();
        assert_eq!(tools.loosen(None), expected, "{parameters}");
        let strict = tools.list.iter().filter(|tool| matches!(tool, Tool::Client { strict: true, .. }));
        assert_eq!(strict.count(), kept, "{parameters}");
    }
}

#[test]
fn the_answers_schema_comes_before_strict_tools() {
    let text = json!({"type": "string"});
    let input = object(10, &text, false);
    let loosened = |tools: usize, properties: usize| {
        let answer = schema::tool_input(Some(&object(properties, &text, false)), "p").unwrap();
        strict_tools(tools, &input).loosen(Some(&answer))
    };
    assert_eq!(loosened(3, 10), ["tools[1].strict", "tools[2].strict"]);
    assert_eq!(loosened(1, 30), ["tools[0].strict"]);
    assert!(loosened(1, 14).is_empty());
}
