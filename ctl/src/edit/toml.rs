//! TOML.

use serde_json::{Map, Value};
use toml_edit::{Array, DocumentMut, Item, Table, TableLike};

use super::Unfit;
use super::change::{Place, Step};

pub(super) fn read(text: &str) -> Result<Value, Unfit> {
    let document: DocumentMut = text.parse().map_err(|err: toml_edit::TomlError| {
        let before = text.get(..err.span().map_or(0, |span| span.start)).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        Unfit::Broken {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            why: err.message().replace('\n', ", "),
        }
    })?;
    Ok(object(document.as_table()))
}

pub(super) fn write(text: &str, steps: &[Step]) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let was_empty = document.is_empty();
    for step in steps {
        match step {
            Step::Set(place, value) => {
                let (last, above) = keys(place)?;
                let table = reach(document.as_table_mut(), &above)?;
                set(table, last, value)?;
            }
            Step::Remove(place) => {
                let (last, above) = keys(place)?;
                reach(document.as_table_mut(), &above)?.remove(last)?;
            }
            // No client's TOML takes it.
            Step::Push(..) => return None,
        }
    }
    if was_empty {
        // What is only comments stays above the first key.
        let between = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        document.set_trailing("");
        return Some(format!("{text}{between}{document}"));
    }
    Some(document.to_string())
}

fn keys(place: &[Place]) -> Option<(&str, Vec<&str>)> {
    let mut keys = Vec::new();
    for place in place {
        match place {
            Place::Key(key) => keys.push(key.as_str()),
            Place::Index(_) => return None,
        }
    }
    let last = keys.pop()?;
    Some((last, keys))
}

/// The table at a path; those that are missing are made, and only the last of them shows.
fn reach<'a>(root: &'a mut dyn TableLike, path: &[&str]) -> Option<&'a mut dyn TableLike> {
    let mut table = root;
    for key in path {
        let made = || {
            let mut made = Table::new();
            made.set_implicit(true);
            Item::Table(made)
        };
        table = table.entry(key).or_insert_with(made).as_table_like_mut()?;
    }
    Some(table)
}

fn set(table: &mut dyn TableLike, key: &str, value: &Value) -> Option<()> {
    let mut new = input(value)?;
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            // The comment behind it stays.
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        Some(_) => return None,
        None => {
            table.insert(key, Item::Value(new));
        }
    }
    Some(())
}

fn input(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::String(text) => text.as_str().into(),
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => number.as_i64()?.into(),
        Value::Array(list) => list.iter().map(input).collect::<Option<Array>>()?.into(),
        Value::Null | Value::Object(_) => return None,
    })
}

fn object(table: &dyn TableLike) -> Value {
    Value::Object(table.iter().map(|(key, item)| (key.to_owned(), output(item))).collect::<Map<_, _>>())
}

fn output(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => output_value(value),
        Item::Table(table) => object(table),
        Item::ArrayOfTables(tables) => tables.iter().map(|table| object(table)).collect(),
    }
}

fn output_value(value: &toml_edit::Value) -> Value {
    use toml_edit::Value as Toml;
    match value {
        Toml::String(text) => text.value().as_str().into(),
        Toml::Integer(number) => (*number.value()).into(),
        Toml::Float(number) => number.value().to_string().into(),
        Toml::Boolean(truth) => (*truth.value()).into(),
        Toml::Datetime(time) => time.value().to_string().into(),
        Toml::Array(list) => list.iter().map(output_value).collect(),
        Toml::InlineTable(table) => object(table),
    }
}
