//! Everything that was written by daemons and answered by them, looked through at the end for what must be in none of it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;

/// Of every account here.
pub(crate) const EMAIL: &str = "canary-person@faults.example";
/// In every request here.
pub(crate) const PROMPT: &str = "CANARY-PROMPT nobody's business";
/// What keys and tokens start with; text in a hint goes no further than that.
const TOKENS: [&str; 2] = ["sk-ant-", "sk-proxyd-"];
/// Characters after it that make it one.
const TOKEN_LENGTH: usize = 16;

struct Text {
    what: &'static str,
    said: String,
    /// A program's own words come back to it.
    may_hold_prompts: bool,
}

static SEEN: Mutex<Vec<Text>> = Mutex::new(Vec::new());

fn keep(what: &'static str, text: String, may_hold_prompts: bool) {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).push(Text { what, said: text, may_hold_prompts });
}

pub(crate) fn log(text: &str) {
    keep("a log", text.to_owned(), false);
}

/// An answer with its headers; a long one by its beginning.
pub(crate) fn answer(status: u16, headers: &HeaderMap, body: &str) {
    keep("an answer's headers", format!("{headers:?}"), false);
    let start = body.char_indices().nth(64 * 1024).map_or(body, |(at, _)| body.get(..at).unwrap_or(body));
    keep("an answer", start.to_owned(), status < 400);
}

/// Every file of a home, but those of the accounts and what a harness put there. Stored responses hold prompts by design.
pub(crate) fn state(home: &Path) {
    let mut open = vec![home.to_owned()];
    while let Some(dir) = open.pop() {
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let is_account = path.extension().is_some_and(|end| end == "json")
                && path.parent().is_some_and(|dir| dir.ends_with("auth"));
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else if path.is_file() && !is_account && !is_program(&path) {
                let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
                keep("a file of the state directory", text, path.iter().any(|part| part == ".responses"));
            }
        }
    }
}

/// Copies of ours, which name these words.
fn is_program(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "caller" || name == "proxyctl")
}

/// Whether the search finds what it is there to find.
pub(crate) fn can_find() -> bool {
    let planted = ["x sk-proxyd-0123456789abcdefg", PROMPT, EMAIL];
    let texts = planted.map(|said| Text { what: "", said: said.to_owned(), may_hold_prompts: false });
    let hint = Text { what: "", said: "sk-proxyd-... or sk-ant-...".to_owned(), may_hold_prompts: false };
    texts.iter().all(|text| offences(text).count() == 1) && offences(&hint).count() == 0
}

/// What was found where it must not be, and how many bytes were looked through.
pub(crate) fn look_through() -> (Vec<String>, usize) {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = seen.iter().flat_map(|text| offences(text).map(|what| format!("{} holds {what}", text.what)));
    (found.collect(), seen.iter().map(|text| text.said.len()).sum())
}

fn offences(text: &Text) -> impl Iterator<Item = &'static str> {
    let has_token = TOKENS.iter().any(|start| text.said.split(start).skip(1).any(is_token));
    let has_prompt = text.said.contains("CANARY-PROMPT") && !text.may_hold_prompts;
    let found = [
        (has_token, "a token or key"),
        (has_prompt, "a prompt"),
        (text.said.contains("canary-person"), "an e-mail address"),
    ];
    found.into_iter().filter_map(|(has, what)| has.then_some(what))
}

fn is_token(rest: &str) -> bool {
    let length = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).count();
    length >= TOKEN_LENGTH
}
