//! Paced streams: how late each event arrives, by the time that it was sent at, which it holds. They begin one after another, as those
//! of people do, each at another moment of the pause between two events: events of all streams at one moment, and the beginning of
//! all of them, would wait for each other whatever stands between. Every event counts.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use proxyd::tasks::Tasks;
use tokio::time::{Instant, interval};

use super::connection::{Connection, words};
use super::{Outcome, Spec};
use crate::clock::now;
use crate::process::cpu;
use crate::upstream::answers::{Asked, WORD};

/// The part of the pause between two events after which the next stream begins: about a fifth, but so that the two hundred after the
/// first all begin at other moments of it.
const TURN: (u32, u32) = (41, 200);

pub(super) async fn run(spec: &Spec) -> Result<Outcome> {
    let tasks = Tasks::new();
    let (before, since) = (cpu(spec.pid)?, Instant::now());
    let Asked::Paced(_, gap) = spec.asked else { bail!("{:?} is not paced", spec.asked) };
    let mut turns = interval(Duration::from_millis(gap) * TURN.0 / TURN.1);
    let mut reading = Vec::with_capacity(spec.connections);
    for index in 0..spec.connections {
        turns.tick().await;
        let spec = spec.clone();
        reading.push(tasks.spawn(async move {
            let mut delays = Vec::new();
            let done = read(&spec, index, &mut delays).await;
            (delays, done)
        }));
    }
    let (mut outcome, mut all) = (Outcome::default(), Vec::new());
    for task in reading {
        let (delays, done) = task.await?;
        all.extend(delays);
        match done {
            Ok(()) => outcome.answers += 1,
            Err(error) => outcome.fail(&error),
        }
    }
    outcome.seconds = since.elapsed().as_secs_f64();
    outcome.cpu_seconds = cpu(spec.pid)?.saturating_sub(before).as_secs_f64();
    outcome.words = u64::try_from(all.len())?;
    Ok(outcome.with_times(all))
}

async fn read(spec: &Spec, index: usize, delays: &mut Vec<u64>) -> Result<()> {
    let mut connection = Connection::open(spec, index).await?;
    connection.ask().await?;
    let mut seen = 0;
    loop {
        let is_whole = connection.read().await?;
        let now = now();
        let new = connection.body.get(seen..).unwrap_or_default();
        let lines = memchr::memrchr(b'\n', new).map_or(0, |end| end + 1);
        delays.extend(times(new.get(..lines).unwrap_or_default()).map(|sent| now.saturating_sub(sent)));
        seen += lines;
        if is_whole {
            let wanted = words(spec.asked);
            ensure!(delays.len() == wanted, "{} text events instead of {wanted}", delays.len());
            return Ok(());
        }
    }
}

/// The times of the text events in whole lines.
fn times(lines: &[u8]) -> impl Iterator<Item = u64> {
    memchr::memmem::find_iter(lines, WORD).filter_map(|at| {
        let behind = lines.get(at + WORD.len() + 1..)?;
        let digits = behind.iter().take_while(|byte| byte.is_ascii_digit());
        let value = |sum: u64, digit: &u8| sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        Some(digits.fold(0, value)).filter(|time| *time > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::times;

    #[test]
    fn times_are_found_in_events_of_any_dialect() {
        let lines = b"data: {\"text\":\" heron 123\"}\n\ndata: {\"content\":\" heron 45\"}\ndata: {}\n";
        assert_eq!(times(lines).collect::<Vec<_>>(), [123, 45]);
        assert_eq!(times(b"data: heron\n").count(), 0);
    }
}
