//! Medians, quantiles, fairness.

/// The value at this share of the sorted values, by nearest rank; `None` without values.
pub(crate) fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Which way a value is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    /// More is.
    More,
    /// Less is.
    Less,
}

/// The middle and the worst of all runs. Of an even number the worse of both in the middle.
pub(crate) fn median_and_worst(values: &[f64], better: Better) -> Option<(f64, f64)> {
    let mut from_best = values.to_vec();
    from_best.sort_by(f64::total_cmp);
    if better == Better::More {
        from_best.reverse();
    }
    let median = from_best.get(from_best.len() / 2)?;
    Some((*median, *from_best.last()?))
}

/// Jain's index of fairness (RFC 5166 §2.3): 1 when all are equal, 1/n when one has everything.
pub(crate) fn fairness(shares: &[f64]) -> Option<f64> {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    (squares > 0.0).then(|| sum * sum / (shares.len() as f64 * squares))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), Some(50.0));
        assert_eq!(quantile(&values, 0.99), Some(99.0));
        assert_eq!(quantile(&values, 1.0), Some(100.0));
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&[3.0], 0.99), Some(3.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn the_worst_depends_on_which_way_is_better() {
        let values = [90.0, 70.0, 80.0];
        assert_eq!(median_and_worst(&values, Better::More), Some((80.0, 70.0)));
        assert_eq!(median_and_worst(&values, Better::Less), Some((80.0, 90.0)));
        assert_eq!(
            median_and_worst(&values[..2], Better::More),
            Some((70.0, 70.0)),
            "of two the worse"
        );
        assert_eq!(
            median_and_worst(&[1.0, f64::INFINITY, 2.0], Better::Less),
            Some((2.0, f64::INFINITY))
        );
        assert_eq!(median_and_worst(&[], Better::Less), None);
    }

    #[test]
    fn fairness_goes_from_one_over_n_to_one() {
        assert_eq!(fairness(&[5.0, 5.0, 5.0, 5.0]), Some(1.0));
        assert_eq!(fairness(&[8.0, 0.0, 0.0, 0.0]), Some(0.25));
        assert_eq!(fairness(&[0.0, 0.0]), None);
    }
}
