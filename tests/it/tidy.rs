//! The house rules that the compiler does not know: who may import whom, who may touch the outside world,
//! what stays pure, how long a file may be, and what lies at the top of the repository.
//!
//! Each rule is a function from source text to what breaks it, so each is also shown to find what it is there
//! to find.

mod form;
mod layers;
mod outside;
mod purity;
mod root;
mod source;
mod uses;

/// Fails with one line for each thing that breaks a rule.
fn hold(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}
