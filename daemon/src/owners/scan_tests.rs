//! The scanner against all splits, against nonsense, and against a parser that builds everything.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::owners::mark::Kind;

const FILE: &str = "file_011CNha8iCJcU1wXNR6q4V8w";
const CONTAINER: &str = "container_011CPR5CNjB747bTd36fQLFk";
const MESSAGE: &str = "msg_013Zva2CMHLNnXjNJJKqJ2EF";
const SIGNATURE: &str = "EqQBCkgIARABGAIiQL8/UoqGC+Ee/lUu==";

fn seen(parts: &[&[u8]]) -> Vec<Sight> {
    let mut scanner = Scanner::default();
    let mut sights = Vec::new();
    for part in parts {
        scanner.push(part, &mut |sight| sights.push(sight));
    }
    let wanted = [Key::Container, Key::Thread, Key::Diagnostics];
    sights.retain(|sight| !matches!(sight, Sight::Field(key) if !wanted.contains(key)));
    sights
}

fn id(text: &str) -> Mark {
    Mark::of_id(text.as_bytes()).unwrap()
}

fn signature(text: &str) -> Mark {
    Mark::of_signature(Sha256::new_with_prefix(text))
}

fn request() -> Value {
    json!({
        "model": "claude-sonnet-5-5",
        "thread": {"type": "continue", "previous_message_id": MESSAGE},
        "container": {"id": CONTAINER, "skills": []},
        "tools": [{"type": "code_execution_20260120", "name": "code_execution"}],
        "files": [FILE],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": format!("what is \"{FILE}\" or {{\"file_id\": \"{FILE}\"}}?\n\"")},
                {"type": "document", "source": {"type": "file", "file_id": FILE}},
            ]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "\\\"", "signature": SIGNATURE}]},
        ],
    })
}

fn expected() -> Vec<Sight> {
    vec![
        Sight::Field(Key::Thread),
        Sight::Named(Key::PreviousMessageId, id(MESSAGE)),
        Sight::Field(Key::Container),
        Sight::Named(Key::Id, id(CONTAINER)),
        Sight::CodeExecution,
        Sight::Named(Key::None, id(FILE)),
        Sight::Named(Key::FileId, id(FILE)),
        Sight::Named(Key::Signature, signature(SIGNATURE)),
    ]
}

#[test]
fn names_are_seen_where_they_stand_and_not_where_text_speaks_of_them() {
    assert_eq!(seen(&[request().to_string().as_bytes()]), expected());
    assert_eq!(seen(&[serde_json::to_string_pretty(&request()).unwrap().as_bytes()]), expected());
}

#[test]
fn any_split_sees_the_same() {
    let body = request().to_string();
    for at in 0..=body.len() {
        let (head, tail) = body.as_bytes().split_at(at);
        assert_eq!(seen(&[head, tail]), expected(), "split at {at}");
    }
    let single: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
    assert_eq!(seen(&single), expected());
}

