//! `tests/bench/count`: how many instructions and allocations one request costs `proxyd`, counted by callgrind and not by the
//! clock, so that a loaded machine counts the same. What grew beyond what is recorded fails.

mod program;
mod record;
mod wire;
mod works;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use program::Count;
use record::{Recorded, Verdict};
use works::Work;

/// What one of it costs, each as callgrind counts it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Cost {
    pub(crate) instructions: u64,
    /// Tenths hold what is allocated for several requests at once.
    pub(crate) allocations: f64,
}

struct Arguments {
    /// Counted in its place: built already.
    program: PathBuf,
    record: PathBuf,
    writes: bool,
    /// Parts of names; none are all.
    works: Vec<String>,
    /// Where callgrind's own files are kept.
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = arguments().and_then(|arguments| run(&arguments));
    done.unwrap_or_else(|error| {
        say(&format!("tests/bench/count: {error:#}"));
        ExitCode::FAILURE
    })
}

fn arguments() -> anyhow::Result<Arguments> {
    let mut arguments = std::env::args().skip(1);
    let (mut program, mut record, mut writes, mut works, mut keep) = (None, None, false, Vec::new(), None);
    while let Some(argument) = arguments.next() {
        let mut path = || arguments.next().map(PathBuf::from).context("an option lacks its path");
        match argument.as_str() {
            "--program" => program = Some(path()?),
            "--recorded" => record = Some(path()?),
            "--keep" => keep = Some(path()?),
            "--record" => writes = true,
            option if option.starts_with('-') => {
                bail!("there is no option {option}; there are --record and --keep DIRECTORY")
            }
            _ => works.push(argument),
        }
    }
    let (program, record) = program.zip(record).context("--program and --recorded are needed")?;
    if writes && !works.is_empty() {
        bail!("--record records all of it, so it takes no names");
    }
    Ok(Arguments { program, record, writes, works, keep })
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(keep) = &arguments.keep {
        std::fs::create_dir_all(keep).with_context(|| format!("cannot make {}", keep.display()))?;
    }
    let chosen = |work: &&Work| {
        arguments.works.is_empty() || arguments.works.iter().any(|part| work.name.contains(part.as_str()))
    };
    let works = works::all();
    let works: Vec<&Work> = works.iter().filter(chosen).collect();
    if works.is_empty() {
        bail!("no work has such a name");
    }
    let recorded = Recorded::read(&arguments.record)?;
    let mut counted = Vec::new();
    let mut has_grown = false;
    say(&format!(
        "{:<16} {:>14} {:>12}   {}",
        "one request", "instructions", "allocations", "against the record"
    ));
    for work in works {
        let cost = cost(arguments, work).with_context(|| work.name)?;
        let verdict = recorded.judge(work.name, cost);
        has_grown |= matches!(verdict, Verdict::Grown(_));
        let (name, Cost { instructions, allocations }) = (work.name, cost);
        say(&format!("{name:<16} {instructions:>14} {allocations:>12.1}   {verdict}"));
        counted.push((work.name, cost));
    }
    if arguments.writes {
        record::write(&arguments.record, &counted)?;
        say("recorded");
    } else if has_grown {
        say("what grew is to be mended, or recorded in the same commit: tests/bench/count --record");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// From a few requests and from more of them: the difference is theirs alone, and a start and an end are no part of it.
fn cost(arguments: &Arguments, work: &Work) -> anyhow::Result<Cost> {
    let count = |requests: u64| -> anyhow::Result<Count> {
        let keep =
            arguments.keep.as_ref().map(|keep| keep.join(format!("{}.{requests}.callgrind", work.name)));
        program::count(&arguments.program, work, requests, keep.as_deref())
    };
    let (few, many) = (work.requests, 3 * work.requests);
    let (base, more) = (count(few)?, count(many)?);
    let times = many - few;
    let instructions = more.instructions.saturating_sub(base.instructions) / times;
    let tenths = 10 * more.allocations.saturating_sub(base.allocations) / times;
    if tenths == 0 {
        bail!(
            "nothing was allocated: the allocator's functions have other names than those that are counted"
        );
    }
    let allocations = f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0;
    Ok(Cost { instructions, allocations })
}

pub(crate) fn say(line: &str) {
    let _nobody_listens = writeln!(io::stdout(), "{line}");
}
