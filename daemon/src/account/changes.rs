//! What a person wants changed about an account, and whether it may be. Pure. What is right is decided by the same code that
//! reads the settings from a file.

use serde_json::{Map, Value, json};

use super::settings::{self, ModelAlias, Settings};
use super::{Credential, Document};

/// A note longer than this belongs elsewhere.
const LONGEST_NOTE: usize = 1000;

/// Changes of what a person sets. `None` stays; what is empty, or a number's default, is taken back.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Changes {
    pub label: Option<String>,
    pub priority: Option<i32>,
    pub weight: Option<u32>,
    /// In percent.
    pub reserve: Option<u32>,
    pub prefix: Option<String>,
    /// As a person writes it; it may hold a password.
    pub proxy_url: Option<ProxyText>,
    pub base_url: Option<String>,
    pub aliases: Option<Vec<ModelAlias>>,
    pub excluded: Option<Vec<String>>,
    pub note: Option<String>,
}

/// A proxy's address that was not read yet. It may hold a password, so it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyText(pub String);

impl std::fmt::Debug for ProxyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProxyText(****)")
    }
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Everything that is wrong with them for an account with this credential, one entry each, without the values.
    pub fn mistakes(&self, credential: &Credential) -> Vec<String> {
        let mut mistakes = Vec::new();
        if let Some(Err(problem)) = self.label.as_deref().map(settings::label) {
            mistakes.push(format!("`label` {problem}"));
        }
        if let Some(note) = &self.note
            && !is_line(note.trim(), LONGEST_NOTE)
        {
            mistakes.push(format!("`note` must be one line of at most {LONGEST_NOTE} characters"));
        }
        let mut document = Map::new();
        self.write(&mut document);
        let (mut settings, mut faults) = Settings::read(&document);
        faults.extend(settings.refuse_base_url_for(credential));
        mistakes.extend(faults.iter().map(ToString::to_string));
        let mut names: Vec<&str> = settings.aliases.iter().map(|alias| alias.alias.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [one, two] if one == two)) {
            mistakes.push("`model_aliases` has an alias twice".to_owned());
        }
        mistakes
    }

    /// Writes them into a document's content.
    fn write(&self, document: &mut Map<String, Value>) {
        let text = |text: &String| Some(text.trim()).filter(|text| !text.is_empty()).map(Value::from);
        let list = |list: Vec<Value>| (!list.is_empty()).then_some(Value::Array(list));
        let alias = |ModelAlias { alias, model }: &ModelAlias| json!({"name": model, "alias": alias});
        let changes = [
            ("label", self.label.as_ref().map(text)),
            ("priority", self.priority.map(|number| (number != 0).then(|| number.into()))),
            ("weight", self.weight.map(|number| (number != 1).then(|| number.into()))),
            ("reserve", self.reserve.map(|number| (number != 0).then(|| number.into()))),
            ("prefix", self.prefix.as_ref().map(text)),
            ("proxy_url", self.proxy_url.as_ref().map(|proxy| text(&proxy.0))),
            ("base_url", self.base_url.as_ref().map(text)),
            ("model_aliases", self.aliases.as_ref().map(|aliases| list(aliases.iter().map(alias).collect()))),
            (
                "excluded_models",
                self.excluded
                    .as_ref()
                    .map(|names| list(names.iter().map(|name| name.trim().into()).collect())),
            ),
            ("note", self.note.as_ref().map(text)),
        ];
        for (key, change) in changes {
            match change {
                None => {}
                Some(Some(value)) => drop(document.insert(key.to_owned(), value)),
                // The order in which a person wrote the other keys stays.
                Some(None) => drop(document.shift_remove(key)),
            }
        }
    }
}

impl Document {
    /// Changes what a person sets; see [`Changes::mistakes`] for what may be changed to what.
    pub fn change(&mut self, changes: &Changes) {
        changes.write(&mut self.0);
    }
}

