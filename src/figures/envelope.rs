//! The upper envelope of several curves: of networks joined into one, the best at each budget.

use super::chart::Point;

/// The highest of the curves at every x that any of them covers, joined across gaps.
///
/// Each curve is a polyline with x ascending, of one seed.
pub fn upper(curves: &[Vec<Point>]) -> Vec<Point> {
    let mut xs: Vec<f64> = curves.iter().flatten().map(|p| p.x).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let mut envelope: Vec<Point> = Vec::new();
    for interval in xs.windows(2) {
        let (from, to) = (interval[0], interval[1]);
        let pieces: Vec<Segment> =
            curves.iter().filter_map(|curve| piece(curve, from, to)).collect();
        let mut ends = crossings(&pieces);
        ends.push(to);
        let mut left = from;
        for right in ends {
            let Some(piece) = highest(&pieces, (left + right) / 2.0) else {
                break;
            };
            for point in [between(piece, left), between(piece, right)] {
                if envelope.last() != Some(&point) {
                    envelope.push(point);
                }
            }
            left = right;
        }
    }
    envelope
}

type Segment = (Point, Point);

/// A curve between two x, between which none of its points lies.
fn piece(curve: &[Point], from: f64, to: f64) -> Option<Segment> {
    let segment = curve.windows(2).find(|s| s[0].x <= from && to <= s[1].x && s[0].x < s[1].x)?;
    let segment = (segment[0], segment[1]);
    Some((between(segment, from), between(segment, to)))
}

/// The point of a segment at x; its own ends are returned as they are.
fn between((a, b): Segment, x: f64) -> Point {
    if x == a.x {
        return a;
    }
    if x == b.x {
        return b;
    }
    let share = (x - a.x) / (b.x - a.x);
    let mix = |a: f64, b: f64| a + (b - a) * share;
    Point::new(x, mix(a.y, b.y))
}

/// Every x strictly inside at which two segments over the same x cross, ascending.
fn crossings(pieces: &[Segment]) -> Vec<f64> {
    let mut xs = Vec::new();
    for (i, a) in pieces.iter().enumerate() {
        for b in &pieces[..i] {
            let (start, end) = (a.0.y - b.0.y, a.1.y - b.1.y);
            if start * end < 0.0 {
                xs.push(a.0.x + (a.1.x - a.0.x) * start / (start - end));
            }
        }
    }
    xs.sort_by(f64::total_cmp);
    xs
}

/// The segment that is highest at x, the first of equals.
fn highest(pieces: &[Segment], x: f64) -> Option<Segment> {
    let at = |piece: &Segment| between(*piece, x).y;
    let pieces = pieces.iter().rev();
    pieces.max_by(|a, b| at(a).total_cmp(&at(b))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64)]) -> Vec<Point> {
        points.iter().map(|&(x, y)| Point::new(x, y)).collect()
    }

    #[test]
    fn curves_that_cross_are_left_where_they_meet() {
        let falling = curve(&[(0.0, 4.0), (4.0, 0.0)]);
        let rising = curve(&[(0.0, 0.0), (4.0, 4.0)]);
        assert_eq!(upper(&[falling, rising]), curve(&[(0.0, 4.0), (2.0, 2.0), (4.0, 4.0)]));
    }

    #[test]
    fn a_curve_that_begins_above_is_jumped_to_and_one_below_is_ignored() {
        let small = curve(&[(0.0, 1.0), (4.0, 1.0)]);
        let large = curve(&[(2.0, 3.0), (6.0, 3.0)]);
        let low = curve(&[(1.0, 0.0), (5.0, 0.5)]);
        let envelope = upper(&[small, large, low]);
        let corners = [(0.0, 1.0), (2.0, 1.0), (2.0, 3.0), (6.0, 3.0)];
        let heights = |x: f64| envelope.iter().filter(move |p| p.x == x).map(|p| p.y);
        for (x, y) in corners {
            assert!(heights(x).any(|height| height == y), "{x} {y}");
        }
        assert!(envelope.iter().all(|p| p.y == 1.0 || p.y == 3.0));
    }

    #[test]
    fn curves_that_do_not_overlap_are_joined() {
        let parts = [curve(&[(0.0, 1.0), (1.0, 2.0)]), curve(&[(3.0, 3.0), (4.0, 4.0)])];
        assert_eq!(upper(&parts), parts.concat());
    }
}
