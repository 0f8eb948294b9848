//! Prefixes, aliases and exclusions, as tables over a pool of settings.

use proptest::prelude::*;

use super::*;
use crate::account::ModelAlias;
use Serving::{As, Excluded, Not};

fn prefixed(prefix: &str) -> Settings {
    Settings { prefix: Some(prefix.to_owned()), ..Settings::default() }
}

fn excluding(patterns: &[&str]) -> Settings {
    let excluded = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    Settings { excluded, ..Settings::default() }
}

fn aliasing(pairs: &[(&str, &str)]) -> Settings {
    let entry = |(alias, model): &(&str, &str)| ModelAlias { alias: (*alias).into(), model: (*model).into() };
    Settings { aliases: pairs.iter().map(entry).collect(), ..Settings::default() }
}

/// What each account of the pool does with the name.
fn serving<'a>(asked: &'a str, pool: &'a [Settings]) -> Vec<Serving<'a>> {
    let wanted = Wanted::read(asked, &pool.iter());
    pool.iter().map(|settings| wanted.by(settings)).collect()
}

#[test]
fn a_prefix_chooses_its_accounts_and_is_taken_off() {
    let pool = [Settings::default(), prefixed("work"), prefixed("home"), prefixed("work")];
    for (asked, expected) in [
        ("opus", [As("opus"), As("opus"), As("opus"), As("opus")]),
        ("work/opus", [Not, As("opus"), Not, As("opus")]),
        ("work/vendor/opus", [Not, As("vendor/opus"), Not, As("vendor/opus")]),
        ("vendor/opus", [As("vendor/opus"); 4]),
        ("Work/opus", [As("Work/opus"); 4]),
        ("work/", [As("work/"); 4]),
        ("/opus", [As("/opus"); 4]),
        ("work", [As("work"); 4]),
    ] {
        assert_eq!(serving(asked, &pool), expected, "{asked}");
    }
}

#[test]
fn an_alias_is_served_by_those_who_have_it_each_as_its_own_model() {
    let pool = [
        Settings::default(),
        aliasing(&[("best", "opus"), ("fast", "haiku")]),
        aliasing(&[("best", "fable")]),
    ];
    for (asked, expected) in [
        ("best", [Not, As("opus"), As("fable")]),
        ("fast", [Not, As("haiku"), Not]),
        ("opus", [As("opus"); 3]),
        ("Best", [As("Best"); 3]),
    ] {
        assert_eq!(serving(asked, &pool), expected, "{asked}");
    }
}

#[test]
fn an_alias_may_take_the_place_of_a_real_model() {
    let pool = [aliasing(&[("opus", "opus-next")]), Settings::default()];
    assert_eq!(serving("opus", &pool), [As("opus-next"), Not]);
}

#[test]
fn an_alias_is_resolved_once() {
    let pool = [aliasing(&[("a", "b"), ("b", "c"), ("x", "x")])];
    assert_eq!(serving("a", &pool), [As("b")]);
    assert_eq!(serving("x", &pool), [As("x")]);
}

#[test]
fn of_two_entries_of_one_alias_the_first_counts() {
    assert_eq!(serving("a", &[aliasing(&[("a", "b"), ("a", "c")])]), [As("b")]);
}

#[test]
fn a_prefix_and_an_alias_go_together() {
    let work = Settings { prefix: Some("work".into()), ..aliasing(&[("best", "opus")]) };
    let pool = [work, prefixed("work"), aliasing(&[("haiku", "other")])];
    assert_eq!(serving("work/best", &pool), [As("opus"), Not, Not]);
    assert_eq!(serving("best", &pool), [As("opus"), Not, Not]);
    // The alias of an account that the prefix does not mean is no concern of those it does.
    assert_eq!(serving("work/haiku", &pool), [As("haiku"), As("haiku"), Not]);
}

#[test]
fn an_exclusion_keeps_a_model_from_its_account_alone() {
    let pool = [excluding(&["claude-haiku-*"]), Settings::default()];
    assert_eq!(serving("claude-haiku-4-5", &pool), [Excluded, As("claude-haiku-4-5")]);
    assert_eq!(serving("CLAUDE-HAIKU-4-5", &pool), [Excluded, As("CLAUDE-HAIKU-4-5")]);
    assert_eq!(serving("claude-opus-5", &pool), [As("claude-opus-5"); 2]);
}

#[test]
fn an_exclusion_holds_for_the_alias_and_for_what_it_stands_for() {
    let by = |pattern: &str| Settings {
        prefix: Some("work".into()),
        excluded: vec![pattern.to_owned()],
        ..aliasing(&[("best", "opus")])
    };
    for (pattern, asked, expected) in [
        ("best", "best", Excluded),
        ("best", "opus", As("opus")),
        ("opus", "best", Excluded),
        ("opus", "work/opus", Excluded),
        ("work/*", "work/opus", As("opus")),
    ] {
        assert_eq!(serving(asked, &[by(pattern)]), [expected], "{pattern} {asked}");
    }
}

#[test]
fn a_request_about_no_model_is_for_everybody() {
    assert_eq!(serving("", &[excluding(&["*"]), prefixed("work"), aliasing(&[("a", "b")])]), [As(""); 3]);
}

#[test]
fn a_star_stands_for_any_run_of_characters() {
    for (pattern, name, expected) in [
        ("opus", "opus", true),
        ("opus", "opus-5", false),
        ("*", "anything", true),
        ("*", "", true),
        ("opus*", "opus", true),
        ("opus*", "claude-opus", false),
        ("*opus", "claude-opus", true),
        ("*opus", "opus-5", false),
        ("*opus*", "claude-opus-5", true),
        ("a*b*c", "abc", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "acb", false),
        ("ab*ba", "aba", false),
        ("a**b", "ab", true),
        ("**", "", true),
        ("*a*a*", "a", false),
        ("*-5*-2026*", "claude-opus-5-5-20260901", true),
        ("CLAUDE-*", "claude-OPUS", true),
        ("", "", true),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}

/// The rule itself, as slowly as it is written down.
fn plainly(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skipped| plainly(rest, &name[skipped..])),
        Some((first, rest)) => name.split_first().is_some_and(|(c, name)| c == first && plainly(rest, name)),
    }
}

proptest! {
    #[test]
    fn patterns_match_as_the_rule_says(pattern in "[ab*]{0,8}", name in "[ab]{0,10}") {
        prop_assert_eq!(matches(&pattern, &name), plainly(pattern.as_bytes(), name.as_bytes()));
    }

    #[test]
    fn a_name_is_always_read_and_only_ever_loses_a_prefix(asked in "\\PC{0,20}", prefix in "[a-z]{1,3}") {
        let pool = [Settings::default(), prefixed(&prefix)];
        for serving in serving(&asked, &pool) {
            prop_assert!(matches!(serving, As(name) if asked.ends_with(name)) || serving == Not);
        }
    }
}
