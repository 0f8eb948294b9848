//! Numbers out of many measurements.

/// The middle one, or the mean of the two in the middle. 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(at(middle.saturating_sub(1)), at(middle))
    } else {
        at(middle)
    }
}

/// The least and the most.
pub(crate) fn spread(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().min_by(f64::total_cmp).unwrap_or_default();
    (least, values.iter().copied().max_by(f64::total_cmp).unwrap_or_default())
}

/// The value that so many of a thousand do not exceed, of values in order.
pub(crate) fn per_mille(sorted: &[u64], share: usize) -> u64 {
    let rank = (sorted.len() * share).div_ceil(1000).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{median, per_mille, spread};

    #[test]
    fn the_middle_is_found_in_any_order() {
        for (values, middle) in [(vec![], 0.0), (vec![3.0], 3.0), (vec![9.0, 1.0, 5.0], 5.0)] {
            assert!((median(&values) - middle).abs() < 1e-9, "{values:?}");
        }
        assert!((median(&[4.0, 1.0, 2.0, 9.0]) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn the_spread_is_from_the_least_to_the_most() {
        assert_eq!(spread(&[2.0, 9.0, 1.0]), (1.0, 9.0));
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(per_mille(&hundred, 500), 50);
        assert_eq!(per_mille(&hundred, 990), 99);
        assert_eq!(per_mille(&hundred, 1000), 100);
        assert_eq!(per_mille(&[7], 990), 7);
        assert_eq!(per_mille(&[], 500), 0);
    }
}
