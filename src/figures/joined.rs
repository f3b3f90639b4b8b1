//! Networks joined into one line: at each budget the one that the hold-out says is best.

use super::chart::Point;

/// A point of a network's line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// What is drawn.
    pub at: Point,
    /// What the network is chosen by at this point: its accuracy on the hold-out, or on the test
    /// images where that is not known.
    pub merit: f64,
}

/// The line of the network with the most merit at each x, from the least x of any; where others
/// have not begun, of those that have.
///
/// Each line has x ascending and is of one seed. Beyond its last point a line keeps it, since a
/// budget need not be used up. Where another network is chosen the result may jump.
pub fn best(lines: &[Vec<Candidate>]) -> Vec<Point> {
    let mut xs: Vec<f64> = lines.iter().flatten().map(|candidate| candidate.at.x).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    // What is best at the end itself: a line may begin there.
    xs.extend(xs.last().copied());
    let mut joined: Vec<Point> = Vec::new();
    for interval in xs.windows(2) {
        let (from, to) = (interval[0], interval[1]);
        let pieces: Vec<Segment> = lines.iter().filter_map(|line| piece(line, from, to)).collect();
        let mut ends = crossings(&pieces);
        ends.push(to);
        let mut left = from;
        for right in ends {
            let Some(piece) = most(&pieces, f64::midpoint(left, right)) else {
                break;
            };
            for Candidate { at, .. } in [between(piece, left), between(piece, right)] {
                if joined.last() != Some(&at) {
                    joined.push(at);
                }
            }
            left = right;
        }
    }
    joined
}

type Segment = (Candidate, Candidate);

/// A line between two x, between which none of its points lies; none before it has begun.
fn piece(line: &[Candidate], from: f64, to: f64) -> Option<Segment> {
    let last = *line.last()?;
    if last.at.x <= from {
        let kept = |x| Candidate { at: Point { x, ..last.at }, ..last };
        return Some((kept(from), kept(to)));
    }
    let within = |s: &&[Candidate]| s[0].at.x <= from && to <= s[1].at.x && s[0].at.x < s[1].at.x;
    let segment = line.windows(2).find(within)?;
    let segment = (segment[0], segment[1]);
    Some((between(segment, from), between(segment, to)))
}

/// The point of a segment at x; its own ends are returned as they are.
fn between((a, b): Segment, x: f64) -> Candidate {
    if x == a.at.x {
        return a;
    }
    if x == b.at.x {
        return b;
    }
    let share = (x - a.at.x) / (b.at.x - a.at.x);
    let mix = |a: f64, b: f64| a + (b - a) * share;
    Candidate { at: Point::new(x, mix(a.at.y, b.at.y)), merit: mix(a.merit, b.merit) }
}

/// Every x strictly inside at which the merits of two segments over the same x cross, ascending.
fn crossings(pieces: &[Segment]) -> Vec<f64> {
    let mut xs = Vec::new();
    for (i, a) in pieces.iter().enumerate() {
        for b in &pieces[..i] {
            let (start, end) = (a.0.merit - b.0.merit, a.1.merit - b.1.merit);
            if start * end < 0.0 {
                xs.push(a.0.at.x + (a.1.at.x - a.0.at.x) * start / (start - end));
            }
        }
    }
    xs.sort_by(f64::total_cmp);
    xs
}

/// The segment with the most merit at x, the last of equals, as verdicts have it.
fn most(pieces: &[Segment], x: f64) -> Option<Segment> {
    let merit = |piece: &Segment| between(*piece, x).merit;
    pieces.iter().max_by(|a, b| merit(a).total_cmp(&merit(b))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points that are chosen by what is drawn.
    fn line(points: &[(f64, f64)]) -> Vec<Candidate> {
        let candidate = |&(x, y): &(f64, f64)| Candidate { at: Point::new(x, y), merit: y };
        points.iter().map(candidate).collect()
    }

    fn points(points: &[(f64, f64)]) -> Vec<Point> {
        points.iter().map(|&(x, y)| Point::new(x, y)).collect()
    }

    #[test]
    fn lines_that_cross_are_left_where_they_meet() {
        let falling = line(&[(0.0, 4.0), (4.0, 0.0)]);
        let rising = line(&[(0.0, 0.0), (4.0, 4.0)]);
        assert_eq!(best(&[falling, rising]), points(&[(0.0, 4.0), (2.0, 2.0), (4.0, 4.0)]));
    }

    #[test]
    fn a_line_that_begins_above_is_jumped_to_and_one_below_is_ignored() {
        let small = line(&[(0.0, 1.0), (4.0, 1.0)]);
        let large = line(&[(2.0, 3.0), (6.0, 3.0)]);
        let low = line(&[(1.0, 0.0), (5.0, 0.5)]);
        let joined = best(&[small, large, low]);
        let corners = [(0.0, 1.0), (2.0, 1.0), (2.0, 3.0), (6.0, 3.0)];
        let heights = |x: f64| joined.iter().filter(move |p| p.x == x).map(|p| p.y);
        for (x, y) in corners {
            assert!(heights(x).any(|height| height == y), "{x} {y}");
        }
        assert!(joined.iter().all(|p| p.y == 1.0 || p.y == 3.0));
    }

    #[test]
    fn the_hold_out_chooses_and_the_test_images_are_drawn() {
        let chosen = |x, y, merit| Candidate { at: Point::new(x, y), merit };
        // The second is better on test images everywhere, on the hold-out from the middle on.
        let first = vec![chosen(0.0, 1.0, 2.0), chosen(4.0, 1.0, 2.0)];
        let second = vec![chosen(0.0, 5.0, 0.0), chosen(4.0, 9.0, 4.0)];
        assert_eq!(
            best(&[first, second]),
            points(&[(0.0, 1.0), (2.0, 1.0), (2.0, 7.0), (4.0, 9.0)])
        );
    }

    #[test]
    fn of_equals_the_last_is_taken_and_a_line_may_begin_at_the_end() {
        let chosen = |x, y| Candidate { at: Point::new(x, y), merit: 1.0 };
        let (first, second) = ([chosen(0.0, 1.0), chosen(2.0, 1.0)], [chosen(0.0, 3.0)]);
        assert_eq!(best(&[first.to_vec(), second.to_vec()]), points(&[(0.0, 3.0), (2.0, 3.0)]));
        let end = line(&[(2.0, 4.0)]);
        assert_eq!(
            best(&[line(&[(0.0, 1.0), (2.0, 1.0)]), end]),
            points(&[(0.0, 1.0), (2.0, 1.0), (2.0, 4.0)])
        );
        assert_eq!(best(&[line(&[(1.0, 1.0)]), line(&[(1.0, 2.0)])]), points(&[(1.0, 2.0)]));
    }

    #[test]
    fn a_line_that_has_ended_keeps_its_last_point() {
        let good = line(&[(0.0, 1.0), (1.0, 3.0)]);
        let late = line(&[(3.0, 2.0), (5.0, 4.0)]);
        let joined = points(&[(0.0, 1.0), (1.0, 3.0), (3.0, 3.0), (4.0, 3.0), (5.0, 4.0)]);
        assert_eq!(best(&[good, late]), joined);
    }
}