#[test]
fn a_long_string_is_passed_over_wherever_its_escapes_stand() {
    for length in MOST_SKIPPED - 20..MOST_SKIPPED + 20 {
        for escape in [r#"\""#, r"\\", r#"\\\""#, r"\u0022"] {
            let text = format!("{}{escape}{{", "a".repeat(length));
            let body = format!(r#"{{"text":"{text}","file_id":"{FILE}"}}"#);
            assert_eq!(seen(&[body.as_bytes()]), [Sight::Named(Key::FileId, id(FILE))], "{length} {escape}");
        }
    }
}

#[test]
fn a_stream_of_events_is_read_through_whatever_stands_between() {
    let stream = format!(
        ": it's a \"comment\n\nevent: message_start\r\ndata: {{\"type\":\"message_start\",\"message\":{{\"id\":\"{MESSAGE}\"}}}}\r\n\r\n\
         event: content_block_delta\ndata:{{\"delta\":{{\"type\":\"signature_delta\",\"signature\":\"{SIGNATURE}\"}}}}\n\n\
         event: message_delta\ndata: {{\"delta\":{{\"container\":{{\"id\":\"{CONTAINER}\"}}}}}}\n\n"
    );
    let expected = [
        Sight::Named(Key::Id, id(MESSAGE)),
        Sight::Named(Key::Signature, signature(SIGNATURE)),
        Sight::Named(Key::Id, id(CONTAINER)),
    ];
    for at in 0..=stream.len() {
        let (head, tail) = stream.as_bytes().split_at(at);
        assert_eq!(seen(&[head, tail]), expected, "split at {at}");
    }
}

#[test]
fn escapes_are_read_as_what_they_stand_for() {
    let escaped = format!(
        "{{\"signature\":\"{}\",\"fil\\u0065_id\":\"\\u0066{}\"}}",
        SIGNATURE.replace('/', "\\/"),
        &FILE[1..]
    );
    let expected = [Sight::Named(Key::Signature, signature(SIGNATURE)), Sight::Named(Key::FileId, id(FILE))];
    for at in 0..=escaped.len() {
        let (head, tail) = escaped.as_bytes().split_at(at);
        assert_eq!(seen(&[head, tail]), expected, "split at {at}");
    }
}

#[test]
fn what_only_begins_like_an_id_is_none_and_costs_no_memory() {
    let long = format!("[\"file_{}\",\"\",\"file_id\",{{\"signature\":\"\"}}]", "a".repeat(10_000));
    assert_eq!(seen(&[long.as_bytes()]), []);
    let mut scanner = Scanner::default();
    scanner.push(long.as_bytes().get(..5_000).unwrap(), &mut |_| ());
    assert!(matches!(scanner.string, Some(Reading::Skip)));
}

/// What a parser finds, in order.
fn found_by_serde(value: &Value, key: Key, out: &mut Vec<(Key, Mark)>) {
    match value {
        Value::String(text) if key == Key::Signature && text.len() >= SHORTEST_SIGNATURE => {
            out.push((key, signature(text)));
        }
        Value::String(text)
            if matches!(key, Key::Id | Key::FileId | Key::Container | Key::PreviousMessageId | Key::None) =>
        {
            out.extend(Mark::of_id(text.as_bytes()).map(|mark| (key, mark)));
        }
        Value::Array(list) => list.iter().for_each(|value| found_by_serde(value, Key::None, out)),
        Value::Object(fields) => {
            for (name, value) in fields {
                // A key that is itself an id is seen, too, and means nothing.
                out.extend(Mark::of_id(name.as_bytes()).map(|mark| (Key::None, mark)));
                found_by_serde(value, Key::of(name.as_bytes()), out);
            }
        }
        _ => {}
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,12}",
        "[\\x00-\\x7f]{0,40}",
        Just(FILE.to_owned()),
        Just(MESSAGE.to_owned()),
        "(file|msgbatch|container|msg)_[A-Za-z0-9_-]{0,24}",
        Just(SIGNATURE.to_owned()),
        Just(format!("\"{FILE}\"")),
    ]
}

fn key() -> impl Strategy<Value = String> {
    let known = ["id", "file_id", "container", "previous_message_id", "signature", "type", "thread"];
    prop_oneof![proptest::sample::select(known.to_vec()).prop_map(str::to_owned), text()]
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!(true))
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((key(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The same JSON with every character of its strings escaped.
fn all_escaped(value: &Value) -> String {
    let text = |text: &str| {
        let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        format!("\"{}\"", units.collect::<String>())
    };
    match value {
        Value::String(string) => text(string),
        Value::Array(list) => format!("[{}]", list.iter().map(all_escaped).collect::<Vec<_>>().join(" , ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{} : {}", text(key), all_escaped(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join("\n,"))
        }
        other => other.to_string(),
    }
}

fn named(sights: Vec<Sight>) -> Vec<(Key, Mark)> {
    sights
        .into_iter()
        .filter_map(|sight| if let Sight::Named(key, mark) = sight { Some((key, mark)) } else { None })
        .collect()
}

proptest! {
    #[test]
    fn it_finds_what_a_parser_finds(value in tree(), at in 0.0..1.0) {
        let mut expected = Vec::new();
        found_by_serde(&value, Key::Other, &mut expected);
        // A value that is nothing but a string has no key: it stands alone.
        prop_assume!(!value.is_string());
        let written = value.to_string();
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a short text")]
        let at = (at * written.len() as f64) as usize;
        let (head, tail) = written.as_bytes().split_at(at);
        prop_assert_eq!(&named(seen(&[head, tail])), &expected);
        let escaped = named(seen(&[all_escaped(&value).as_bytes()]));
        // Signatures beyond the first plane are hashed by halves when they are escaped; there are none.
        let plain = |list: &[(Key, Mark)]| list.iter().filter(|(_, mark)| mark.kind != Kind::Thought).copied().collect::<Vec<_>>();
        prop_assert_eq!(plain(&escaped), plain(&expected));
    }

    #[test]
    fn no_bytes_make_it_panic_and_splits_make_no_difference(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"\"\\:{}[],u\n".to_vec())], 0..200), at in 0_usize..200) {
        let (head, tail) = bytes.split_at(at.min(bytes.len()));
        prop_assert_eq!(seen(&[head, tail]), seen(&[&bytes]));
    }
}
