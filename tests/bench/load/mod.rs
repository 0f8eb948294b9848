//! The load: a process of its own that asks and reads with as little as that takes, and tells what it got as JSON.

mod closed;
mod connection;
mod held;
mod http;
mod paced;

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::bodies::Dialect;
use crate::lab::Lab;
use crate::process::Part;
use crate::stats::per_mille;
use crate::upstream::answers::Asked;

/// What is asked, how often and for how long.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Spec {
    pub(crate) kind: Kind,
    pub(crate) target: SocketAddr,
    /// Whose processor time is counted.
    pub(crate) pid: u32,
    pub(crate) dialect: Dialect,
    pub(crate) asked: Asked,
    /// About how long a request's body is; 0 is a short question.
    pub(crate) body: usize,
    pub(crate) connections: usize,
    /// Answers before this many milliseconds count for nothing.
    pub(crate) warm: u64,
    /// Milliseconds that answers are counted in.
    pub(crate) run: u64,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Kind {
    /// Each connection asks again as soon as it was answered.
    Closed,
    /// Each connection reads one paced stream.
    Paced,
    /// Each connection opens a stream and keeps it.
    Held,
}

/// What came of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Outcome {
    /// Whole and right answers in the time that is counted; of held streams those that are open.
    pub(crate) answers: u64,
    /// Anything else, at any time.
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
    pub(crate) seconds: f64,
    /// Of whole answers; of paced streams the delay of an event, of held ones the time to the first text.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
    /// Text events.
    pub(crate) words: u64,
    /// Processor time of the process that was named.
    pub(crate) cpu_seconds: f64,
}

impl Outcome {
    /// Puts the times, in nanoseconds, into order and into the outcome.
    fn with_times(mut self, mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let micros = |share| crate::process::to_f64(per_mille(&times, share)) / 1e3;
        (self.p50_us, self.p99_us, self.max_us) = (micros(500), micros(990), micros(1000));
        self
    }

    fn fail(&mut self, error: &anyhow::Error) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| format!("{error:#}"));
    }

    /// An outcome counts only if nothing failed.
    pub(crate) fn all_right(self) -> Result<Self> {
        let first = self.first_failure.as_deref().unwrap_or("nothing was answered");
        ensure!(self.failed == 0 && self.answers > 0, "{} of its requests failed: {first}", self.failed);
        Ok(self)
    }
}

/// The load's process: does what `spec` says and tells the outcome in a line.
pub(crate) async fn serve(spec: &str) -> Result<()> {
    let spec: Spec = serde_json::from_str(spec)?;
    match spec.kind {
        Kind::Closed => tell(&closed::run(&spec).await?),
        Kind::Paced => tell(&paced::run(&spec).await?),
        Kind::Held => held::run(&spec).await,
    }
}

fn tell(outcome: &Outcome) -> Result<()> {
    crate::say(&serde_json::to_string(outcome)?)
}

/// Runs a load to its end.
pub(crate) fn run(lab: &Lab, spec: &Spec) -> Result<Outcome> {
    let mut part = start(lab, spec)?;
    let outcome = outcome(&mut part)?;
    part.finish()?;
    outcome.all_right()
}

/// Opens streams that stay open until the load is finished; that tells how many were open to the last.
pub(crate) fn hold(lab: &Lab, spec: &Spec) -> Result<(Part, Outcome)> {
    let mut part = start(lab, spec)?;
    let outcome = outcome(&mut part)?;
    Ok((part, outcome))
}

fn start(lab: &Lab, spec: &Spec) -> Result<Part> {
    lab.part(lab.cores.load, &["load", &serde_json::to_string(spec)?])
}

fn outcome(part: &mut Part) -> Result<Outcome> {
    let line = part.line().context("the load")?;
    serde_json::from_str(&line).with_context(|| format!("the load said {line}"))
}
