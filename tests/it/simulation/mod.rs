//! A simulated week: ten accounts with windows of 5 hours and 7 days, a hundred conversations, and the real pool between
//! them. It compares the strategies, and its table stands in packaging/docs/strategies.md.
//!
//! Deterministic: the same code gives the same table. When the pool chooses otherwise, `UPDATE_GENERATED=1 cargo test -p
//! proxy-tests --test it -- simulation` writes the new one.

mod world;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use proxyd::pool::Strategy;

use world::{Outcome, week};

const BEGIN: &str = "<!-- simulation -->\n";
const END: &str = "<!-- end of simulation -->\n";

/// The strategies with the outcome of their week; those that are compared there.
fn outcomes() -> &'static [(String, Outcome)] {
    static OUTCOMES: OnceLock<Vec<(String, Outcome)>> = OnceLock::new();
    OUTCOMES.get_or_init(|| {
        let rows = [
            ("`quota`", Strategy::Quota, true),
            ("`round-robin`", Strategy::RoundRobin, true),
            ("`weighted`, weights as the plans", Strategy::Weighted, true),
            ("`fill-first`", Strategy::FillFirst, true),
            ("`quota`, no affinity", Strategy::Quota, false),
            ("`round-robin`, no affinity", Strategy::RoundRobin, false),
        ];
        std::thread::scope(|scope| {
            let weeks = rows.map(|(name, strategy, affinity)| {
                (name.to_owned(), scope.spawn(move || week(strategy, affinity)))
            });
            weeks.into_iter().map(|(name, week)| (name, week.join().unwrap())).collect()
        })
    })
}

fn table() -> String {
    let mut table = String::from(
        "| strategy | requests refused | quota unused at its reset | requests with a warm cache |\n|---|---|---|---|\n",
    );
    for (name, outcome) in outcomes() {
        let Outcome { refused, unused, warm, .. } = outcome;
        writeln!(
            table,
            "| {name} | {:.1} % | {:.1} % | {:.1} % |",
            refused * 100.0,
            unused * 100.0,
            warm * 100.0
        )
        .unwrap();
    }
    table
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test that reads one variable and writes a file of the source tree"
)]
fn the_table_of_the_strategies_is_that_of_the_simulation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/docs/strategies.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the begin of the table");
    let (found, after) = rest.split_once(END).expect("the end of the table");
    let table = table();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(
            found, table,
            "run `UPDATE_GENERATED=1 cargo test -p proxy-tests --test it -- simulation`"
        );
    }
}

fn outcome(name: &str) -> &'static Outcome {
    &outcomes().iter().find(|(known, _)| known == name).unwrap().1
}

#[test]
fn the_default_refuses_least_and_wastes_least() {
    let quota = outcome("`quota`");
    for (name, other) in &outcomes()[1..4] {
        assert!(quota.refused <= other.refused, "{name}");
        assert!(quota.unused <= other.unused, "{name}");
    }
}

#[test]
fn conversations_stay_with_their_cache_and_without_affinity_they_do_not() {
    assert!(outcome("`quota`").warm > 0.9);
    assert!(outcome("`quota`").warm > 1.2 * outcome("`quota`, no affinity").warm);
}

#[test]
fn upstream_is_hardly_ever_asked_in_vain() {
    for (name, outcome) in outcomes() {
        assert!(outcome.in_vain < 0.01, "{name}: {}", outcome.in_vain);
    }
}
