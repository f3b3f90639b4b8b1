//! A curve of accuracy by cost as points of ascending cost, straight between them.

/// A point of a curve: x (multiply-adds) and y (accuracy).
pub type Point = (f64, f64);

/// y at `x`, none outside the range of the points.
pub fn interpolate(points: &[Point], x: f64) -> Option<f64> {
    // The last point at or before x; of several at the same x the last.
    let left = points.partition_point(|point| point.0 <= x).checked_sub(1)?;
    let (from, y) = points[left];
    let Some(&(to, next)) = points.get(left + 1) else {
        return (x == from).then_some(y);
    };
    let weight = (x - from) / (to - from);
    Some((1.0 - weight) * y + weight * next)
}

/// The first x at which the curve reaches `accuracy`; none where it does nowhere.
pub fn first_cost(points: &[Point], accuracy: f64) -> Option<f64> {
    let at = points.iter().position(|point| point.1 >= accuracy)?;
    let Some(before) = at.checked_sub(1) else {
        return Some(points[0].0);
    };
    let ((x0, y0), (x1, y1)) = (points[before], points[at]);
    Some(x0 + (x1 - x0) * (accuracy - y0) / (y1 - y0))
}

/// Mean accuracy from the first point to the last: trapezoids, divided by the distance; none where
/// that is 0.
pub fn area_under(points: &[Point]) -> Option<f64> {
    let width = points.last()?.0 - points.first()?.0;
    let trapezoids = points.windows(2).map(|pair| {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        (x1 - x0) * (y0 + y1) / 2.0
    });
    (width > 0.0).then(|| trapezoids.sum::<f64>() / width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_points_a_curve_is_straight() {
        let curve = [(1.0, 10.0), (3.0, 20.0), (4.0, 0.0)];
        for (x, y) in [(1.0, 10.0), (2.0, 15.0), (4.0, 0.0)] {
            assert_eq!(interpolate(&curve, x), Some(y));
        }
        assert_eq!((interpolate(&curve, 0.9), interpolate(&curve, 4.1)), (None, None));
        assert_eq!(interpolate(&[], 1.0), None);
    }

    #[test]
    fn a_cost_is_read_off_where_a_curve_first_reaches_an_accuracy() {
        let line = [(10.0, 0.5), (20.0, 0.7), (30.0, 0.6), (40.0, 0.65)];
        assert!((first_cost(&line, 0.65).unwrap() - 17.5).abs() < 1e-9);
        assert_eq!(first_cost(&line, 0.5), Some(10.0));
        assert_eq!(first_cost(&line, 0.71), None);
        // Trapezoids of 6, 6.5 and 6.25 over 30.
        assert!((area_under(&line).unwrap() - 18.75 / 30.0).abs() < 1e-12);
        assert_eq!(area_under(&line[..1]), None);
    }
}
