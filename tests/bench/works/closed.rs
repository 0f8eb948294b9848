//! Works that a number of connections ask for as fast as they are answered.

use anyhow::{Context as _, Result};

use super::{Work, contenders};
use crate::bodies::Dialect;
use crate::contender::{Contender, Who};
use crate::lab::Lab;
use crate::load::{self, Kind, Spec};
use crate::process::to_f64;
use crate::row::Target::{AtLeast, AtMost};
use crate::row::{ADDED_P50, ADDED_P99, BUSY, CPU, EVENTS, Figures, P50, P99, RATE, Target};
use crate::upstream::Way;
use crate::upstream::answers::Asked;

/// Milliseconds before anything counts.
const WARM: u64 = 300;
const STREAM: usize = 200;
const FLOORS: &[Who] = &Who::ALL;
/// The load speaks no TLS, so there is no direct call; and the coalescing floor does not either.
const TLS: &[Who] = &[Who::HyperFloor, Who::Nginx, Who::Proxyd];

struct Closed {
    name: &'static str,
    title: &'static str,
    dialect: Dialect,
    asked: Asked,
    body: usize,
    connections: usize,
    way: Way,
    who: &'static [Who],
    targets: &'static [Target],
}

const SMALL: Closed = Closed {
    name: "small",
    title: "/v1/messages, 1 KB answers, 32 connections",
    dialect: Dialect::Messages,
    asked: Asked::Small,
    body: 0,
    connections: 32,
    way: Way::Plain,
    who: FLOORS,
    targets: &[AtLeast(RATE, 0.9, Who::HyperFloor), AtMost(CPU, 1.2, Who::HyperFloor)],
};

const WORKS: [Closed; 8] = [
    SMALL,
    Closed {
        name: "one",
        title: "/v1/messages, 1 KB answers, 1 connection",
        connections: 1,
        targets: &[AtMost(ADDED_P50, 1.3, Who::HyperFloor), AtMost(ADDED_P99, 2.0, Who::HyperFloor)],
        ..SMALL
    },
    Closed {
        name: "chat",
        title: "/v1/chat/completions translated, not streamed, 32 connections",
        dialect: Dialect::Chat,
        targets: &[AtLeast(RATE, 0.75, Who::HyperFloor), AtMost(CPU, 1.5, Who::HyperFloor)],
        ..SMALL
    },
    Closed {
        name: "streams",
        title: "/v1/messages, streams of 200 events as fast as they go, 32 at once",
        asked: Asked::Stream(STREAM),
        targets: &[AtLeast(EVENTS, 0.8, Who::CoalescingFloor)],
        ..SMALL
    },
    Closed {
        name: "chat-streams",
        title: "/v1/chat/completions, the same streams translated, 32 at once",
        dialect: Dialect::Chat,
        asked: Asked::Stream(STREAM),
        targets: &[AtLeast(EVENTS, 0.5, Who::CoalescingFloor)],
        ..SMALL
    },
    Closed {
        name: "bodies",
        title: "/v1/messages, request bodies of 1 MB, 8 connections",
        body: 1_000_000,
        connections: 8,
        targets: &[AtLeast(RATE, 0.75, Who::HyperFloor)],
        ..SMALL
    },
    Closed {
        name: "chat-bodies",
        title: "/v1/chat/completions, request bodies of 1 MB translated, 8 connections",
        dialect: Dialect::Chat,
        body: 1_000_000,
        connections: 8,
        targets: &[AtLeast(RATE, 0.4, Who::HyperFloor)],
        ..SMALL
    },
    Closed {
        name: "tls",
        title: "/v1/messages, 1 KB answers, 32 connections, upstream over TLS",
        way: Way::Tls,
        who: TLS,
        targets: &[AtLeast(RATE, 0.9, Who::HyperFloor)],
        ..SMALL
    },
];

pub(super) fn works() -> impl Iterator<Item = Work> {
    WORKS.into_iter().map(|closed| Work {
        name: closed.name,
        title: closed.title,
        targets: closed.targets,
        run: Box::new(move |lab| closed.run(lab)),
    })
}

impl Closed {
    fn run(&self, lab: &Lab) -> Result<Figures> {
        let upstream = lab.upstream(self.way)?;
        let contenders = contenders(lab, self.who, &upstream)?;
        let mut figures = Figures::default();
        for _ in 0..lab.settings.repetitions {
            for contender in &contenders {
                self.measure(lab, contender, &mut figures).with_context(|| contender.who.name())?;
            }
        }
        contenders.into_iter().try_for_each(Contender::stop)?;
        Ok(figures)
    }

    fn measure(&self, lab: &Lab, contender: &Contender, figures: &mut Figures) -> Result<()> {
        let who = contender.who;
        let spec = Spec {
            kind: Kind::Closed,
            target: contender.address,
            pid: contender.pid,
            dialect: self.dialect,
            asked: self.asked,
            body: self.body,
            connections: self.connections,
            warm: WARM,
            run: u64::try_from(lab.settings.time.as_millis())?,
        };
        let outcome = load::run(lab, &spec)?;
        let rate = to_f64(outcome.answers) / outcome.seconds;
        if let Asked::Stream(events) = self.asked {
            figures.add(who, EVENTS, rate * to_f64(u64::try_from(events)?));
        }
        figures.add(who, RATE, rate);
        figures.add(who, CPU, outcome.cpu_seconds * 1e6 / to_f64(outcome.answers));
        figures.add(who, BUSY, outcome.cpu_seconds * 100.0 / outcome.seconds);
        figures.add(who, P50, outcome.p50_us);
        figures.add(who, P99, outcome.p99_us);
        if who != Who::Direct {
            figures.add_difference(who, P50, ADDED_P50);
            figures.add_difference(who, P99, ADDED_P99);
        }
        Ok(())
    }
}
