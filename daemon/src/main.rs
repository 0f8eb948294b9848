//! `proxyd`: arguments, logging, runtime, run, exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, fstat, umask};
use proxyd::admin::Outside;
use proxyd::app::App;
use proxyd::chain::ErrorChain;
use proxyd::cli::{Cli, Command};
use proxyd::clock::Clock;
use proxyd::config::{self, Environment, Loaded, LogFormat};
use proxyd::reload::Configuration;
use proxyd::sandbox::{self, Restricted};
use proxyd::systemd::{self, Announced, Given, GivenError};
use proxyd::telemetry::{self, Logging, Output};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// It gives memory back after a crowd of streams, and its blocks of whole pages keep what a stream does not write to unused.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `EX_CONFIG` of sysexits(3): starting again does not help.
const EXIT_CONFIG: u8 = 78;

fn main() -> ExitCode {
    if let Err(problem) = harden() {
        say(&format!("proxyd: {problem}\n"));
        return ExitCode::FAILURE;
    }
    let cli = Cli::of_process();
    let environment = Environment::of_process();
    let loaded = match config::load(&cli.flags(), &environment) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            say(&format!("proxyd: {mistakes}\n"));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match cli.command {
        Some(Command::CheckConfig) => print("the configuration is valid\n"),
        Some(Command::PrintConfig) => print(&loaded.print()),
        None => {
            let output = output(loaded.config.log_format, &environment);
            let mut logging = match telemetry::init(loaded.config.log_level.into(), output) {
                Ok(logging) => logging,
                Err(error) => {
                    say(&format!("proxyd: cannot start logging: {error}\n"));
                    return ExitCode::FAILURE;
                }
            };
            match serve(loaded, &environment, &mut logging) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    // What led to it comes first.
                    drop(logging);
                    say(&format!("proxyd: {}\n", ErrorChain(error.as_ref())));
                    // Its socket unit has to be mended first.
                    let is_mistake = error.is::<GivenError>();
                    if is_mistake { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
                }
            }
        }
    }
}

/// Before anything secret is read: nobody else may look into this process, nor find what it held in a core file, and what it
/// makes is its own.
fn harden() -> Result<(), String> {
    let _old = umask(Mode::from_bits_truncate(0o077));
    prctl::set_dumpable(false)
        .map_err(|error| format!("cannot close its memory to other processes: {error}"))?;
    // Set already under systemd, whose filter of system calls may forbid setting it again.
    if getrlimit(Resource::RLIMIT_CORE) != Ok((0, 0)) {
        setrlimit(Resource::RLIMIT_CORE, 0, 0)
            .map_err(|error| format!("cannot forbid core files: {error}"))?;
    }
    raise_file_limit();
    Ok(())
}

/// Each connection takes a descriptor, and the soft limit is low for programs that use select(2). Less is no reason not to
/// start: the HTTP server takes no more connections than the limit allows.
fn raise_file_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _as_it_was = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn serve(loaded: Loaded, environment: &Environment, logging: &mut Logging) -> anyhow::Result<()> {
    // Changes the environment, so it comes before any thread.
    let given = Given::take(Announced {
        pid: environment.get("LISTEN_PID"),
        fds: environment.get("LISTEN_FDS"),
        names: environment.get("LISTEN_FDNAMES"),
    })?;
    systemd::open(environment.get("NOTIFY_SOCKET"));
    // Both before the runtime: its threads are restricted as this one is, and that one thread is not.
    let outside = Outside::start().context("cannot start a thread")?;
    let places = App::prepare(&loaded, &given)?;
    match sandbox::restrict(&loaded.config.sandbox, &places)? {
        Restricted::Fully => tracing::debug!("restricted to its own files by landlock"),
        Restricted::Not => tracing::warn!("not restricted to its own files: sandbox.landlock is off"),
    }
    logging.start().context("cannot start a thread")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let mut signals = Signals::new().context("cannot listen for signals")?;
        let app = App::start(loaded, Clock::system(), outside, given).await?;
        let (asked, stop) = tokio::sync::oneshot::channel::<()>();
        let configuration = app.configuration().clone();
        let running = app.run(async {
            // The sender never goes away unsent.
            let _asked = stop.await;
        });
        tokio::pin!(running);
        tokio::select! {
            ended = &mut running => return Ok(ended?),
            () = signals.stop(&configuration) => drop(asked),
        }
        tokio::select! {
            ended = &mut running => ended?,
            () = signals.stop(&configuration) => tracing::warn!("asked a second time: stopping at once"),
        }
        Ok(())
    });
    // After a second signal something may hang in a blocking call: it is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

/// What the daemon is told from outside. Without a terminal it has nothing to hang up, and one that hangs up stops nothing: what
/// is under way goes on.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Resolves when the daemon is to stop. Until then each SIGHUP has the configuration read anew.
    async fn stop(&mut self, configuration: &Configuration) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => configuration.nudge(),
            }
        }
    }
}

/// Where lines go, in the form that was chosen.
fn output(format: LogFormat, environment: &Environment) -> Output {
    match format {
        LogFormat::Auto if leads_to_journal(environment) => Output::Journal,
        LogFormat::Auto | LogFormat::Text => Output::Text,
        LogFormat::Json => Output::Json,
        LogFormat::Journal => Output::Journal,
    }
}

/// Whether stderr is the journal's: systemd names the device and inode of what it gave us (systemd.exec(5)). The variable
/// alone says nothing: every program of a desktop session inherits it.
fn leads_to_journal(environment: &Environment) -> bool {
    let stream = fstat(io::stderr()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    environment.get("JOURNAL_STREAM").is_some_and(|journal| stream.as_deref() == Ok(journal))
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn say(text: &str) {
    let _nobody_listens = io::stderr().write_all(text.as_bytes());
}
