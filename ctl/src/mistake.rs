//! A command line that cannot be meant: what clap says of it, in the three lines of every error. Only words of the command line itself
//! are put into the command to run, since a value may be a secret. Pure.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};

use crate::cli;
use crate::error::Error;

/// What the standard library says of a number that is none.
const NO_NUMBER: &str = "invalid digit found in string";

/// What is wrong, why, and the command that was probably meant, or else the one that shows how it is used.
pub(crate) fn error(refused: &clap::Error, args: &[OsString]) -> Error {
    let (path, command) = named(args);
    let text = refused.render().to_string();
    // What is wrong comes first, up to an empty line; what it is about may stand on lines of its own.
    let mut told: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let values = told.pop_if(|line| line.starts_with("[possible values: "));
    let values = values.map(|line| line.trim_matches(['[', ']']).to_owned());
    let what = told.join(" ").trim_start_matches("error: ").to_owned();
    // Whoever reads the value says why it cannot be one.
    let refusal = refused.source().map(ToString::to_string).filter(|why| !why.is_empty());
    let shorter = refusal.as_ref().and_then(|why| what.strip_suffix(why.as_str())?.strip_suffix(": "));
    let refusal = refusal.as_deref().map(|why| if why == NO_NUMBER { "write a whole number" } else { why });
    // Not as clap tells it, which names what the environment sets, too.
    let usage = command.bin_name(&path).render_usage().to_string();
    let usage = text.contains("\nUsage: ").then(|| usage.replace("Usage: ", "it is used as in: "));
    let why = match (similar(refused), values) {
        (Some(similar), Some(values)) => Some(format!("{similar} ({values})")),
        (similar, values) => similar.or(values).or_else(|| shorter.and(refusal).map(str::to_owned)).or(usage),
    };
    Error::CommandLine {
        what: shorter.unwrap_or(&what).to_owned(),
        why,
        hint: meant(refused, &path).unwrap_or_else(|| format!("{path} --help")),
    }
}

/// A command that holds others was given none.
pub(crate) fn nothing_asked(args: &[OsString]) -> Error {
    let (path, _) = named(args);
    Error::CommandLine {
        what: format!("{path} is told no command"),
        why: None,
        hint: format!("{path} --help"),
    }
}

/// The program and the commands that the words name, as far as they do; and the last of these.
fn named(args: &[OsString]) -> (String, clap::Command) {
    let mut command = cli::command();
    command.build();
    let mut path = command.get_name().to_owned();
    for word in args.iter().skip(1) {
        if let Some(inner) = command.find_subcommand(word).cloned() {
            path = format!("{path} {}", inner.get_name());
            command = inner;
        }
    }
    (path, command)
}

/// What clap tells of a mistake; of several words the one that is most like what was typed, which it puts last.
fn context(refused: &clap::Error, kind: ContextKind) -> Option<&str> {
    match refused.get(kind)? {
        ContextValue::String(word) => Some(word),
        ContextValue::Strings(words) => words.last().map(String::as_str),
        _ => None,
    }
}

/// What was probably meant, in words.
fn similar(refused: &clap::Error) -> Option<String> {
    let kinds = [
        (ContextKind::SuggestedSubcommand, "subcommand"),
        (ContextKind::SuggestedArg, "argument"),
        (ContextKind::SuggestedValue, "value"),
    ];
    kinds.into_iter().find_map(|(kind, name)| {
        let word = context(refused, kind)?;
        Some(format!("a similar {name} exists: '{word}'"))
    })
}

/// The word that was misspelt, in its place.
fn meant(refused: &clap::Error, path: &str) -> Option<String> {
    let told = |kind| context(refused, kind);
    if let Some(word) = told(ContextKind::SuggestedSubcommand).or_else(|| told(ContextKind::SuggestedArg)) {
        return Some(format!("{path} {word}"));
    }
    let value = told(ContextKind::SuggestedValue)?;
    let flag = told(ContextKind::InvalidArg).and_then(|arg| arg.split(' ').next());
    let flag = flag.filter(|flag| flag.starts_with('-')).map(|flag| format!("{flag} "));
    Some(format!("{path} {}{value}", flag.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &[&str]) -> (String, Option<String>, String) {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        let refused = cli::command().try_get_matches_from(&args).unwrap_err();
        let err = error(&refused, &args);
        (err.to_string(), err.cause(), err.hint())
    }

    #[test]
    fn what_is_misspelt_is_corrected_in_the_command_to_run() {
        for (words, hint) in [
            (&["proxyctl", "acounts"][..], "proxyctl accounts"),
            // Several are similar.
            (&["proxyctl", "stauts"], "proxyctl status"),
            (&["proxyctl", "--json", "accounts", "lst"], "proxyctl accounts list"),
            (&["proxyctl", "accounts", "list", "--expain"], "proxyctl accounts list --explain"),
            (&["proxyctl", "strategy", "quot"], "proxyctl strategy quota"),
            (&["proxyctl", "logs", "--level", "eror"], "proxyctl logs --level error"),
            (
                &["proxyctl", "keys", "create", "FAKE-secret", "--concurency", "5"],
                "proxyctl keys create --concurrency",
            ),
        ] {
            let (what, why, tried) = told(words);
            assert_eq!(tried, hint, "{words:?}");
            assert!(why.is_some_and(|why| why.contains("similar")), "{words:?}");
            assert!(!what.contains("tip:") && !what.contains("FAKE-secret"), "{what}");
        }
    }

    #[test]
    fn why_a_value_cannot_be_one_is_told_apart_from_what_it_is() {
        let (what, why, hint) = told(&["proxyctl", "top", "--interval", "1"]);
        assert_eq!(what, "invalid value '1' for '--interval <DURATION>'");
        assert_eq!(why.as_deref(), Some("write it as in 500ms, 2s or 1m"));
        assert_eq!(hint, "proxyctl top --help");

        let (_, why, _) = told(&["proxyctl", "logs", "-n", "x"]);
        assert_eq!(why.as_deref(), Some("write a whole number"));

        let (what, why, _) = told(&["proxyctl", "log-level", "loud"]);
        assert_eq!(what, "invalid value 'loud' for '[LEVEL]'");
        assert_eq!(why.as_deref(), Some("possible values: error, warn, info, debug, trace"));

        let (_, why, hint) = told(&["proxyctl", "completions", "tcsh"]);
        assert_eq!(why.as_deref(), Some("a similar value exists: 'zsh' (possible values: bash, zsh, fish)"));
        assert_eq!(hint, "proxyctl completions zsh");
    }

    #[test]
    fn what_is_missing_is_told_with_how_it_is_used() {
        let (what, why, hint) = told(&["proxyctl", "setup"]);
        assert_eq!(what, "the following required arguments were not provided: <CLIENT>");
        assert_eq!(why.as_deref(), Some("it is used as in: proxyctl setup [OPTIONS] <CLIENT>"));
        assert_eq!(hint, "proxyctl setup --help");
    }
}
