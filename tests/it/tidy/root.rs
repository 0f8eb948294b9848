//! What lies at the top of the repository.

use std::collections::BTreeSet;
use std::fs;

use super::{hold, source};

/// The seven names of the house.
const HOUSE: &[&str] = &["Cargo.toml", "daemon", "ctl", "proto", "packaging", "systemd", "tests"];
/// The usual files beside them.
const USUAL: &[&str] = &[
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "deny.toml",
    "rust-toolchain.toml",
    "rustfmt.toml",
];

/// What is missing or too much, given the names that were found and the text of `.gitignore`.
fn broken(found: &[String], ignored: &str) -> Vec<String> {
    let ignored: Vec<_> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let found: BTreeSet<_> = found.iter().map(String::as_str).collect();
    let wanted: BTreeSet<_> = HOUSE.iter().chain(USUAL).copied().collect();
    let missing = wanted.difference(&found).map(|name| format!("{name} is missing"));
    let extra = found.difference(&wanted).filter(|name| **name != ".git" && !ignored.contains(name));
    missing.chain(extra.map(|name| format!("{name} does not belong there"))).collect()
}

#[test]
fn nothing_is_missing_at_the_top_and_nothing_is_too_much() {
    let root = source::root();
    let entries = fs::read_dir(&root).unwrap();
    let found: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap();
    hold("the top of the repository", &broken(&found, &ignored));
}

#[test]
fn a_missing_name_and_a_new_one_are_found() {
    let names: Vec<_> = HOUSE.iter().chain(USUAL).map(|name| (*name).to_owned()).collect();
    let with = |extra: &str| names.iter().cloned().chain([extra.to_owned()]).collect::<Vec<_>>();
    assert!(broken(&names, "").is_empty());
    assert!(broken(&with(".git"), "").is_empty());
    assert!(broken(&with("target"), "/target\n").is_empty());
    assert_eq!(broken(&with("scripts"), "/target\n"), ["scripts does not belong there"]);
    let fewer: Vec<_> = names.iter().filter(|name| *name != "systemd").cloned().collect();
    assert_eq!(broken(&fewer, ""), ["systemd is missing"]);
}
