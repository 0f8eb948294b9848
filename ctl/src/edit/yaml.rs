//! YAML. It is read by a strict reader and edited by an editor that loses nothing, but takes more for YAML than YAML is.

use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::str::FromStr as _;
use yaml_edit::{Document, Mapping, Sequence, YamlFile};

use super::Unfit;
use super::change::{Place, Step};

pub(super) fn read(text: &str) -> Result<Value, Unfit> {
    let says_something = |line: &str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#') && line != "---"
    };
    if !text.lines().any(says_something) {
        return Ok(Value::Null);
    }
    serde_saphyr::from_str::<Value>(text).map_err(|err| {
        let (line, column) = err.location().map_or((1, 1), |at| (at.line(), at.column()));
        let words = match err.without_snippet() {
            // The reader tells programmers what to call instead.
            serde_saphyr::Error::MultipleDocuments { .. } => {
                "a second document begins here, and there may be one only".to_owned()
            }
            err => err.to_string(),
        };
        Unfit::Broken {
            line: usize::try_from(line).unwrap_or(1),
            column: usize::try_from(column).unwrap_or(1),
            why: words.lines().next().unwrap_or_default().to_owned(),
        }
    })
}

pub(super) fn write(text: &str, steps: &[Step]) -> Option<String> {
    let mut text = text.to_owned();
    // Each step begins with a fresh tree: the editor's handles do not outlive a change of what is above them.
    for step in steps {
        text = one(&text, step)?;
    }
    Some(text)
}

fn one(text: &str, step: &Step) -> Option<String> {
    let file = YamlFile::from_str(text).ok()?;
    let document = file.ensure_document();
    match step {
        Step::Set(place, value) => {
            let (last, above) = place.split_last()?;
            match (last, node(&document, above)?) {
                (Place::Key(key), Node::Mapping(mapping)) => match value {
                    Value::Bool(truth) => mapping.set(key.as_str(), *truth),
                    value => mapping.set(key.as_str(), value.as_str()?),
                },
                (Place::Index(index), Node::Sequence(list)) => {
                    list.set(*index, value.as_str()?).then_some(())?;
                }
                _ => return None,
            }
            Some(file.to_string())
        }
        Step::Push(place, value) => match node(&document, place) {
            Some(Node::Sequence(list)) if !(list.is_empty() || list.is_flow_style()) => {
                match value {
                    Value::Object(object) => list.push(&fragment(object)?.as_mapping()?),
                    value => list.push(value.as_str()?),
                }
                Some(file.to_string())
            }
            Some(Node::Sequence(list)) if !list.is_empty() => None,
            _ => appended(text, place, value),
        },
        Step::Remove(_) => None,
    }
}

enum Node {
    Mapping(Mapping),
    Sequence(Sequence),
}

fn node(document: &Document, place: &[Place]) -> Option<Node> {
    let root = || document.as_mapping().map(Node::Mapping);
    let mut node = match document.as_sequence() {
        Some(list) => Node::Sequence(list),
        // An empty document becomes a mapping with its first key.
        None => root().or_else(|| {
            document.set("proxyd", "").then(|| document.remove("proxyd"))?;
            root()
        })?,
    };
    for step in place {
        node = match (step, node) {
            (Place::Key(key), Node::Mapping(mapping)) => match mapping.get_sequence(key.as_str()) {
                Some(list) => Node::Sequence(list),
                None => Node::Mapping(mapping.get_mapping(key.as_str())?),
            },
            (Place::Index(index), Node::Sequence(list)) => {
                Node::Mapping(list.get(*index)?.as_mapping()?.clone())
            }
            _ => return None,
        };
    }
    Some(node)
}

/// The first item of a list, as its own lines: where the list stands and is empty, else at the end of the file.
fn appended(text: &str, place: &[Place], value: &Value) -> Option<String> {
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let (margin, key) = match place {
        [] => ("", None),
        [Place::Key(key)] => ("  ", Some(key)),
        _ => return None,
    };
    let item = match value {
        Value::Object(object) => fields(object)?,
        value => format!("{}\n", scalar(value.as_str()?)),
    };
    let mut lines = String::new();
    for (index, line) in item.lines().enumerate() {
        let lead = if index == 0 { "- " } else { "  " };
        let _infallible = writeln!(lines, "{margin}{lead}{line}");
    }
    let Some(key) = key else { return Some(text + &lines) };
    let Some((start, line, comment)) = empty_list(&text, key) else {
        return Some(format!("{text}{key}:\n{lines}"));
    };
    text.replace_range(start..start + line.len(), &format!("{key}:{comment}\n{lines}"));
    Some(text)
}

/// The line of the outermost mapping that says that a list is empty: where it starts, the line, and the comment behind it.
fn empty_list<'a>(text: &'a str, key: &str) -> Option<(usize, &'a str, &'a str)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let behind = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(':')).map(str::trim_end);
        let (value, comment) = behind.map_or(("?", ""), |rest| match rest.find(" #") {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        });
        if matches!(value.trim(), "" | "[]" | "[ ]" | "~" | "null") {
            return Some((start, line, comment));
        }
        start += line.len();
    }
    None
}

fn fragment(object: &Map<String, Value>) -> Option<Document> {
    Document::from_str(&fields(object)?).ok()
}

fn fields(object: &Map<String, Value>) -> Option<String> {
    let mut lines = String::new();
    for (key, value) in object {
        let value = match value {
            Value::String(text) => scalar(text),
            Value::Bool(truth) => truth.to_string(),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        let _infallible = writeln!(lines, "{key}: {value}");
    }
    Some(lines)
}

/// Plain where no reader could take it for anything else.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain) && text.len() > 5 {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}
