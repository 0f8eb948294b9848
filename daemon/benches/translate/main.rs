//! What a request's translation costs beside a bare parse and write of the same bytes: `cargo bench -p proxyd --bench
//! translate`. It fails where the translation of a conversation of 1 MB takes more than three times as long.
//!
//! Processor time is measured, so that the turns of other programs do not count. The two take turns, and the best of many
//! rounds counts: what else the machine does makes a round longer, never shorter.

mod conversation;

use std::error::Error;
use std::hint::black_box;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use nix::time::ClockId;
use proxyd::translate::responses::{self, Recalled};
use proxyd::translate::{Config, chat};
use proxyd::wire::responses::Request;
use serde_json::Value;

const SIZE: usize = 1_000_000;
const ROUNDS: usize = 100;
/// Times a bare parse and write.
const MOST: f64 = 3.0;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // From then on glibc's allocator keeps what is given back to it. Else each round of either might begin with fetching its
    // memory anew from the system, and page faults would be measured.
    drop(black_box(vec![1_u8; 31 << 20]));
    let bodies = conversation::bodies(SIZE);
    let chat = measure("chat", &bodies.chat, |body| {
        black_box(chat::to_messages(body, Config::default(), |_| None)?.body);
        Ok(())
    })?;
    let responses = measure("responses", &bodies.responses, |body| {
        let request = Request::read(body)?;
        black_box(
            responses::to_messages(request, &Recalled::default(), body.len(), Config::default(), |_| None)?
                .body,
        );
        Ok(())
    })?;
    Ok(if chat.max(responses) > MOST { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// How many times as long as a bare parse and write `translate` takes.
fn measure(name: &str, body: &[u8], translate: impl Fn(&[u8]) -> Done) -> Result<f64, Box<dyn Error>> {
    let [mut bare, mut translated] = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        bare = bare.min(time(|| parse_and_write(black_box(body)))?);
        translated = translated.min(time(|| translate(black_box(body)))?);
    }
    let ratio = translated.as_secs_f64() / bare.as_secs_f64();
    writeln!(
        std::io::stdout(),
        "{name}: {} bytes, parse and write {bare:.2?}, translation {translated:.2?}, ratio {ratio:.2} (at most {MOST})",
        body.len(),
    )?;
    Ok(ratio)
}

fn parse_and_write(body: &[u8]) -> Done {
    let tree: Value = serde_json::from_slice(body)?;
    black_box(serde_json::to_vec(&tree)?);
    Ok(())
}

fn time(work: impl FnOnce() -> Done) -> Result<Duration, Box<dyn Error>> {
    let now = || ClockId::CLOCK_THREAD_CPUTIME_ID.now();
    let start = now()?;
    work()?;
    Ok(Duration::from(now()?).saturating_sub(start.into()))
}
