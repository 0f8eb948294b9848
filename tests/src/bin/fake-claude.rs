//! `fake-claude`: the fake upstream as a program, to try the product without an account and to drive it from
//! other languages. It listens on loopback only and stops on Ctrl-C or SIGTERM.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use proxy_tests::fake_claude::{CONTROL_HELP, Control, Decision, FakeClaude, OnSurprise, Options};
use tokio::signal::unix::{SignalKind, signal};

/// Plays the Claude service on this machine: logins, tokens, models and messages.
#[derive(Debug, Parser)]
#[command(after_help = CONTROL_HELP)]
struct Arguments {
    /// Where to listen; a loopback address, port 0 for any free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9480")]
    listen: SocketAddr,
    /// Life of the access tokens it gives out, in seconds.
    #[arg(long, value_name = "SECS", default_value_t = 8 * 3600, value_parser = clap::value_parser!(i64).range(1..))]
    expires_in: i64,
    /// The authorize page redirects at once as if a person had clicked Allow.
    #[arg(long, conflicts_with = "deny")]
    auto_allow: bool,
    /// The authorize page redirects at once as if a person had clicked Deny.
    #[arg(long)]
    deny: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(run(&arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when stderr is gone, too.
            let _told = writeln!(io::stderr(), "fake-claude: cannot serve on {}: {error}", arguments.listen);
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> io::Result<()> {
    let decision = match (arguments.auto_allow, arguments.deny) {
        (true, _) => Decision::Allow,
        (_, true) => Decision::Deny,
        (false, false) => Decision::Ask,
    };
    let fake = FakeClaude::serve(Options {
        listen: arguments.listen,
        expires_in: arguments.expires_in,
        decision,
        control: Control::On,
        on_surprise: OnSurprise::Keep,
        ..Options::default()
    })
    .await?;
    // Before the announcement: whoever reads it may stop us at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    announce(&fake)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// The URL and the environment that points proxyd here, in a form a shell can source.
fn announce(fake: &FakeClaude) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "# fake-claude listens on {}; point proxyd at it with:", fake.url())?;
    for (name, value) in fake.proxyd_environment() {
        writeln!(out, "export {name}={value}")?;
    }
    out.flush()
}
