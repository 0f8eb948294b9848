//! What a person sets on an account, read from its document. Pure.
//!
//! | key | form |
//! |---|---|
//! | `priority` | whole number from -1000 to 1000; 0 unless set |
//! | `weight` | whole number from 1 to 100; 1 unless set |
//! | `reserve` | whole number from 0 to 99: percent of each window of its plan; 0 unless set |
//! | `prefix` | text without `/` or white space |
//! | `proxy_url` | http, https, socks5 or socks5h |
//! | `base_url` | https, or http on loopback; API keys only |
//! | `model_aliases` | list of `{"name": MODEL, "alias": ALIAS}`, or an object `{ALIAS: MODEL}` |
//! | `excluded_models` | list of names, `*` for any run of characters |
//! | `note` | text |
//!
//! A setting that cannot be read is a [`Fault`]. One that decides what is sent where closes the account: what a person
//! wanted kept off some way must not take it because of a typing error. Any other counts as not set.

use std::fmt;

use serde_json::{Map, Value};
use url::Url;

use super::Credential;
use crate::address::{self, ProxyUrl};

/// Bounds of `priority`.
pub const PRIORITIES: std::ops::RangeInclusive<i64> = -1000..=1000;
/// Bounds of `weight`.
pub const WEIGHTS: std::ops::RangeInclusive<i64> = 1..=100;
/// Bounds of `reserve`, in percent.
pub const RESERVES: std::ops::RangeInclusive<i64> = 0..=99;
/// A label of more characters than this is no label.
const LONGEST_LABEL: usize = 100;

/// What a person set on an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Accounts of a lower one serve only when none of a higher one can.
    pub priority: i32,
    /// Its share of the requests within its priority.
    pub weight: u32,
    /// The percent of each window of its plan that is left alone, for whatever else the person uses the account for.
    pub reserve: u32,
    /// A request for `PREFIX/MODEL` is served by accounts of this prefix only.
    pub prefix: Option<String>,
    /// The one way out for everything this account sends.
    pub proxy: Option<ProxyUrl>,
    /// Where its requests go instead of the configured address.
    pub base_url: Option<Url>,
    pub aliases: Vec<ModelAlias>,
    /// Patterns of models it does not serve.
    pub excluded: Vec<String>,
    pub note: Option<String>,
}

/// A name under which an account serves a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelAlias {
    /// What a client may ask for.
    pub alias: String,
    /// What is asked upstream.
    pub model: String,
}

/// A setting that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub key: &'static str,
    /// What is wrong, in words, without the value.
    pub problem: String,
    /// The account sends nothing until it is corrected.
    pub closes: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.key, self.problem)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            priority: 0,
            weight: 1,
            reserve: 0,
            prefix: None,
            proxy: None,
            base_url: None,
            aliases: Vec::new(),
            excluded: Vec::new(),
            note: None,
        }
    }
}

impl Settings {
    /// Reads every setting; what cannot be read is a fault and stays at its default.
    pub(super) fn read(document: &Map<String, Value>) -> (Self, Vec<Fault>) {
        let mut reader = Reader { document, faults: Vec::new() };
        let settings = Self {
            priority: reader.number("priority", PRIORITIES).unwrap_or(0),
            weight: reader.number("weight", WEIGHTS).unwrap_or(1),
            reserve: reader.number("reserve", RESERVES).unwrap_or(0),
            prefix: reader.text("prefix", true, prefix),
            proxy: reader.text("proxy_url", true, ProxyUrl::parse),
            base_url: reader.text("base_url", true, base_url),
            aliases: reader.list("model_aliases", aliases),
            excluded: reader.list("excluded_models", excluded),
            note: reader.text("note", false, |text| Ok(text.to_owned())),
        };
        (settings, reader.faults)
    }

    /// A login's tokens go to the provider and nowhere else: another address is taken back, and closes the account.
    pub(super) fn refuse_base_url_for(&mut self, credential: &Credential) -> Option<Fault> {
        match credential {
            Credential::ApiKey(_) => None,
            Credential::OAuth(_) => self.base_url.take().map(|_| Fault {
                key: "base_url",
                problem: "is for API keys only: the tokens of a login go to their provider and nowhere else"
                    .to_owned(),
                closes: true,
            }),
        }
    }
}

/// What a person may call an account; `None` for nothing but white space.
///
/// # Errors
/// In words.
pub fn label(text: &str) -> Result<Option<String>, String> {
    let text = text.trim();
    if text.chars().count() > LONGEST_LABEL || text.contains(char::is_control) {
        return Err(format!("must be one line of at most {LONGEST_LABEL} characters"));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A prefix as it may stand before a `/` in a model's name.
///
/// # Errors
/// In words.
pub fn prefix(text: &str) -> Result<String, String> {
    let fits = text.len() <= 64 && text.chars().all(|c| c.is_ascii_graphic() && c != '/' && c != '*');
    if fits && !text.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("must be one word of at most 64 printable ASCII characters without / and *".to_owned())
    }
}

/// The base of a gateway; nothing of a query or fragment could be kept.
///
/// # Errors
/// In words.
pub fn base_url(text: &str) -> Result<Url, String> {
    let url = address::upstream_url(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must have no query and no fragment".to_owned());
    }
    Ok(url)
}

struct Reader<'a> {
    document: &'a Map<String, Value>,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn value(&self, key: &str) -> Option<&'a Value> {
        self.document.get(key).filter(|value| !value.is_null())
    }

    fn fault<T>(&mut self, key: &'static str, problem: impl Into<String>, closes: bool) -> Option<T> {
        self.faults.push(Fault { key, problem: problem.into(), closes });
        None
    }

    /// A whole number, or its text.
    fn number<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        bounds: std::ops::RangeInclusive<i64>,
    ) -> Option<T> {
        let number = match self.value(key)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let fitting =
            number.filter(|number| bounds.contains(number)).and_then(|number| T::try_from(number).ok());
        let problem = || format!("must be a whole number from {} to {}", bounds.start(), bounds.end());
        fitting.or_else(|| self.fault(key, problem(), false))
    }

    fn text<T>(
        &mut self,
        key: &'static str,
        closes: bool,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let parsed = match self.value(key)? {
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => parse(text.trim()),
            _ => Err("must be a text".to_owned()),
        };
        parsed.map_or_else(|problem| self.fault(key, problem, closes), Some)
    }

    fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<Vec<T>, &'static str>,
    ) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        parse(value).unwrap_or_else(|problem| self.fault(key, problem, true).unwrap_or_default())
    }
}

