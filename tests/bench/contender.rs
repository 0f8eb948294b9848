//! Those that are measured side by side, each as a process on the proxy's core, started for one work and ended after it.

mod nginx;
mod proxyd;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::lab::{Lab, Upstream};
use crate::process::Part;

pub(crate) use nginx::is_there as has_nginx;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Who {
    Direct,
    HyperFloor,
    CoalescingFloor,
    Nginx,
    Proxyd,
}

impl Who {
    pub(crate) const ALL: [Self; 5] =
        [Self::Direct, Self::HyperFloor, Self::CoalescingFloor, Self::Nginx, Self::Proxyd];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::HyperFloor => "hyper floor",
            Self::CoalescingFloor => "coalescing",
            Self::Nginx => "nginx",
            Self::Proxyd => "proxyd",
        }
    }
}

/// One that runs.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) who: Who,
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    /// From its start until it served.
    pub(crate) took: Duration,
    /// None of the direct call, whose upstream is everybody's.
    part: Option<Part>,
    _home: Option<tempfile::TempDir>,
}

impl Contender {
    pub(crate) fn start(lab: &Lab, who: Who, upstream: &Upstream, accounts: usize) -> Result<Self> {
        let started = match who {
            Who::Direct => {
                let (address, pid) = (upstream.address, upstream.part.pid());
                return Ok(Self { who, address, pid, took: Duration::ZERO, part: None, _home: None });
            }
            Who::HyperFloor => floor(lab, "hyper", upstream),
            Who::CoalescingFloor => floor(lab, "coalescing", upstream),
            Who::Nginx => nginx::start(lab, upstream),
            Who::Proxyd => proxyd::start(lab, upstream, accounts),
        };
        let Started { part, address, took, home } =
            started.with_context(|| format!("{} does not start", who.name()))?;
        Ok(Self { who, address, pid: part.pid(), took, part: Some(part), _home: home })
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) -> Result<()> {
        match (self.who, self.part.take()) {
            (_, None) => Ok(()),
            (Who::HyperFloor | Who::CoalescingFloor, Some(part)) => part.finish().map(drop),
            (_, Some(part)) => part.stop(),
        }
    }
}

struct Started {
    part: Part,
    address: SocketAddr,
    took: Duration,
    /// What must be kept as long as it runs.
    home: Option<tempfile::TempDir>,
}

fn floor(lab: &Lab, kind: &str, upstream: &Upstream) -> Result<Started> {
    let address = upstream.address.to_string();
    let mut arguments = vec!["floor", kind, "--upstream", &address];
    if let Some(certificate) = &upstream.certificate {
        arguments.extend(["--certificate", certificate.to_str().context("a name in UTF-8")?]);
    }
    let since = Instant::now();
    let mut part = lab.part(lab.cores.proxy, &arguments)?;
    let address = part.line()?.parse()?;
    let took = part.ready(address, since)?;
    Ok(Started { part, address, took, home: None })
}
