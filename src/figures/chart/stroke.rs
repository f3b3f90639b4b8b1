//! Polylines in pixels: steps and dashes.

/// A polyline in which each y holds until the next x.
pub fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut stepped = Vec::with_capacity(points.len() * 2);
    for pair in points.windows(2) {
        stepped.push(pair[0]);
        stepped.push((pair[1].0, pair[0].1));
    }
    stepped.extend(points.last());
    stepped
}

/// Cuts a polyline into the dashes of a pattern of lengths: drawn, left out, drawn, ...
/// An empty pattern leaves it whole; of one point there is nothing.
pub fn dashes(points: &[(f64, f64)], pattern: &[f64]) -> Vec<Vec<(f64, f64)>> {
    let Some((&first, rest)) = points.split_first() else {
        return Vec::new();
    };
    if rest.is_empty() {
        return Vec::new();
    }
    if pattern.is_empty() {
        return vec![points.to_vec()];
    }
    let mut dashes = vec![vec![first]];
    let mut phase = 0;
    let mut left = pattern[0];
    let mut from = first;
    for &to in rest {
        let mut length = (to.0 - from.0).hypot(to.1 - from.1);
        while length > left {
            let share = left / length;
            from = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            length -= left;
            if phase % 2 == 0 {
                dashes.last_mut().expect("starts with one").push(from);
            } else {
                dashes.push(vec![from]);
            }
            phase = (phase + 1) % pattern.len();
            left = pattern[phase];
        }
        left -= length;
        from = to;
        if phase % 2 == 0 {
            dashes.last_mut().expect("starts with one").push(to);
        }
    }
    dashes.retain(|dash| dash.len() > 1);
    dashes
}

/// The indices of points that lie at least `apart` pixels from the one chosen before; the first is
/// always chosen.
pub fn spaced(points: &[(f64, f64)], apart: f64) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    for (i, point) in points.iter().enumerate() {
        let far = chosen.last().is_none_or(|&last: &usize| {
            (point.0 - points[last].0).hypot(point.1 - points[last].1) >= apart
        });
        if far {
            chosen.push(i);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_holds_its_height_until_the_next_x() {
        assert_eq!(steps(&[(0.0, 5.0), (2.0, 7.0)]), [(0.0, 5.0), (2.0, 5.0), (2.0, 7.0)]);
        assert_eq!(steps(&[(1.0, 1.0)]), [(1.0, 1.0)]);
    }

    #[test]
    fn dashes_go_around_corners_and_leave_the_gaps_out() {
        let corner = [(0.0, 0.0), (3.0, 0.0), (3.0, 7.0)];
        assert_eq!(
            dashes(&corner, &[4.0, 2.0]),
            [vec![(0.0, 0.0), (3.0, 0.0), (3.0, 1.0)], vec![(3.0, 3.0), (3.0, 7.0)],]
        );
        assert_eq!(dashes(&corner, &[]), [corner.to_vec()]);
    }

    #[test]
    fn spaced_points_do_not_touch() {
        let row: Vec<(f64, f64)> = (0..10).map(|i| (f64::from(i), 0.0)).collect();
        assert_eq!(spaced(&row, 4.0), [0, 4, 8]);
    }
}