fn is_line(text: &str, longest: usize) -> bool {
    text.chars().count() <= longest && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::FileName;
    use crate::secret::{AccessToken, ApiKey};

    fn key() -> Credential {
        Credential::ApiKey(ApiKey::new("sk-ant-api03-FAKE"))
    }

    #[test]
    fn what_is_set_is_read_back_and_what_is_taken_back_leaves_no_trace() {
        let mut document =
            Document::parse(br#"{"x":1.0,"type":"claude","api_key":"k","note":"old","z":[]}"#).unwrap();
        let set = Changes {
            label: Some(" work ".to_owned()),
            priority: Some(-5),
            weight: Some(3),
            reserve: Some(20),
            prefix: Some("w".to_owned()),
            proxy_url: Some(ProxyText("socks5h://me:FAKE-pw@p.example:1080".to_owned())),
            base_url: Some("https://gateway.example/anthropic".to_owned()),
            aliases: Some(vec![ModelAlias { alias: "best".to_owned(), model: "claude-opus-5".to_owned() }]),
            excluded: Some(vec!["claude-haiku-*".to_owned()]),
            note: Some("mine".to_owned()),
        };
        assert_eq!(set.mistakes(&key()), Vec::<String>::new());
        assert!(!format!("{set:?}").contains("FAKE-pw"));
        document.change(&set);
        let account = document.to_account(FileName::parse("claude-x.json").unwrap()).unwrap();
        assert_eq!((account.label.as_deref(), account.settings.priority), (Some("work"), -5));
        assert_eq!((account.settings.weight, account.settings.prefix.as_deref()), (3, Some("w")));
        assert_eq!(account.settings.aliases.len() + account.settings.excluded.len(), 2);
        assert_eq!(account.settings.proxy.unwrap().expose().password(), Some("FAKE-pw"));
        document.change(&Changes {
            label: Some(String::new()),
            priority: Some(0),
            weight: Some(1),
            reserve: Some(0),
            prefix: Some(String::new()),
            proxy_url: Some(ProxyText(" ".to_owned())),
            base_url: Some(String::new()),
            aliases: Some(vec![]),
            excluded: Some(vec![]),
            note: Some(String::new()),
        });
        assert_eq!(
            String::from_utf8(document.to_bytes()).unwrap(),
            "{\n  \"x\": 1.0,\n  \"type\": \"claude\",\n  \"api_key\": \"k\",\n  \"z\": []\n}\n"
        );
    }

    #[test]
    fn what_is_not_named_stays() {
        let mut document = Document::parse(br#"{"api_key":"k","label":"a","priority":"7"}"#).unwrap();
        let before = document.to_bytes();
        document.change(&Changes::default());
        assert_eq!(document.to_bytes(), before);
    }

    #[test]
    fn every_mistake_is_told_at_once_and_without_the_value() {
        let wrong = Changes {
            label: Some("x".repeat(101)),
            priority: Some(5000),
            weight: Some(0),
            reserve: Some(100),
            prefix: Some("a/b".to_owned()),
            proxy_url: Some(ProxyText("me:FAKE-pw@proxy".to_owned())),
            base_url: Some("http://gateway.example".to_owned()),
            aliases: Some(vec![ModelAlias { alias: String::new(), model: "m".to_owned() }]),
            excluded: Some(vec![" ".to_owned()]),
            note: Some("a\nb".to_owned()),
        };
        let mistakes = wrong.mistakes(&key());
        let keys = [
            "label",
            "note",
            "priority",
            "weight",
            "reserve",
            "prefix",
            "proxy_url",
            "base_url",
            "model_aliases",
            "excluded_models",
        ];
        assert_eq!(mistakes.len(), keys.len(), "{mistakes:?}");
        for key in keys {
            assert!(mistakes.iter().any(|mistake| mistake.starts_with(&format!("`{key}`"))), "{key}");
        }
        assert!(!mistakes.concat().contains("FAKE-pw"));
    }

    #[test]
    fn an_alias_stands_once_and_a_login_has_no_other_address() {
        let alias = |model: &str| ModelAlias { alias: "best".to_owned(), model: model.to_owned() };
        let twice = Changes { aliases: Some(vec![alias("a"), alias("b")]), ..Changes::default() };
        assert_eq!(twice.mistakes(&key()).len(), 1);
        let elsewhere = Changes { base_url: Some("https://a.example".to_owned()), ..Changes::default() };
        let login = Credential::OAuth(crate::account::OAuth {
            access: AccessToken::new("a"),
            refresh: None,
            expires_at: None,
        });
        assert_eq!((elsewhere.mistakes(&key()).len(), elsewhere.mistakes(&login).len()), (0, 1));
    }
}
