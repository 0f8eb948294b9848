//! What a person had set on an account that logs in again, and what therefore was kept. Pure.

use crate::cli::Login;
use crate::json::Account;

/// Each setting that is not at its default and was not given with this login: its name in JSON, and in words.
pub(super) fn settings(account: &Account, given: &Login) -> Vec<(&'static str, &'static str)> {
    let all = [
        (account.label.is_some() && given.label.is_none(), "label", "label"),
        (account.priority != 0 && given.priority.is_none(), "priority", "priority"),
        (account.weight > 1, "weight", "weight"),
        (account.reserve_percent > 0, "reserve_percent", "reserve"),
        (account.prefix.is_some(), "prefix", "prefix"),
        (account.proxy_url.is_some(), "proxy_url", "proxy URL"),
        (!account.model_aliases.is_empty(), "model_aliases", "model aliases"),
        (!account.excluded_models.is_empty(), "excluded_models", "excluded models"),
        (account.note.is_some(), "note", "note"),
    ];
    all.into_iter().filter(|(is_set, ..)| *is_set).map(|(_, name, words)| (name, words)).collect()
}
