//! `tests/bench/count`: how many instructions and allocations one request costs `proxyd`, counted by callgrind and not by the
//! clock, so that a loaded machine counts the same. What grew beyond what is recorded fails. With `--train` nothing is counted: a
//! `proxyd` that notes what it does is asked what programs ask, for the build of `packaging/build`.

mod conversations;
mod program;
mod record;
mod training;
mod wire;
mod works;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
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

/// What is to be done with the program, which is built already.
enum Task {
    Count(PathBuf, Arguments),
    Train(PathBuf),
}

struct Arguments {
    record: PathBuf,
    writes: bool,
    /// Parts of names; none are all.
    works: Vec<String>,
    /// Where callgrind's own files are kept.
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = task().and_then(|task| match task {
        Task::Count(program, arguments) => run(&program, &arguments),
        Task::Train(program) => training::train(&program).map(|()| ExitCode::SUCCESS),
    });
    done.unwrap_or_else(|error| {
        say(&format!("bench-count: {error:#}"));
        ExitCode::FAILURE
    })
}

fn task() -> anyhow::Result<Task> {
    let mut arguments = std::env::args().skip(1);
    let (mut program, mut record, mut keep) = (None, None, None);
    let (mut writes, mut trains, mut works) = (false, false, Vec::new());
    while let Some(argument) = arguments.next() {
        let mut path = || arguments.next().map(PathBuf::from).context("an option lacks its path");
        match argument.as_str() {
            "--program" => program = Some(path()?),
            "--recorded" => record = Some(path()?),
            "--keep" => keep = Some(path()?),
            "--record" => writes = true,
            "--train" => trains = true,
            option if option.starts_with('-') => {
                bail!("there is no option {option}; there are --record and --keep DIRECTORY")
            }
            _ => works.push(argument),
        }
    }
    let program = program.context("--program is needed")?;
    if trains {
        if writes || record.is_some() || keep.is_some() || !works.is_empty() {
            bail!("--train counts nothing, so it takes nothing but --program");
        }
        return Ok(Task::Train(program));
    }
    let record = record.context("--recorded is needed")?;
    if writes && !works.is_empty() {
        bail!("--record records all of it, so it takes no names");
    }
    Ok(Task::Count(program, Arguments { record, writes, works, keep }))
}

fn run(program: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
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
        let cost = cost(program, arguments, work).with_context(|| work.name)?;
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
fn cost(program: &Path, arguments: &Arguments, work: &Work) -> anyhow::Result<Cost> {
    let count = |requests: u64| -> anyhow::Result<Count> {
        let keep =
            arguments.keep.as_ref().map(|keep| keep.join(format!("{}.{requests}.callgrind", work.name)));
        program::count(program, work, requests, keep.as_deref())
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
