//! The works that are measured, each a row of the table.

mod closed;
mod crowd;
pub(crate) mod scale;
mod start;

use anyhow::Result;

use crate::contender::{Contender, Who, has_nginx};
use crate::lab::{Lab, Upstream};
use crate::row::{Figures, Row, Target};

type Measure = Box<dyn Fn(&Lab) -> Result<Figures>>;

pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    run: Measure,
    targets: &'static [Target],
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Work {
    pub(crate) fn run(&self, lab: &Lab) -> Row {
        let (figures, failure) = match (self.run)(lab) {
            Ok(figures) => (figures, None),
            Err(error) => (Figures::default(), Some(format!("{error:#}"))),
        };
        let checks = self.targets.iter().filter_map(|target| target.check(&figures)).collect();
        Row { name: self.name, title: self.title, figures, checks, failure }
    }
}

/// In the order of the table.
pub(crate) fn all() -> Vec<Work> {
    closed::works().chain(crowd::works()).chain(start::works()).collect()
}

/// Accounts that the daemon has where their number is not what is measured.
const ACCOUNTS: usize = 10;

/// Starts those of `who` that there are.
fn contenders(lab: &Lab, who: &[Who], upstream: &Upstream) -> Result<Vec<Contender>> {
    let there = who.iter().filter(|who| **who != Who::Nginx || has_nginx());
    there.map(|who| Contender::start(lab, *who, upstream, ACCOUNTS)).collect()
}
