//! The start: from the process's beginning until it says that it is ready, with few accounts and with many.

use anyhow::Result;

use super::Work;
use crate::contender::{Contender, Who};
use crate::lab::{Lab, Upstream};
use crate::row::Target::Within;
use crate::row::{Figures, Metric};
use crate::upstream::Way;

const TEN: Metric = "10 accounts, ms";
const THOUSAND: Metric = "1000 accounts, ms";

pub(super) fn works() -> impl Iterator<Item = Work> {
    std::iter::once(Work {
        name: "start",
        title: "From the start to ready",
        run: Box::new(start),
        targets: &[Within(TEN, 40.0), Within(THOUSAND, 80.0)],
    })
}

fn start(lab: &Lab) -> Result<Figures> {
    let upstream = lab.upstream(Way::Plain)?;
    let mut figures = Figures::default();
    for _ in 0..lab.settings.repetitions {
        for who in [Who::HyperFloor, Who::CoalescingFloor] {
            figures.add(who, TEN, took(lab, who, &upstream, 0)?);
        }
        figures.add(Who::Proxyd, TEN, took(lab, Who::Proxyd, &upstream, 10)?);
        figures.add(Who::Proxyd, THOUSAND, took(lab, Who::Proxyd, &upstream, 1_000)?);
    }
    Ok(figures)
}

/// Milliseconds.
fn took(lab: &Lab, who: Who, upstream: &Upstream, accounts: usize) -> Result<f64> {
    let contender = Contender::start(lab, who, upstream, accounts)?;
    let took = contender.took.as_secs_f64() * 1e3;
    contender.stop()?;
    Ok(took)
}
