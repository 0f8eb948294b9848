//! What is to change, and the steps that it takes from what is there.

use serde_json::{Map, Value};

use super::Unfit;

/// One change, at a path of keys.
#[derive(Debug)]
pub(crate) struct Change {
    path: Vec<&'static str>,
    what: What,
}

#[derive(Debug)]
enum What {
    /// Unless what stands there will do.
    Set(Value, fn(&Value) -> bool),
    /// Where it is of this kind.
    Remove(fn(&Value) -> bool),
    /// The entry of a list whose field `by` is the item's gets the item's fields; where there is none, the item is added.
    Item { by: &'static str, item: Map<String, Value> },
    /// The word of a list that begins so; where there is none, the word is added.
    Word { begins: &'static str, word: String },
}

/// A path to change: keys with dots between them; empty: the whole file. No key holds a dot.
pub(crate) fn change(path: &'static str) -> At {
    At(path.split('.').filter(|key| !key.is_empty()).collect())
}

/// Every value.
pub(crate) fn any(_: &Value) -> bool {
    true
}

#[derive(Debug)]
pub(crate) struct At(Vec<&'static str>);

impl At {
    pub(crate) fn set(self, value: impl Into<Value>) -> Change {
        self.unless(|_| false, value)
    }

    /// Sets it unless what stands there will do.
    pub(crate) fn unless(self, will_do: fn(&Value) -> bool, value: impl Into<Value>) -> Change {
        Change { path: self.0, what: What::Set(value.into(), will_do) }
    }

    pub(crate) fn remove(self, unwanted: fn(&Value) -> bool) -> Change {
        Change { path: self.0, what: What::Remove(unwanted) }
    }

    pub(crate) fn item(self, by: &'static str, item: Map<String, Value>) -> Change {
        Change { path: self.0, what: What::Item { by, item } }
    }

    pub(crate) fn word(self, begins: &'static str, word: String) -> Change {
        Change { path: self.0, what: What::Word { begins, word } }
    }
}

/// What an editor of a format does, one after the other. Objects on the way are made where they are missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Set(Vec<Place>, Value),
    Remove(Vec<Place>),
    Push(Vec<Place>, Value),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Key(String),
    Index(usize),
}

/// The steps that the changes take, and what the file then means.
pub(super) fn plan(before: Value, changes: &[Change]) -> Result<(Vec<Step>, Value), Unfit> {
    let mut now = before;
    let mut steps = Vec::new();
    for change in changes {
        for step in change.steps(&now)? {
            step.apply(&mut now);
            steps.push(step);
        }
    }
    Ok((steps, now))
}

impl Change {
    /// What must be there afterwards, for a person who writes it by hand; `None` for what must not.
    pub(crate) fn wanted(&self) -> Option<String> {
        let path = self.path.join(".");
        match &self.what {
            What::Set(value, _) => Some(format!("{path} = {value}")),
            What::Word { word, .. } => Some(format!("in the list {path}: {word}")),
            What::Item { item, .. } => {
                let within =
                    if path.is_empty() { "in the list".to_owned() } else { format!("in the list {path}") };
                Some(format!("{within}: {}", Value::Object(item.clone())))
            }
            What::Remove(_) => None,
        }
    }

    fn steps(&self, now: &Value) -> Result<Vec<Step>, Unfit> {
        let there = self.look(now)?;
        let place: Vec<Place> = self.path.iter().map(|key| Place::Key((*key).to_owned())).collect();
        let below = |place: &[Place], last| [place, &[last]].concat();
        Ok(match (&self.what, there) {
            (What::Set(value, will_do), there) => match there {
                Some(there) if there == value || will_do(there) => vec![],
                _ => vec![Step::Set(place, value.clone())],
            },
            (What::Remove(unwanted), there) => match there {
                Some(there) if unwanted(there) => vec![Step::Remove(place)],
                _ => vec![],
            },
            (What::Item { by, item }, there) => {
                let same = |entry: &Value| entry.get(by) == item.get(*by);
                match self.list(there)?.iter().enumerate().find(|(_, entry)| same(entry)) {
                    None => vec![Step::Push(place, Value::Object(item.clone()))],
                    Some((index, entry)) => item
                        .iter()
                        .filter(|(key, value)| entry.get(key.as_str()) != Some(*value))
                        .map(|(key, value)| {
                            let at = below(&below(&place, Place::Index(index)), Place::Key(key.clone()));
                            Step::Set(at, value.clone())
                        })
                        .collect(),
                }
            }
            (What::Word { begins, word }, there) => {
                let list = self.list(there)?;
                let same = |entry: &Value| entry.as_str().is_some_and(|entry| entry.starts_with(begins));
                let word = Value::from(word.as_str());
                match list.iter().position(same) {
                    None => vec![Step::Push(place, word)],
                    Some(index) if list.get(index) == Some(&word) => vec![],
                    Some(index) => vec![Step::Set(below(&place, Place::Index(index)), word)],
                }
            }
        })
    }

    /// What stands there now; null counts as nothing.
    fn look<'a>(&self, now: &'a Value) -> Result<Option<&'a Value>, Unfit> {
        let mut there = now;
        for (depth, key) in self.path.iter().enumerate() {
            let at = || self.path.get(..depth).unwrap_or_default().join(".");
            match there {
                Value::Null => return Ok(None),
                Value::Object(object) => match object.get(*key) {
                    None => return Ok(None),
                    Some(next) => there = next,
                },
                _ => return Err(Unfit::Form { at: named(&at()), wanted: "an object of keys and values" }),
            }
        }
        Ok(Some(there).filter(|there| !there.is_null()))
    }

    fn list<'a>(&self, there: Option<&'a Value>) -> Result<&'a [Value], Unfit> {
        match there {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(Unfit::Form { at: named(&self.path.join(".")), wanted: "a list" }),
        }
    }
}

fn named(path: &str) -> String {
    if path.is_empty() { "the file as a whole".to_owned() } else { path.to_owned() }
}

impl Step {
    fn apply(&self, root: &mut Value) {
        match self {
            Self::Set(place, value) => {
                if let Some(there) = reach(root, place) {
                    *there = value.clone();
                }
            }
            Self::Push(place, value) => match reach(root, place) {
                Some(Value::Array(list)) => list.push(value.clone()),
                Some(there) => *there = Value::Array(vec![value.clone()]),
                None => {}
            },
            Self::Remove(place) => {
                let Some((Place::Key(last), above)) = place.split_last() else { return };
                if let Some(object) = reach(root, above).and_then(Value::as_object_mut) {
                    // What stays keeps its order.
                    object.shift_remove(last);
                }
            }
        }
    }
}

/// The value at a place, made where it is missing.
fn reach<'a>(root: &'a mut Value, place: &[Place]) -> Option<&'a mut Value> {
    let mut there = root;
    for step in place {
        there = match step {
            Place::Key(key) => {
                if there.is_null() {
                    *there = Value::Object(Map::new());
                }
                there.as_object_mut()?.entry(key.as_str()).or_insert(Value::Null)
            }
            Place::Index(index) => there.as_array_mut()?.get_mut(*index)?,
        };
    }
    Some(there)
}
