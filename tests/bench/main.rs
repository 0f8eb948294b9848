//! `cargo run --release -p proxy-tests --bin bench`: what the daemon costs, beside floors that do nothing but forward, nginx, and the
//! direct call. Loopback only. Each part is a process of its own on a core of its own; the repetitions of all of them take turns, so
//! that what else the machine does meets them all. Prints one table; figures are medians, and ratios those of the repetitions.

mod bodies;
mod clock;
mod contender;
mod cores;
mod curves;
mod files;
mod floor;
mod lab;
mod load;
mod process;
mod row;
mod stats;
mod table;
mod upstream;
mod works;

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;

use lab::{Lab, Settings};

/// Open files that the largest crowd needs.
const FILES: u64 = 45_000;

/// Measures what proxyd costs, side by side with floors, nginx and the direct call.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Cli {
    /// Only works whose names hold one of these.
    #[arg(long, value_name = "WORK", num_args = 1..)]
    only: Vec<String>,
    /// How often each is measured [default: 5, or 1 with --quick].
    #[arg(long)]
    repetitions: Option<usize>,
    /// Seconds of each measurement [default: 2, or 1 with --quick].
    #[arg(long)]
    seconds: Option<f64>,
    /// Writes everything that was measured into this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measures how the cost of a request grows with accounts, open streams and its length, and draws it into this
    /// directory as scale.svg, instead of the table.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["only", "json", "check"])]
    curves: Option<PathBuf>,
    /// Names the works.
    #[arg(long)]
    list: bool,
    /// One short repetition of everything: to see that it works, not how fast.
    #[arg(long)]
    quick: bool,
    /// Ends with exit code 1 when a target is missed.
    #[arg(long)]
    check: bool,
    /// Measures this proxyd instead of the one of these sources.
    #[arg(long, value_name = "FILE")]
    proxyd: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What this program is when it starts itself.
#[derive(Debug, Subcommand)]
enum Part {
    #[command(hide = true)]
    Upstream {
        #[arg(long)]
        certificate: Option<PathBuf>,
        #[arg(long)]
        http2: bool,
    },
    #[command(hide = true)]
    Floor {
        kind: floor::Kind,
        #[arg(long)]
        upstream: SocketAddr,
        #[arg(long)]
        certificate: Option<PathBuf>,
    },
    #[command(hide = true)]
    Load { spec: String },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.part {
        Some(part) => part.run().map(|()| true),
        None => bench(&cli),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _nobody_listens = writeln!(io::stderr(), "bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether it ended well, as far as that was asked for.
fn bench(cli: &Cli) -> Result<bool> {
    let mut works = works::all();
    works.retain(|work| cli.only.is_empty() || cli.only.iter().any(|part| work.name.contains(part)));
    ensure!(!works.is_empty(), "no work has such a name: --list names them all");
    if cli.list {
        for work in &works {
            say(&format!("{:<14} {}", work.name, work.title))?;
        }
        return Ok(true);
    }
    ensure!(!cfg!(debug_assertions), "only release builds are worth measuring: cargo run --release ...");
    more_files();
    let proxyd = match &cli.proxyd {
        Some(file) => file.canonicalize().with_context(|| file.display().to_string())?,
        None => proxy_tests::binaries::programs().proxyd.clone(),
    };
    let lab = Lab::new(settings(cli)?, proxyd)?;
    let run = json!({
        "cores": lab.cores.count, "repetitions": lab.settings.repetitions,
        "seconds": lab.settings.time.as_secs_f64(),
        "proxyd's log": "a line a request, as text into a file",
    });
    if let Some(dir) = &cli.curves {
        return draw(&lab, if cli.quick { 1_000 } else { 10_000 }, dir);
    }
    say(&format!("{run}\n{}", table::head()))?;
    let mut rows = Vec::new();
    for work in &works {
        let row = work.run(&lab);
        say(table::row(&row).trim_end_matches('\n'))?;
        rows.push(row);
    }
    if let Some(file) = &cli.json {
        files::put(file, format!("{:#}\n", table::document(&rows, &run)).as_bytes())?;
    }
    let failed = rows.iter().filter(|row| row.failure.is_some()).count();
    let missed = rows.iter().filter(|row| !row.is_met()).count();
    say(&format!("\n{} works, {} reach their targets, {failed} failed", rows.len(), rows.len() - missed))?;
    Ok(failed == 0 && !(cli.check && missed > 0))
}

fn draw(lab: &Lab, most: usize, dir: &Path) -> Result<bool> {
    let panels = works::scale::panels(lab, most)?;
    for panel in &panels {
        say(curves::table(panel).trim_end_matches('\n'))?;
    }
    files::put(&dir.join("scale.svg"), curves::svg(&panels).as_bytes())?;
    Ok(true)
}

fn settings(cli: &Cli) -> Result<Settings> {
    let pick = |full, quick| if cli.quick { quick } else { full };
    let seconds = cli.seconds.unwrap_or(if cli.quick { 1.0 } else { 2.0 });
    let repetitions = cli.repetitions.unwrap_or(pick(5, 1));
    ensure!(repetitions > 0, "--repetitions is 1 at least");
    Ok(Settings {
        repetitions,
        time: Duration::try_from_secs_f64(seconds).context("--seconds")?,
        rest: Duration::from_secs(if cli.quick { 10 } else { 60 }),
    })
}

fn more_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Root may have more than it was given.
        let more = hard.max(FILES);
        let _as_it_was = setrlimit(Resource::RLIMIT_NOFILE, more, more)
            .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    }
}

impl Part {
    fn run(&self) -> Result<()> {
        let mut builder = match self {
            // As a proxy's is, with as many threads as it has cores.
            Self::Floor { .. } => tokio::runtime::Builder::new_multi_thread(),
            Self::Upstream { .. } | Self::Load { .. } => tokio::runtime::Builder::new_current_thread(),
        };
        let runtime = builder.enable_all().build()?;
        let serving = async {
            match self {
                Self::Upstream { certificate, http2 } => {
                    let protocols: &[&str] = if *http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
                    upstream::serve(certificate.as_deref(), protocols).await
                }
                Self::Floor { kind, upstream, certificate } => {
                    floor::serve(*kind, *upstream, certificate.as_deref()).await
                }
                Self::Load { spec } => return load::serve(spec).await,
            }
        };
        let done = runtime.block_on(async {
            if matches!(self, Self::Load { .. }) {
                return serving.await;
            }
            tokio::select! {
                done = serving => done,
                _closed = input_closed() => Ok(()),
            }
        });
        runtime.shutdown_background();
        done
    }
}

/// The bench closes it when a part is to end, or by its own end.
async fn input_closed() {
    let waiting = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
    let _closed = waiting.await;
}

/// A line to whoever started this process.
fn say(line: &str) -> Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("standard output")
}
