//! Which core each part runs on: the proxy under test on one alone, what calls it and what answers it on the others.

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Where the parts of a run are put.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    all: CpuSet,
    pub(crate) proxy: usize,
    pub(crate) upstream: usize,
    pub(crate) load: usize,
    pub(crate) count: usize,
}

impl Cores {
    /// Of those that this process may use.
    pub(crate) fn of_machine() -> Result<Self> {
        let all = sched_getaffinity(Pid::from_raw(0)).context("the cores of this process")?;
        let mine: Vec<usize> =
            (0..CpuSet::count()).filter(|core| all.is_set(*core).unwrap_or(false)).collect();
        let (proxy, upstream, load) = split(&mine).context("no core at all")?;
        Ok(Self { all, proxy, upstream, load, count: mine.len() })
    }

    /// Runs `start` on a core. A program that it starts stays there.
    pub(crate) fn on<T>(&self, core: usize, start: impl FnOnce() -> T) -> Result<T> {
        let mut only = CpuSet::new();
        only.set(core)?;
        sched_setaffinity(Pid::from_raw(0), &only).context("a core for a part")?;
        let started = start();
        sched_setaffinity(Pid::from_raw(0), &self.all).context("all cores again")?;
        Ok(started)
    }
}

/// The cores of proxy, upstream and load: apart as far as there are so many.
fn split(cores: &[usize]) -> Option<(usize, usize, usize)> {
    match cores {
        [] => None,
        [only] => Some((*only, *only, *only)),
        [other, proxy] => Some((*proxy, *other, *other)),
        [upstream, load, .., proxy] => Some((*proxy, *upstream, *load)),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn the_proxy_has_a_core_of_its_own_where_there_are_two() {
        assert_eq!(split(&[]), None);
        assert_eq!(split(&[3]), Some((3, 3, 3)));
        assert_eq!(split(&[0, 1]), Some((1, 0, 0)));
        assert_eq!(split(&[0, 1, 2, 5]), Some((5, 0, 1)));
    }
}
