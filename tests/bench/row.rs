//! What was measured of one work, and what it must reach.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::contender::Who;
use crate::stats::{median, spread};

/// A figure's name in table and JSON.
pub(crate) type Metric = &'static str;

pub(crate) const RATE: Metric = "requests/s";
pub(crate) const EVENTS: Metric = "events/s";
pub(crate) const CPU: Metric = "CPU us/request";
pub(crate) const BUSY: Metric = "its core busy, %";
pub(crate) const P50: Metric = "p50, us";
pub(crate) const P99: Metric = "p99, us";
pub(crate) const LATE_P50: Metric = "late p50, us";
pub(crate) const LATE_P99: Metric = "late p99, us";
pub(crate) const CPU_EVENT: Metric = "CPU us/event";
pub(crate) const ADDED_P50: Metric = "added p50, us";
pub(crate) const ADDED_P99: Metric = "added p99, us";

/// All figures of a work, in the order of the repetitions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    names: Vec<Metric>,
    values: BTreeMap<(Metric, Who), Vec<f64>>,
}

impl Figures {
    pub(crate) fn add(&mut self, who: Who, metric: Metric, value: f64) {
        if !self.names.contains(&metric) {
            self.names.push(metric);
        }
        self.values.entry((metric, who)).or_default().push(value);
    }

    pub(crate) fn of(&self, who: Who, metric: Metric) -> &[f64] {
        self.values.get(&(metric, who)).map_or(&[], Vec::as_slice)
    }

    /// The metrics in the order in which they came.
    pub(crate) fn names(&self) -> &[Metric] {
        &self.names
    }

    /// Of each repetition, what one reached of the other.
    pub(crate) fn ratios(&self, metric: Metric, who: Who, of: Who) -> Vec<f64> {
        let both = self.of(who, metric).iter().zip(self.of(of, metric));
        both.filter(|(_, floor)| **floor != 0.0).map(|(value, floor)| value / floor).collect()
    }

    /// What the last repetition's figure is above that of the direct call.
    pub(crate) fn add_difference(&mut self, who: Who, metric: Metric, added: Metric) {
        let last = |who| self.of(who, metric).last().copied();
        if let (Some(value), Some(direct)) = (last(who), last(Who::Direct)) {
            self.add(who, added, value - direct);
        }
    }
}

/// What proxyd must reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At least so many times what a floor reaches.
    AtLeast(Metric, f64, Who),
    /// At most so many times what a floor takes.
    AtMost(Metric, f64, Who),
    /// At most so much.
    Within(Metric, f64),
}

/// A target and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Check {
    pub(crate) metric: Metric,
    /// What it is compared with, none for a figure that stands alone.
    pub(crate) floor: Option<&'static str>,
    pub(crate) value: f64,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) sign: &'static str,
    pub(crate) wanted: f64,
    pub(crate) is_met: bool,
}

impl Target {
    /// None if it was not measured.
    pub(crate) fn check(self, figures: &Figures) -> Option<Check> {
        let (metric, wanted, floor, values) = match self {
            Self::AtLeast(metric, wanted, floor) | Self::AtMost(metric, wanted, floor) => {
                (metric, wanted, Some(floor.name()), figures.ratios(metric, Who::Proxyd, floor))
            }
            Self::Within(metric, wanted) => (metric, wanted, None, figures.of(Who::Proxyd, metric).to_vec()),
        };
        if values.is_empty() {
            return None;
        }
        let (value, (from, to)) = (median(&values), spread(&values));
        let is_more = matches!(self, Self::AtLeast(..));
        let is_met = if is_more { value >= wanted } else { value <= wanted };
        Some(Check {
            metric,
            floor,
            value,
            from,
            to,
            sign: if is_more { ">=" } else { "<=" },
            wanted,
            is_met,
        })
    }
}

/// A work's result.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) figures: Figures,
    pub(crate) checks: Vec<Check>,
    /// Why there is no result, if there is none.
    pub(crate) failure: Option<String>,
}

impl Row {
    pub(crate) fn is_met(&self) -> bool {
        self.failure.is_none() && self.checks.iter().all(|check| check.is_met)
    }
}

#[cfg(test)]
mod tests {
    use super::{Figures, P50, RATE, Target};
    use crate::contender::Who;

    fn figures() -> Figures {
        let mut figures = Figures::default();
        for (floor, proxyd) in [(100.0, 80.0), (200.0, 190.0), (100.0, 90.0)] {
            figures.add(Who::HyperFloor, RATE, floor);
            figures.add(Who::Proxyd, RATE, proxyd);
        }
        figures
    }

    #[test]
    fn a_ratio_is_the_middle_one_of_the_repetitions() {
        let check = Target::AtLeast(RATE, 0.9, Who::HyperFloor).check(&figures()).unwrap();
        assert!((check.value - 0.9).abs() < 1e-9 && check.is_met);
        assert!((check.from - 0.8).abs() < 1e-9 && (check.to - 0.95).abs() < 1e-9);
        assert!(!Target::AtMost(RATE, 0.8, Who::HyperFloor).check(&figures()).unwrap().is_met);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        assert_eq!(Target::AtLeast(RATE, 0.9, Who::Nginx).check(&figures()), None);
        assert_eq!(Target::Within(P50, 0.9).check(&figures()), None);
    }

    #[test]
    fn a_difference_is_that_to_the_direct_call_of_the_same_repetition() {
        let mut figures = Figures::default();
        for (direct, proxyd) in [(10.0, 40.0), (20.0, 70.0)] {
            figures.add(Who::Direct, P50, direct);
            figures.add(Who::Proxyd, P50, proxyd);
            figures.add_difference(Who::Proxyd, P50, super::ADDED_P50);
        }
        assert_eq!(figures.of(Who::Proxyd, super::ADDED_P50), [30.0, 50.0]);
    }
}
