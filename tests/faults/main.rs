//! `tests/faults/run`: the real `proxyd` against everything that it promises to endure. Loopback only, bounded in count,
//! memory and time. One line for each case, `N passed, N failed` at the end, exit code 1 if one failed.

mod bench;
mod bodies;
mod browsers;
mod callers;
mod case;
mod crowds;
mod endings;
mod evidence;
mod keys;
mod odd;
mod process;
mod readers;
mod smuggling;
mod upstreams;
mod wire;
mod written;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use case::{Case, Verdict};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

macro_rules! cases {
    ($($module:ident: $($name:ident),+;)+) => {
        &[$($(Case { name: stringify!($name), run: || Box::pin($module::$name()) }),+),+]
    };
}

/// In this order; the last one looks through what all the others left.
const CASES: &[Case] = cases! {
    browsers: host_forms, origins_and_preflights, configured_page, content_types;
    callers: another_user_by_tcp, another_user_by_unix_socket, another_user_by_control_socket, nothing_crosses;
    keys: good_and_wrong_keys, wrong_keys_are_throttled, limits_of_keys, open_addresses_need_keys, passthrough, overload_is_shed;
    smuggling: smuggling_forms;
    bodies: large_bodies;
    crowds: slow_connections, slow_connections_end, idle_connections, few_descriptors, control_connections;
    readers: stalled_readers, stalled_reader_is_cut, leaving_client;
    upstreams: hangs_at_connect, hangs_at_headers, hangs_in_the_stream, silence_is_filled, resets, redirects_to_a_thief, long_line,
        gzip_bomb, huge_headers;
    endings: sigterm_in_streams, second_signal, stuck_runtime;
    process: no_landlock, certificate_is_renewed;
    written: canaries;
};

/// Open files that the largest crowd needs, here and in the daemon.
const FILES: u64 = 25_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for case in CASES {
            say(case.name);
        }
        return ExitCode::SUCCESS;
    }
    if let [call, way, place] = arguments.as_slice()
        && call == "--call"
    {
        return called(way, place);
    }
    let is_asked =
        |case: &&Case| arguments.is_empty() || arguments.iter().any(|part| case.name.contains(part));
    let chosen: Vec<&Case> = CASES.iter().filter(is_asked).collect();
    if chosen.is_empty() {
        say("no case has such a name: --list names them all");
        return ExitCode::from(2);
    }
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Root may have more than it was given.
        let more = hard.max(FILES);
        let _as_it_was = setrlimit(Resource::RLIMIT_NOFILE, more, more)
            .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    }
    // What a panic says is told in its case's line.
    std::panic::set_hook(Box::new(|_| {}));
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(run(&chosen)),
        Err(error) => {
            say(&format!("cannot start: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// This program as another user.
fn called(way: &str, place: &str) -> ExitCode {
    let calling = async { callers::call(way, place).await };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(calling)) {
        Ok(Ok(status)) => say(&status),
        Ok(Err(error)) => say(&format!("{error:#}")),
        Err(error) => say(&error.to_string()),
    }
    ExitCode::SUCCESS
}

async fn run(chosen: &[&Case]) -> ExitCode {
    let _built = proxy_tests::binaries::programs();
    let (mut passed, mut failed, mut not_run) = (0, 0, 0);
    for case in chosen {
        let since = Instant::now();
        let verdict = case.judge().await;
        let (word, colon) = match verdict {
            Verdict::Held(_) => ("ok", ""),
            Verdict::Failed(_) => ("FAILED", ":"),
            Verdict::NotRun(_) => ("not run", ":"),
        };
        match verdict {
            Verdict::Held(_) => passed += 1,
            Verdict::Failed(_) => failed += 1,
            Verdict::NotRun(_) => not_run += 1,
        }
        say(&format!("{word} {}{colon} {verdict} [{:.1} s]", case.name, since.elapsed().as_secs_f64()));
    }
    let last = if not_run > 0 { format!(", {not_run} not run") } else { String::new() };
    say(&format!("{passed} passed, {failed} failed{last}"));
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn say(line: &str) {
    let mut stdout = io::stdout();
    let _nobody_listens = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
