//! What a file looks like: how long it is, how it starts, and what never stands in it.

use proc_macro2::{TokenStream, TokenTree};
use syn::Item;
use syn::spanned::Spanned as _;

use super::hold;
use super::source::{self, Source, is_cfg_test};

/// No file is longer than this, its tests not counted.
const HARD_CAP: usize = 600;
/// A file longer than this does two things, or its name is too wide: split it. The one that cannot be split
/// well goes into [`LONG_FOR_A_REASON`].
const SOFT_CAP: usize = 400;
/// Path and reason of each file between the two caps.
const LONG_FOR_A_REASON: &[(&str, &str)] =
    &[("daemon/src/config/keys.rs", "one table of all keys, which grows with each of them")];

/// Lines of a file without its inline test modules.
fn length(source: &Source) -> usize {
    let tests = source.parse().items.into_iter().filter_map(|item| match item {
        Item::Mod(module) if is_cfg_test(&module.attrs) && module.content.is_some() => {
            Some(module.span().end().line - module.span().start().line + 1)
        }
        _ => None,
    });
    source.text.lines().count() - tests.sum::<usize>()
}

fn longer_than<'a>(cap: usize, sources: impl Iterator<Item = &'a Source>) -> Vec<(&'a Source, usize)> {
    // Most files need no parsing to be seen to be short.
    let candidates = sources.filter(|source| source.text.lines().count() > cap);
    candidates.map(|source| (source, length(source))).filter(|(_, length)| *length > cap).collect()
}

/// Macros that mark what is not finished, and attributes that hide what is wrong.
fn forbidden(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let tokens = source.text.parse().unwrap_or_else(|error| panic!("{}: {error}", source.path));
    scan(tokens, &mut found);
    found.into_iter().map(|(line, what)| format!("{}:{line}: {what}", source.path)).collect()
}

fn scan(tokens: TokenStream, found: &mut Vec<(usize, String)>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let follows = |sign: char| matches!(tokens.get(at + 1), Some(TokenTree::Punct(punct)) if punct.as_char() == sign);
        match token {
            TokenTree::Ident(ident) if follows('!') => {
                let name = ident.to_string();
                if matches!(name.as_str(), "todo" | "unimplemented" | "dbg") {
                    found.push((ident.span().start().line, format!("{name}!")));
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                let at = at + if follows('!') { 2 } else { 1 };
                if let Some(TokenTree::Group(attribute)) = tokens.get(at) {
                    attribute_names(attribute.stream(), found);
                }
            }
            TokenTree::Group(group) => scan(group.stream(), found),
            _ => {}
        }
    }
}

/// `allow` and `ignore`, also in a `cfg_attr`.
fn attribute_names(tokens: TokenStream, found: &mut Vec<(usize, String)>) {
    let mut tokens = tokens.into_iter();
    let Some(TokenTree::Ident(name)) = tokens.next() else { return };
    match name.to_string().as_str() {
        forbidden @ ("allow" | "ignore") => {
            found.push((name.span().start().line, format!("#[{forbidden}]")));
        }
        "cfg_attr" => {
            let Some(TokenTree::Group(arguments)) = tokens.next() else { return };
            let mut argument = Vec::new();
            for token in arguments.stream() {
                match token {
                    TokenTree::Punct(punct) if punct.as_char() == ',' => {
                        attribute_names(argument.drain(..).collect(), found);
                    }
                    token => argument.push(token),
                }
            }
            attribute_names(argument.into_iter().collect(), found);
        }
        _ => {}
    }
}

fn starts_with_its_purpose(source: &Source) -> bool {
    source.text.starts_with("//! ")
}

#[test]
fn no_file_is_too_long() {
    let long = longer_than(HARD_CAP, source::product());
    let long: Vec<_> =
        long.iter().map(|(source, length)| format!("{}: {length} lines", source.path)).collect();
    hold(&format!("no file is longer than {HARD_CAP} lines without its tests"), &long);
}

#[test]
fn a_long_file_is_looked_at_again() {
    let long = longer_than(SOFT_CAP, source::product());
    let has_reason = |path: &str| LONG_FOR_A_REASON.iter().any(|(long, _)| *long == path);
    let unexplained: Vec<_> = long
        .iter()
        .filter(|(source, _)| !has_reason(&source.path))
        .map(|(source, length)| format!("{}: {length} lines", source.path))
        .collect();
    hold(&format!("past {SOFT_CAP} lines a file is split, or says in the table why not"), &unexplained);
    for (path, _) in LONG_FOR_A_REASON {
        assert!(long.iter().any(|(source, _)| source.path == *path), "{path} is not long: take it out");
    }
}

#[test]
fn each_file_says_first_what_it_is_for() {
    let silent = source::everything().iter().filter(|source| !starts_with_its_purpose(source));
    hold("a file starts with `//!`", &silent.map(|source| source.path.clone()).collect::<Vec<_>>());
}

#[test]
fn nothing_is_unfinished_or_hidden() {
    let found: Vec<_> = source::everything().iter().flat_map(forbidden).collect();
    hold("finish it, or `#[expect]` it with a reason that is a proof", &found);
}

#[test]
fn length_leaves_out_tests_and_nothing_else() {
    let text = "fn a() {}\nfn b() {}\n#[cfg(test)]\nmod tests {\n    fn c() {}\n}\nfn d() {}\n";
    let source = Source::new("daemon/src/id.rs", text);
    assert_eq!(length(&source), 3);
    assert_eq!(longer_than(2, [&source].into_iter()).len(), 1);
    assert!(longer_than(3, [&source].into_iter()).is_empty());
}

#[test]
fn a_file_that_does_not_say_what_it_is_for_is_found() {
    assert!(starts_with_its_purpose(&Source::new("daemon/src/id.rs", "//! Ids.\n\nuse std::fmt;\n")));
    for text in ["use std::fmt;\n", "// Ids.\n", "//!\n", ""] {
        assert!(!starts_with_its_purpose(&Source::new("daemon/src/id.rs", text)), "{text}");
    }
}

#[test]
fn what_is_unfinished_or_hidden_is_found() {
    for text in [
        "fn f() { todo!() }",
        "fn f() { m!(unimplemented!(\"x\")) }",
        "fn f() -> u8 { dbg!(1) }",
        "#[test] #[ignore] fn f() {}",
        "#[test] #[ignore = \"slow\"] fn f() {}",
        "#![allow(dead_code)]",
        "fn f() { #[allow(unused)] let x = 1; }",
        "#[cfg_attr(unix, inline, allow(dead_code))] fn f() {}",
    ] {
        assert_eq!(forbidden(&Source::new("daemon/src/id.rs", text)).len(), 1, "{text}");
    }
    let fine = "// todo!() #[allow(x)]\n#[expect(a, reason = \"allow\")] fn allow() { s(\"dbg!(1)\"); ignore(todo) }";
    assert_eq!(forbidden(&Source::new("daemon/src/id.rs", fine)), Vec::<String>::new());
}
