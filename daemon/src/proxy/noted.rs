//! What is noted of a request while it goes on, for the one line that the log gets of it: ids, names and numbers, and nothing of
//! what was said. `http` begins it and writes the line; whoever learns something on the way notes it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::id::AccountId;
use crate::pool::LONGEST_MODEL;
use crate::wire::error::ApiError;
use crate::wire::messages::Usage;

/// So much of an error's code is noted.
const LONGEST_CODE: usize = 64;

/// The notes; clones are the same ones.
#[derive(Clone, Debug, Default)]
pub struct Noted(Arc<Mutex<Notes>>);

/// What is known of a request so far.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// As the client named it, made fit for a log.
    pub model: Option<String>,
    /// That made the last attempt. `None` where there was none, or where it was made by the caller's own credential.
    pub account: Option<AccountId>,
    pub attempts: u32,
    pub usage: Option<Usage>,
    pub end: Option<Broken>,
}

/// Why an answer did not come to its own end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// The daemon stopped before.
    Stopped,
    Failed {
        code: String,
        /// In words of ours, where there are more than the code.
        why: Option<String>,
    },
}

impl Noted {
    pub fn notes(&self) -> Notes {
        self.lock().clone()
    }

    /// There is no answer but this error, or not to its end.
    pub fn failed(&self, error: &ApiError, why: Option<String>) {
        let code = error.code.as_deref().unwrap_or(error.kind.anthropic());
        self.broke(Broken::Failed { code: printable(code, LONGEST_CODE), why });
    }

    /// The first word counts: what comes after it comes of it.
    pub(super) fn broke(&self, how: Broken) {
        self.lock().end.get_or_insert(how);
    }

    /// A model is asked for.
    pub(super) fn asks(&self, model: &str) {
        self.lock().model = Some(printable(model, LONGEST_MODEL));
    }

    /// Another attempt begins.
    pub(super) fn tries(&self, account: Option<&AccountId>) {
        let mut notes = self.lock();
        notes.attempts = notes.attempts.saturating_add(1);
        notes.account = account.cloned();
    }

    /// The answer took so many tokens.
    pub(super) fn used(&self, usage: &Usage) {
        self.lock().usage = Some(*usage);
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client may call a model whatever it likes: a log gets so much of it, and nothing but characters that stand for themselves.
fn printable(text: &str, longest: usize) -> String {
    if text.len() <= longest && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let fit = |char: char| if char.is_ascii_graphic() || char == ' ' { char } else { '?' };
    text.chars().take(longest).map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_name_is_short_and_harmless() {
        let noted = Noted::default();
        noted.asks(&format!("claude\u{202e}\n\u{1b}[31m{}", "x".repeat(100_000)));
        let model = noted.notes().model.unwrap();
        assert!(model.starts_with("claude???[31mx") && model.len() == LONGEST_MODEL, "{model}");
    }

    #[test]
    fn the_first_reason_is_the_one_that_is_told() {
        let noted = Noted::default();
        noted.broke(Broken::Stopped);
        noted.failed(&ApiError::internal(), None);
        assert_eq!(noted.notes().end, Some(Broken::Stopped));
    }

    #[test]
    fn an_error_without_a_code_has_its_kind_for_one() {
        for (error, expected) in [
            (ApiError::bad_gateway("no").with_code("upstream_silent"), "upstream_silent"),
            (ApiError::not_found("no"), "not_found_error"),
        ] {
            let noted = Noted::default();
            noted.failed(&error, Some("because".to_owned()));
            let (code, why) = (expected.to_owned(), Some("because".to_owned()));
            assert_eq!(noted.notes().end, Some(Broken::Failed { code, why }));
        }
    }
}
