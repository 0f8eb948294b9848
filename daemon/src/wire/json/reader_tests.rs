//! Whatever is read is what `serde_json` reads, and what it refuses is refused.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;

/// What is read without asking `serde_json` about the whole.
fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Option<T> {
    let mut reader = Reader { rest: text, depth: 0 };
    let value = T::deserialize(&mut reader).ok();
    value.filter(|_| reader.peek().is_none())
}

#[derive(Debug, Deserialize, PartialEq)]
struct Sample<'a> {
    name: &'a str,
    text: String,
    number: f64,
    whole: Option<u64>,
    is_so: bool,
    nothing: Option<String>,
    pair: (i8, char),
    one_of: Vec<Word>,
    #[serde(default)]
    left: u8,
}

#[derive(Debug, Deserialize, PartialEq)]
enum Word {
    Yes,
    Number(u8),
}

#[test]
fn what_a_type_asks_for_is_read_and_the_rest_passed_over() {
    let text = r#" {"name": "n\u00e4h", "text":"a\"\\\n\u00e4", "number":1.5e2 ,"whole":7,"is_so":true, "nothing":null,
        "x":[{"y":[]},{},"\ud800",-1e999], "pair":[-3,"\u00df"],"one_of":["Yes",{"Number":8}]} "#.replace("n\\u00e4h", "n\u{e4}h");
    let wanted: Sample<'_> = serde_json::from_str(&text).unwrap();
    assert_eq!(read::<Sample<'_>>(&text), Some(wanted));
}

#[test]
fn a_raw_value_is_what_is_written_without_the_space_around_it() {
    let text = r#"[ {"a" : [1, "\\" ]} , "\u0041",1.0 , null]"#;
    let raw: Vec<&RawValue> = read(text).unwrap();
    let raw: Vec<_> = raw.into_iter().map(RawValue::get).collect();
    assert_eq!(raw, [r#"{"a" : [1, "\\" ]}"#, r#""\u0041""#, "1.0", "null"]);
    let boxed: BTreeMap<String, Box<RawValue>> = read(r#"{"k" :{} }"#).unwrap();
    assert_eq!(boxed["k"].get(), "{}");
    assert!(read::<&RawValue>(r#"{"a":1,}"#).is_none());
    let absent: Option<&RawValue> = read(" null ").unwrap();
    assert!(absent.is_none());
}

#[test]
fn what_is_wrong_is_said_as_serde_json_says_it() {
    for wrong in [
        "[1,]",
        "[1 2]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "[\"a\nb\"]",
        "[\"\\x\"]",
        "[\"a",
        "[tru]",
        "[01]",
        "[]x",
        "",
    ] {
        let said = from_str::<Value>(wrong).unwrap_err().to_string();
        assert_eq!(said, serde_json::from_str::<Value>(wrong).unwrap_err().to_string(), "{wrong}");
        assert!(read::<Value>(wrong).is_none() && read::<IgnoredAny>(wrong).is_none(), "{wrong}");
    }
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Absent {
    a: Option<u8>,
}

#[test]
fn what_is_of_another_kind_is_refused() {
    for wrong in ["1.5", "-0", "\"a\"", "true", "null", "123456789012345678901234567890"] {
        assert!(read::<Absent>(wrong).is_none() && serde_json::from_str::<Absent>(wrong).is_err(), "{wrong}");
        assert!(read::<Vec<u8>>(wrong).is_none() && read::<BTreeMap<String, u8>>(wrong).is_none(), "{wrong}");
        assert!(read::<(u8,)>(wrong).is_none(), "{wrong}");
    }
    for wrong in ["1.5", "{}", "[]", "null"] {
        assert!(read::<String>(wrong).is_none() && read::<&str>(wrong).is_none(), "{wrong}");
    }
    for all in ["{}", "[]", "{\"a\":1}"] {
        assert_eq!(read::<Absent>(all), serde_json::from_str(all).ok(), "{all}");
    }
}

#[test]
fn a_conversation_is_read_without_serde_json() {
    let chat = r#"[{"role":"system","content":"Be brief."},{"role":"user","content":"a \"b\"\n\t\\ H\u{f6}he"},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]},
        {"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"x"}]}]"#.replace("\\u{f6}", "\u{f6}");
    assert_eq!(read::<Vec<crate::wire::chat::HistoryMessage<'_>>>(&chat).unwrap().len(), 4);
    let input = r#"[{"role":"user","content":"a"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"c","output":"x"},{"content":[{"text":"b","type":"input_text"}],"role":"user","type":"message"}]"#;
    assert_eq!(read::<Vec<crate::wire::responses::InputItem<'_>>>(input).unwrap().len(), 4);
}

#[test]
fn there_is_an_end_to_depth() {
    for (depth, is_read) in [(DEEPEST, true), (DEEPEST + 1, false), (100_000, false)] {
        let deep = ["[".repeat(depth), "]".repeat(depth)].concat();
        assert_eq!(read::<IgnoredAny>(&deep).is_some(), is_read, "{depth}");
        assert!(from_str::<&RawValue>(&deep).is_ok(), "{depth}");
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"\"",
        "\"\\n\\\"\"",
        "\"\\u00e4\"",
        "\"\\ud800\"",
        "\"\u{e4}\"",
        "\"",
        "\\",
        "1",
        "-0.5e3",
        "true",
        "null",
        "nul",
        " ",
        "\n",
        "\u{b}",
        "{\"a\":",
        "[1,",
    ])
}

/// Texts that are JSON, made of what JSON is made of.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "-2.50",
        "1e9",
        "true",
        "null",
        "\"\"",
        "\"t\\t\\\\\"",
        "\"\\u0020\"",
        "\"\u{20ac}\"",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|list| format!("[{}]", list.join(" ,"))),
            prop::collection::vec((prop::sample::select(vec!["a", "b\\n", "c"]), inner), 0..5).prop_map(
                |members| {
                    let members: Vec<_> =
                        members.into_iter().map(|(name, value)| format!("\"{name}\" :{value}")).collect();
                    format!("{{{}}}", members.join(", "))
                }
            ),
        ]
    })
}

proptest! {
    #[test]
    fn json_is_read_as_serde_json_reads_it(text in json()) {
        prop_assert_eq!(read::<Value>(&text), serde_json::from_str::<Value>(&text).ok());
        prop_assert!(read::<IgnoredAny>(&text).is_some());
    }

    #[test]
    fn nothing_is_taken_that_serde_json_would_not_take(pieces in prop::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        if let Some(value) = read::<Value>(&text) {
            prop_assert_eq!(Some(value), serde_json::from_str::<Value>(&text).ok());
        }
        if read::<&RawValue>(&text).is_some() {
            prop_assert!(serde_json::from_str::<&RawValue>(&text).is_ok());
        }
    }
}
