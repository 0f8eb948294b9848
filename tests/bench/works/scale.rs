//! How the cost of a request grows: with the number of accounts, with the streams that are open beside it, and with its length.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit};

use super::ACCOUNTS;
use crate::bodies::Dialect;
use crate::contender::{Contender, Who};
use crate::curves::{Line, Panel};
use crate::lab::{Lab, Upstream};
use crate::load::{self, Kind, Spec};
use crate::process::to_f64;
use crate::stats::median;
use crate::upstream::Way;
use crate::upstream::answers::Asked;

const NUMBERS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const LENGTHS: [usize; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
const CONNECTIONS: usize = 32;
/// Of long bodies, which take memory.
const FEW_CONNECTIONS: usize = 4;

/// What the repetitions gave, by the line's name and x.
#[derive(Default)]
struct Points(BTreeMap<(&'static str, usize), Vec<f64>>);

impl Points {
    fn add(&mut self, line: &'static str, x: usize, y: f64) {
        self.0.entry((line, x)).or_default().push(y);
    }

    fn line(&self, name: &'static str) -> Result<Line> {
        let own = self.0.iter().filter(|((line, _), _)| *line == name);
        let points = own.map(|((_, x), ys)| Ok((to_f64(u64::try_from(*x)?), median(ys))));
        Ok(Line { name, points: points.collect::<Result<_>>()? })
    }
}

/// The three curves, each point the median of the repetitions.
pub(crate) fn panels(lab: &Lab, most: usize) -> Result<Vec<Panel>> {
    let upstream = lab.upstream(Way::Plain)?;
    let (mut accounts, mut streams, mut bodies) = (Points::default(), Points::default(), Points::default());
    for _ in 0..lab.settings.repetitions {
        for number in NUMBERS.into_iter().filter(|number| *number <= most) {
            accounts.add("proxyd", number, with_accounts(lab, &upstream, number)?);
            let number = number.min(most_streams()?);
            for who in [Who::Proxyd, Who::HyperFloor] {
                streams.add(who.name(), number, with_streams(lab, &upstream, who, number)?);
            }
        }
        by_length(lab, &upstream, &mut bodies)?;
    }
    let request = "CPU us a request";
    Ok(vec![
        Panel {
            title: "More accounts",
            x: "accounts",
            y: request,
            is_log: false,
            lines: vec![accounts.line("proxyd")?],
        },
        Panel {
            title: "More streams open beside it",
            x: "open streams",
            y: request,
            is_log: false,
            lines: vec![streams.line("proxyd")?, streams.line("hyper floor")?],
        },
        Panel {
            title: "Longer bodies",
            x: "bytes of the request's body",
            y: "CPU ns a byte",
            is_log: true,
            lines: vec![bodies.line("proxyd")?, bodies.line("translated")?, bodies.line("hyper floor")?],
        },
    ])
}

/// As many as the daemon serves at once, of whose open files it counts four for each. 10,000 take 41,000.
fn most_streams() -> Result<usize> {
    let (files, _) = getrlimit(Resource::RLIMIT_NOFILE).context("the limit of open files")?;
    Ok(usize::try_from(files / 4)?.saturating_sub(100))
}

fn with_accounts(lab: &Lab, upstream: &Upstream, accounts: usize) -> Result<f64> {
    let contender = Contender::start(lab, Who::Proxyd, upstream, accounts)?;
    let cost = cost(lab, &spec(lab, &contender)?).with_context(|| format!("{accounts} accounts"))?;
    contender.stop()?;
    Ok(cost * 1e6)
}

fn with_streams(lab: &Lab, upstream: &Upstream, who: Who, streams: usize) -> Result<f64> {
    let contender = Contender::start(lab, who, upstream, ACCOUNTS)?;
    let asked = spec(lab, &contender)?;
    let held = Spec { kind: Kind::Held, asked: Asked::Held, connections: streams, ..asked.clone() };
    let open = |error| format!("{error} {streams} open streams at {}", who.name());
    let (part, outcome) = load::hold(lab, &held)?;
    outcome.all_right().with_context(|| open("opening"))?;
    let cost = cost(lab, &asked).with_context(|| open("asking beside"))?;
    let still: usize = part.finish()?.trim().parse()?;
    anyhow::ensure!(still == streams, "only {still} of {streams} streams were open to the last");
    contender.stop()?;
    Ok(cost * 1e6)
}

fn by_length(lab: &Lab, upstream: &Upstream, points: &mut Points) -> Result<()> {
    for (who, dialect, line) in [
        (Who::Proxyd, Dialect::Messages, "proxyd"),
        (Who::Proxyd, Dialect::Chat, "translated"),
        (Who::HyperFloor, Dialect::Messages, "hyper floor"),
    ] {
        let contender = Contender::start(lab, who, upstream, ACCOUNTS)?;
        for body in LENGTHS {
            let asked = spec(lab, &contender)?;
            let asked = Spec { dialect, body, connections: FEW_CONNECTIONS, ..asked };
            let cost = cost(lab, &asked).with_context(|| format!("{body} bytes, {line}"))?;
            points.add(line, body, cost * 1e9 / to_f64(u64::try_from(body)?));
        }
        contender.stop()?;
    }
    Ok(())
}

/// Processor time of a request, in seconds.
fn cost(lab: &Lab, spec: &Spec) -> Result<f64> {
    let outcome = load::run(lab, spec)?;
    Ok(outcome.cpu_seconds / to_f64(outcome.answers))
}

fn spec(lab: &Lab, contender: &Contender) -> Result<Spec> {
    Ok(Spec {
        kind: Kind::Closed,
        target: contender.address,
        pid: contender.pid,
        dialect: Dialect::Messages,
        asked: Asked::Small,
        body: 0,
        connections: CONNECTIONS,
        warm: 300,
        run: u64::try_from(lab.settings.time.as_millis())?,
    })
}
