//! Curves as points of cost and accuracy: between them, one above another, joined.

/// A point of a curve: x (multiply-adds or relative depth) and y (accuracy).
pub type Point = (f64, f64);

/// y at `x` by linear interpolation between `points` of ascending x; none outside their range.
pub fn interpolate(points: &[Point], x: f64) -> Option<f64> {
    let (left, right, weight) = bracket(points, |point| point.0, x)?;
    Some((1.0 - weight) * points[left].1 + weight * points[right].1)
}

/// The two neighbours of `x` among `items` of ascending `x_of`, and the weight of the right one.
pub(crate) fn bracket<T>(
    items: &[T],
    x_of: impl Fn(&T) -> f64,
    x: f64,
) -> Option<(usize, usize, f64)> {
    let last = items.len().checked_sub(1)?;
    if x < x_of(&items[0]) || x > x_of(&items[last]) {
        return None;
    }
    // The last item at or before x; of several at the same x the last.
    let left = items.partition_point(|item| x_of(item) <= x).saturating_sub(1);
    if left == last {
        return Some((last, last, 0.0));
    }
    let (from, to) = (x_of(&items[left]), x_of(&items[left + 1]));
    Some((left, left + 1, (x - from) / (to - from)))
}

/// How far a curve lies above another over the range that both cover.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// First x that both cover.
    pub from: f64,
    /// Last x that both cover.
    pub to: f64,
    /// Smallest difference, first minus second.
    pub smallest: f64,
    /// Where it is.
    pub at: f64,
}

/// Compares two curves of ascending x at every x; none where no x is covered by both.
///
/// The difference of two piecewise linear curves is smallest at a point of one of them.
pub fn compare(first: &[Point], second: &[Point]) -> Option<Comparison> {
    let from = first.first()?.0.max(second.first()?.0);
    let to = first.last()?.0.min(second.last()?.0);
    let ends = [from, to];
    let inner = first.iter().chain(second).map(|point| point.0);
    let differences = ends
        .into_iter()
        .chain(inner)
        .filter_map(|x| Some((interpolate(first, x)? - interpolate(second, x)?, x)));
    let (smallest, at) = differences.min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(Comparison { from, to, smallest, at })
}

/// For each point of each curve, whether it lies on the upper envelope of all.
///
/// A point is below it, an overlapped end, where another curve is better at no more cost: between
/// its points, or beyond its last one, since a budget need not be used up.
pub fn on_envelope(curves: &[Vec<Point>]) -> Vec<Vec<bool>> {
    let beaten = |own: usize, point: &Point| {
        let others = curves.iter().enumerate().filter(|(index, _)| *index != own);
        others.filter_map(|(_, other)| affordable(other, point.0)).any(|y| y > point.1)
    };
    let marks = |(own, curve): (usize, &Vec<Point>)| {
        curve.iter().map(|point| !beaten(own, point)).collect()
    };
    curves.iter().enumerate().map(marks).collect()
}

/// The upper envelope: the best affordable accuracy at every cost at which a curve has a point.
pub fn envelope(curves: &[Vec<Point>]) -> Vec<Point> {
    let mut costs: Vec<f64> = curves.iter().flatten().map(|point| point.0).collect();
    costs.sort_by(f64::total_cmp);
    costs.dedup();
    let best = |cost: f64| {
        let affordable = curves.iter().filter_map(|curve| affordable(curve, cost));
        affordable.max_by(f64::total_cmp)
    };
    costs.into_iter().filter_map(|cost| Some((cost, best(cost)?))).collect()
}

fn affordable(curve: &[Point], cost: f64) -> Option<f64> {
    let last = curve.last()?;
    if cost > last.0 { Some(last.1) } else { interpolate(curve, cost) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_points_a_curve_is_straight() {
        let curve = [(1.0, 10.0), (3.0, 20.0), (4.0, 0.0)];
        assert_eq!(interpolate(&curve, 1.0), Some(10.0));
        assert_eq!(interpolate(&curve, 2.0), Some(15.0));
        assert_eq!(interpolate(&curve, 4.0), Some(0.0));
        assert_eq!(interpolate(&curve, 0.9), None);
        assert_eq!(interpolate(&curve, 4.1), None);
        assert_eq!(interpolate(&[], 1.0), None);
    }

    #[test]
    fn the_smallest_difference_is_found_at_a_point_of_either_curve() {
        let first = [(0.0, 5.0), (10.0, 5.0)];
        let second = [(2.0, 0.0), (4.0, 4.0), (20.0, 0.0)];
        let compared = compare(&first, &second).unwrap();
        assert_eq!((compared.from, compared.to), (2.0, 10.0));
        assert_eq!((compared.smallest, compared.at), (1.0, 4.0));
    }

    #[test]
    fn curves_without_a_common_budget_do_not_compare() {
        assert_eq!(compare(&[(0.0, 1.0), (1.0, 1.0)], &[(2.0, 1.0), (3.0, 1.0)]), None);
    }

    #[test]
    fn the_overlapped_end_of_a_cheap_network_is_off_the_envelope() {
        let cheap = vec![(1.0, 60.0), (2.0, 70.0), (4.0, 71.0)];
        let dear = vec![(2.0, 65.0), (4.0, 75.0)];
        let marks = on_envelope(&[cheap.clone(), dear.clone()]);
        assert_eq!(marks, vec![vec![true, true, false], vec![false, true]]);
        assert_eq!(envelope(&[cheap, dear]), vec![(1.0, 60.0), (2.0, 70.0), (4.0, 75.0)]);
    }

    #[test]
    fn a_dearer_network_that_is_no_better_is_off_the_envelope() {
        let marks = on_envelope(&[vec![(1.0, 70.0)], vec![(5.0, 69.0)]]);
        assert_eq!(marks, vec![vec![true], vec![false]]);
    }
}