fn aliases(value: &Value) -> Result<Vec<ModelAlias>, &'static str> {
    const FORM: &str = "must be a list of {\"name\": MODEL, \"alias\": ALIAS}";
    let pair = |alias: Option<&str>, model: Option<&str>| match (alias.map(str::trim), model.map(str::trim)) {
        (Some(alias), Some(model)) if !alias.is_empty() && !model.is_empty() => {
            Ok(ModelAlias { alias: alias.to_owned(), model: model.to_owned() })
        }
        _ => Err(FORM),
    };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    match value {
        Value::Array(list) => list
            .iter()
            .map(|entry| pair(text(entry, "alias").as_deref(), text(entry, "name").as_deref()))
            .collect(),
        Value::Object(map) => map.iter().map(|(alias, model)| pair(Some(alias), model.as_str())).collect(),
        _ => Err(FORM),
    }
}

fn excluded(value: &Value) -> Result<Vec<String>, &'static str> {
    const FORM: &str = "must be a list of model names, in which * stands for any run of characters";
    let name = |entry: &Value| match entry.as_str().map(str::trim) {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(FORM),
    };
    value.as_array().ok_or(FORM)?.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> (Settings, Vec<Fault>) {
        Settings::read(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn every_setting_is_read() {
        let (settings, faults) = read(
            r#"{"priority":"3","weight":2,"prefix":" work ","proxy_url":"socks5h://p.example:1080",
                "base_url":"https://gateway.example/anthropic","note":"mine",
                "model_aliases":[{"name":"claude-opus-5","alias":"best","fork":true}],
                "excluded_models":["claude-haiku-*"]}"#,
        );
        assert_eq!(faults, []);
        assert_eq!((settings.priority, settings.weight), (3, 2));
        assert_eq!(settings.prefix.as_deref(), Some("work"));
        assert_eq!(settings.proxy.unwrap().to_string(), "socks5h://p.example:1080");
        assert_eq!(settings.base_url.unwrap().as_str(), "https://gateway.example/anthropic");
        assert_eq!(
            settings.aliases,
            [ModelAlias { alias: "best".to_owned(), model: "claude-opus-5".to_owned() }]
        );
        assert_eq!(settings.excluded, ["claude-haiku-*"]);
        let (settings, _) = read(r#"{"model_aliases":{"best":"claude-opus-5"}}"#);
        assert_eq!(settings.aliases[0].model, "claude-opus-5");
    }

    #[test]
    fn a_label_is_one_line_that_is_not_too_long() {
        assert_eq!(label("  work "), Ok(Some("work".to_owned())));
        assert_eq!(label(" "), Ok(None));
        assert!(label(&"ä".repeat(LONGEST_LABEL)).is_ok());
        for bad in ["two\nlines".to_owned(), "\u{1b}[2J".to_owned(), "x".repeat(LONGEST_LABEL + 1)] {
            assert!(label(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_absent_null_or_empty_is_not_set() {
        for json in
            ["{}", r#"{"priority":null,"prefix":"","proxy_url":" ","excluded_models":[],"weight":""}"#]
        {
            assert_eq!(read(json), (Settings::default(), vec![]), "{json}");
        }
    }

    #[test]
    fn a_setting_that_decides_what_is_sent_where_closes_the_account() {
        for (json, key) in [
            (r#"{"proxy_url":"proxy.example:1080"}"#, "proxy_url"),
            (r#"{"proxy_url":7}"#, "proxy_url"),
            (r#"{"base_url":"http://gateway.example"}"#, "base_url"),
            (r#"{"prefix":"a/b"}"#, "prefix"),
            (r#"{"model_aliases":["x"]}"#, "model_aliases"),
            (r#"{"excluded_models":"claude-*"}"#, "excluded_models"),
        ] {
            let (_, faults) = read(json);
            assert_eq!((faults.len(), faults[0].key, faults[0].closes), (1, key, true), "{json}");
        }
    }

    #[test]
    fn any_other_counts_as_not_set_and_is_told() {
        for (json, key) in [
            (r#"{"priority":"high"}"#, "priority"),
            (r#"{"weight":0}"#, "weight"),
            (r#"{"reserve":100}"#, "reserve"),
            (r#"{"note":[]}"#, "note"),
        ] {
            let (settings, faults) = read(json);
            assert_eq!(
                (settings, faults[0].key, faults[0].closes),
                (Settings::default(), key, false),
                "{json}"
            );
        }
    }
}
