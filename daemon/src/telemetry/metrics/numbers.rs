//! Numbers that many threads change at once, without waiting for each other.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::labels::Label;

/// A number for each value of a label.
#[derive(Debug)]
pub(super) struct Counts<L> {
    counts: Box<[AtomicU64]>,
    of: PhantomData<fn() -> L>,
}

impl<L: Label> Default for Counts<L> {
    fn default() -> Self {
        Self { counts: zeros(L::ALL.len()), of: PhantomData }
    }
}

impl<L: Label> Counts<L> {
    pub(super) fn add(&self, label: L, more: u64) {
        if let Some(count) = self.counts.get(label.place()) {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    pub(super) fn take(&self, label: L) {
        if let Some(count) = self.counts.get(label.place()) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self, label: L) -> u64 {
        self.counts.get(label.place()).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        L::ALL.iter().zip(&self.counts).map(|(label, count)| (label.name(), count.load(Ordering::Relaxed)))
    }
}

/// So many numbers, all of them 0.
pub(super) fn zeros(number: usize) -> Box<[AtomicU64]> {
    std::iter::repeat_with(AtomicU64::default).take(number).collect()
}

/// How often durations fell between the bounds, and their sum.
#[derive(Debug)]
pub(super) struct Histogram {
    /// In ascending order, in milliseconds.
    bounds: &'static [u64],
    /// One for each bound, and one for what is above all of them.
    counts: Box<[AtomicU64]>,
    /// In microseconds: half a million years of them.
    sum: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, PartialEq)]
pub(super) struct Observed {
    /// Upper bounds in seconds, with the number of all that is not above.
    pub(super) below: Vec<(f64, u64)>,
    pub(super) count: u64,
    /// In seconds.
    pub(super) sum: f64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: zeros(bounds.len() + 1), sum: AtomicU64::default() }
    }

    pub(super) fn observe(&self, duration: Duration) {
        let over = |bound: &u64| duration > Duration::from_millis(*bound);
        if let Some(count) = self.counts.get(self.bounds.partition_point(over)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn observed(&self) -> Observed {
        let mut count = 0;
        let mut below = Vec::with_capacity(self.bounds.len());
        for (place, bucket) in self.counts.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            if let Some(bound) = self.bounds.get(place) {
                below.push((Duration::from_millis(*bound).as_secs_f64(), count));
            }
        }
        let sum = Duration::from_micros(self.sum.load(Ordering::Relaxed)).as_secs_f64();
        Observed { below, count, sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_its_bucket_and_in_all_above() {
        let histogram = Histogram::new(&[100, 1000]);
        for millis in [50, 100, 101, 1000, 5000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let observed = histogram.observed();
        assert_eq!((observed.below, observed.count), (vec![(0.1, 2), (1.0, 4)], 5));
        assert!((observed.sum - 6.251).abs() < 1e-9);
    }
}
