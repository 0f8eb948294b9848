//! Works of many streams at once: how late their events come, and what an open stream holds.

use anyhow::{Context as _, Result, ensure};

use super::{ACCOUNTS, Work, contenders};
use crate::bodies::Dialect;
use crate::contender::{Contender, Who};
use crate::lab::Lab;
use crate::load::{self, Kind, Outcome, Spec};
use crate::process::{Part, memory_kib, to_f64};
use crate::row::Target::{AtMost, Within};
use crate::row::{CPU_EVENT, Figures, LATE_P50, LATE_P99, Metric};
use crate::upstream::Way;
use crate::upstream::answers::Asked;

const PACED_STREAMS: usize = 256;
/// Milliseconds between two events.
const GAP: u64 = 20;
/// Streams that are open at once.
const HELD_STREAMS: usize = 2_000;

const ADDED_LATE: Metric = "added late p99, us";
const IDLE: Metric = "idle, MiB";
const STREAM: Metric = "KiB an open stream";
const AFTER: Metric = "after, % of idle";
const PLAIN_FIRST: Metric = "plain, first us";
const TLS_FIRST: Metric = "TLS, first us";
const TLS_OVER_PLAIN: Metric = "TLS over plain";
const TLS_OPEN: Metric = "TLS, all open in s";

pub(super) fn works() -> impl Iterator<Item = Work> {
    [
        Work {
            name: "paced",
            title: "/v1/messages, 256 streams with 20 ms between events: how late an event comes",
            run: Box::new(paced),
            targets: &[Within(ADDED_LATE, 1_000.0)],
        },
        Work {
            name: "memory",
            title: "/v1/messages, 2,000 streams open at once, and a while after they ended",
            run: Box::new(memory),
            targets: &[Within(IDLE, 12.0), Within(STREAM, 32.0), Within(AFTER, 120.0)],
        },
        Work {
            name: "limited",
            title: "/v1/messages, 2,000 streams open at once, upstream over TLS with 100 streams a connection",
            run: Box::new(limited),
            targets: &[Within(TLS_OVER_PLAIN, 2.0), AtMost(TLS_FIRST, 2.0, Who::HyperFloor)],
        },
    ]
    .into_iter()
}

/// An event that does not come, or comes twice, fails its stream and so the work.
fn paced(lab: &Lab) -> Result<Figures> {
    let upstream = lab.upstream(Way::Plain)?;
    let contenders = contenders(lab, &Who::ALL, &upstream)?;
    let events = usize::try_from(lab.settings.time.as_millis())? / usize::try_from(GAP)?;
    let mut figures = Figures::default();
    for _ in 0..lab.settings.repetitions {
        for contender in &contenders {
            let spec = spec(contender, Kind::Paced, Asked::Paced(events, GAP), PACED_STREAMS);
            let outcome = load::run(lab, &spec).with_context(|| contender.who.name())?;
            let who = contender.who;
            figures.add(who, LATE_P50, outcome.p50_us);
            figures.add(who, LATE_P99, outcome.p99_us);
            figures.add(who, CPU_EVENT, outcome.cpu_seconds * 1e6 / to_f64(outcome.words));
            if who != Who::Direct {
                figures.add_difference(who, LATE_P99, ADDED_LATE);
            }
        }
    }
    contenders.into_iter().try_for_each(Contender::stop)?;
    Ok(figures)
}

/// Once, with each started anew: what a second crowd holds depends on the first.
fn memory(lab: &Lab) -> Result<Figures> {
    let upstream = lab.upstream(Way::Plain)?;
    let mut figures = Figures::default();
    for who in [Who::HyperFloor, Who::CoalescingFloor, Who::Nginx, Who::Proxyd] {
        for contender in contenders(lab, &[who], &upstream)? {
            let (idle, open, after) = held(lab, &contender).with_context(|| contender.who.name())?;
            figures.add(who, IDLE, idle / 1024.0);
            figures.add(who, STREAM, (open - idle) / to_f64(u64::try_from(HELD_STREAMS)?));
            figures.add(who, AFTER, 100.0 * after / idle);
            contender.stop()?;
        }
    }
    Ok(figures)
}

/// KiB before, while and after.
fn held(lab: &Lab, contender: &Contender) -> Result<(f64, f64, f64)> {
    let memory = || memory_kib(contender.pid).map(to_f64);
    let idle = memory()?;
    let (part, _outcome) = hold(lab, contender)?;
    let open = memory()?;
    release(part)?;
    std::thread::sleep(lab.settings.rest);
    Ok((idle, open, memory()?))
}

fn limited(lab: &Lab) -> Result<Figures> {
    let mut figures = Figures::default();
    for _ in 0..lab.settings.repetitions {
        for who in [Who::HyperFloor, Who::Proxyd] {
            let (plain, tls) = (first(lab, who, Way::Plain)?, first(lab, who, Way::Http2)?);
            figures.add(who, PLAIN_FIRST, plain.p50_us);
            figures.add(who, TLS_FIRST, tls.p50_us);
            figures.add(who, TLS_OVER_PLAIN, tls.p50_us / plain.p50_us);
            figures.add(who, TLS_OPEN, tls.seconds);
        }
    }
    Ok(figures)
}

/// How long the streams take to their first text.
fn first(lab: &Lab, who: Who, way: Way) -> Result<Outcome> {
    let upstream = lab.upstream(way)?;
    let contender = Contender::start(lab, who, &upstream, ACCOUNTS)?;
    let (part, outcome) = hold(lab, &contender).with_context(|| who.name())?;
    release(part)?;
    contender.stop()?;
    Ok(outcome)
}

fn hold(lab: &Lab, contender: &Contender) -> Result<(Part, Outcome)> {
    let (part, outcome) = load::hold(lab, &spec(contender, Kind::Held, Asked::Held, HELD_STREAMS))?;
    let outcome = outcome.all_right()?;
    Ok((part, outcome))
}

/// Closes the streams, all of which must have been open to the last.
fn release(part: Part) -> Result<()> {
    let open: usize = part.finish()?.trim().parse().context("how many streams were open to the last")?;
    ensure!(open == HELD_STREAMS, "{open} streams of {HELD_STREAMS} were open to the last");
    Ok(())
}

fn spec(contender: &Contender, kind: Kind, asked: Asked, connections: usize) -> Spec {
    Spec {
        kind,
        target: contender.address,
        pid: contender.pid,
        dialect: Dialect::Messages,
        asked,
        body: 0,
        connections,
        warm: 0,
        run: 0,
    }
}
