//! What a key may do, and what it may be called. Pure.

use crate::clock::SignedDuration;
use crate::id::{AccountId, KeyId};
use crate::pool::route;

/// No key has more patterns, and none is longer.
const MOST_MODELS: usize = 100;
const LONGEST_MODEL: usize = 200;
const MOST_ACCOUNTS: usize = 1000;
const LONGEST_NAME: usize = 64;
const MOST_RPM: u32 = 1_000_000;
const MOST_TPM: u64 = 1_000_000_000;
const MOST_CONCURRENCY: u32 = 10_000;
/// Clients give up before.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(10);

/// What a key may do. What is not limited here is not limited.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// Patterns of models, `*` stands for any run of characters; empty: all.
    pub models: Vec<String>,
    /// The accounts that may serve it; empty: all.
    pub accounts: Vec<AccountId>,
    /// Requests per minute.
    pub rpm: Option<u32>,
    /// Tokens per minute, of requests and answers together.
    pub tpm: Option<u64>,
    /// Requests at a time.
    pub concurrency: Option<u32>,
    /// How long a request waits in line instead of being refused; 0: not at all.
    pub wait: SignedDuration,
}

impl Rules {
    /// Whether a request may name this model. A request about none, with an empty name, may be made by every key.
    pub fn allows(&self, model: &str) -> bool {
        self.models.is_empty()
            || model.is_empty()
            || self.models.iter().any(|pattern| route::matches(pattern, model))
    }

    /// # Errors
    /// In words, which rule cannot be meant.
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { models, accounts, rpm, tpm, concurrency, wait } = self;
        if models.len() > MOST_MODELS {
            return Err(format!("a key has at most {MOST_MODELS} patterns of models"));
        }
        let is_pattern = |text: &String| {
            (1..=LONGEST_MODEL).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
        };
        if let Some(bad) = models.iter().find(|pattern| !is_pattern(pattern)) {
            return Err(format!(
                "{bad:?} is no pattern of a model: it is one word of at most {LONGEST_MODEL} characters, as in claude-haiku-*"
            ));
        }
        if accounts.len() > MOST_ACCOUNTS {
            return Err(format!("a key names at most {MOST_ACCOUNTS} accounts"));
        }
        within("the requests per minute", rpm.map(u64::from), MOST_RPM.into())?;
        within("the tokens per minute", *tpm, MOST_TPM)?;
        within("the requests at a time", concurrency.map(u64::from), MOST_CONCURRENCY.into())?;
        if wait.is_negative() || *wait > LONGEST_WAIT {
            return Err(format!("a request waits at most {} minutes", LONGEST_WAIT.as_mins()));
        }
        if wait.is_positive() && rpm.is_none() && tpm.is_none() && concurrency.is_none() {
            return Err("there is nothing to wait for: the key has no limit".to_owned());
        }
        Ok(())
    }
}

fn within(what: &str, number: Option<u64>, most: u64) -> Result<(), String> {
    match number {
        Some(number) if !(1..=most).contains(&number) => Err(format!("{what} are a number from 1 to {most}")),
        _ => Ok(()),
    }
}

/// Whether a key may be called this. The name may stand in a log, so it is no e-mail address.
///
/// # Errors
/// In words.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !(1..=LONGEST_NAME).contains(&name.len())
        || !name.chars().all(fits)
        || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        return Err(format!(
            "a name is made of 1 to {LONGEST_NAME} letters, digits, dots, dashes and underscores, and begins with a letter or a digit"
        ));
    }
    if name.starts_with(KeyId::PREFIX) {
        return Err(format!("a name does not begin with {}, as the ids of keys do", KeyId::PREFIX));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_that_is_no_id() {
        for name in ["a", "ci", "build-7.x_y", "7", &"n".repeat(64)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", " ", "-x", ".x", "a b", "ada@example.com", "ü", "key_1", &"n".repeat(65), "a\n"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_key_without_patterns_may_use_every_model() {
        let rules = |models: &[&str]| Rules {
            models: models.iter().map(|&model| model.to_owned()).collect(),
            ..Rules::default()
        };
        assert!(rules(&[]).allows("claude-opus-4-5"));
        let some = rules(&["claude-haiku-*", "claude-sonnet-5"]);
        for (model, allowed) in [
            ("claude-haiku-4-5", true),
            ("CLAUDE-HAIKU-4-5", true),
            ("claude-sonnet-5", true),
            ("claude-sonnet-5-1m", false),
            ("claude-opus-4-5", false),
            ("", true),
        ] {
            assert_eq!(some.allows(model), allowed, "{model}");
        }
    }

    #[test]
    fn rules_that_cannot_be_meant_are_named() {
        let good = Rules {
            rpm: Some(1),
            tpm: Some(1),
            concurrency: Some(1),
            wait: LONGEST_WAIT,
            ..Rules::default()
        };
        assert_eq!(good.check(), Ok(()));
        assert_eq!(Rules::default().check(), Ok(()));
        for (bad, word) in [
            (Rules { rpm: Some(0), ..Rules::default() }, "requests per minute"),
            (Rules { tpm: Some(0), ..Rules::default() }, "tokens per minute"),
            (Rules { concurrency: Some(0), ..Rules::default() }, "at a time"),
            (Rules { wait: SignedDuration::from_secs(1), ..Rules::default() }, "nothing to wait for"),
            (Rules { wait: SignedDuration::from_secs(-1), ..good.clone() }, "at most"),
            (Rules { wait: SignedDuration::from_mins(11), ..good.clone() }, "at most"),
            (Rules { models: vec!["a b".to_owned()], ..good.clone() }, "pattern"),
            (Rules { models: vec![String::new()], ..good }, "pattern"),
        ] {
            assert!(bad.check().unwrap_err().contains(word), "{word}");
        }
    }
}
