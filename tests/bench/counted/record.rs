//! What was counted before, as it stands in `tests/bench/counted.json`.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::Cost;

/// What is beyond it is no chance.
const TOLERATED: f64 = 0.05;

pub(crate) struct Recorded(Map<String, Value>);

/// How a cost compares, with the two changes in shares of one.
pub(crate) enum Verdict {
    /// There is none to compare with.
    New,
    Same([f64; 2]),
    Fallen([f64; 2]),
    Grown([f64; 2]),
}

impl Recorded {
    /// Without a file nothing is recorded.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            return Ok(Self(Map::new()));
        }
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let read = serde_json::from_str(&text);
        read.map(Self).with_context(|| format!("{} is not what --record writes", path.display()))
    }

    pub(crate) fn judge(&self, work: &str, cost: Cost) -> Verdict {
        let recorded = |what| self.0.get(work)?.get(what)?.as_f64().filter(|before| *before > 0.0);
        let (Some(instructions), Some(allocations)) = (recorded("instructions"), recorded("allocations"))
        else {
            return Verdict::New;
        };
        let changes =
            [as_float(cost.instructions) / instructions - 1.0, cost.allocations / allocations - 1.0];
        if changes.iter().any(|change| *change > TOLERATED) {
            Verdict::Grown(changes)
        } else if changes.iter().any(|change| *change < -TOLERATED) {
            Verdict::Fallen(changes)
        } else {
            Verdict::Same(changes)
        }
    }
}

/// Writes it anew.
pub(crate) fn write(path: &Path, counted: &[(&str, Cost)]) -> anyhow::Result<()> {
    let entry = |(work, cost): &(&str, Cost)| {
        let Cost { instructions, allocations } = cost;
        ((*work).to_owned(), json!({ "instructions": instructions, "allocations": allocations }))
    };
    let all: Map<String, Value> = counted.iter().map(entry).collect();
    let text = serde_json::to_string_pretty(&all)? + "\n";
    #[expect(
        clippy::disallowed_methods,
        reason = "it lies in the repository, where git keeps the one before"
    )]
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Costs are far below what a float holds exactly.
fn as_float(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (changes, note) = match self {
            Self::New => return f.write_str("not recorded yet"),
            Self::Same(changes) => (changes, ""),
            Self::Fallen(changes) => (changes, "  fell: tests/bench/count --record keeps it so"),
            Self::Grown(changes) => (changes, "  GREW"),
        };
        let [instructions, allocations] = changes.map(|change| change * 100.0);
        write!(f, "{instructions:+.1} %, {allocations:+.1} %{note}")
    }
}
