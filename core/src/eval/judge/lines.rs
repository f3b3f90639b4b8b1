//! Lines of accuracy by multiply-adds, of one seed.
//!
//! Networks of one point each are one line. Of several networks with lines the one with the best
//! accuracy on the hold-out at a budget is taken there. A budget need not be used up: beyond its
//! end a line keeps its last point.

use std::collections::BTreeMap;

use super::Row;
use crate::eval::statistics::Sample;

/// What a line does between two points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// It keeps the first one's accuracy.
    Steps,
    /// It is straight.
    Straight,
}

/// Rows, each with the weight that it has in a quantity.
#[derive(Debug, Clone, Default)]
pub(super) struct Weights(BTreeMap<usize, f64>);

impl Weights {
    fn add(&mut self, other: &[(usize, f64)], factor: f64) {
        for &(row, weight) in other {
            *self.0.entry(row).or_default() += weight * factor;
        }
    }

    /// The weighted sum of the rows' accuracies.
    pub(super) fn sample<'a>(&self, rows: &[&'a Row]) -> Sample<'a> {
        let mut sample = Sample::default();
        for (&row, &weight) in self.0.iter().filter(|(_, weight)| **weight != 0.0) {
            let answered = &rows[row].answered;
            sample.value += weight * answered.accuracy;
            sample.terms.push(answered.term(weight));
        }
        sample
    }
}

/// Places in the rows by ascending multiply-adds.
type Line = Vec<usize>;

/// The lines of one curve and seed.
pub(super) struct Lines<'a> {
    rows: Vec<&'a Row>,
    lines: Vec<Line>,
    shape: Shape,
}

impl<'a> Lines<'a> {
    /// The lines of the rows of one seed.
    ///
    /// # Errors
    /// When there is no row, or several networks with lines and no hold-out to choose by.
    pub(super) fn of(rows: Vec<&'a Row>, shape: Shape) -> Result<Lines<'a>, String> {
        let mut networks: BTreeMap<&str, Line> = BTreeMap::new();
        for (place, row) in rows.iter().enumerate() {
            networks.entry(&row.network).or_default().push(place);
        }
        let (points, mut lines): (Vec<Line>, Vec<Line>) =
            networks.into_values().partition(|line| line.len() == 1);
        if !points.is_empty() {
            lines.push(points.concat());
        }
        for line in &mut lines {
            line.sort_by(|&a, &b| rows[a].x.total_cmp(&rows[b].x));
        }
        if lines.is_empty() {
            return Err("a seed has no point".to_owned());
        }
        if lines.len() > 1 && rows.iter().any(|row| row.hold_out.is_none()) {
            return Err(
                "the best of several networks is chosen on the hold-out, and there is none"
                    .to_owned(),
            );
        }
        Ok(Lines { rows, lines, shape })
    }

    /// The multiply-adds from which on every network has a point.
    pub(super) fn begun(&self) -> f64 {
        let firsts = self.lines.iter().map(|line| self.rows[line[0]].x);
        firsts.fold(f64::NEG_INFINITY, f64::max)
    }

    /// Where the last network ends.
    pub(super) fn end(&self) -> f64 {
        let lasts = self.lines.iter().map(|line| self.rows[line[line.len() - 1]].x);
        lasts.fold(f64::NEG_INFINITY, f64::max)
    }

    /// Multiply-adds of every point.
    pub(super) fn xs(&self) -> impl Iterator<Item = f64> {
        self.rows.iter().map(|row| row.x)
    }

    /// The accuracy at `x`; none before every network has begun.
    pub(super) fn at(&self, x: f64) -> Option<Sample<'a>> {
        let mut weights = Weights::default();
        weights.add(&self.weights(x)?, 1.0);
        Some(weights.sample(&self.rows))
    }

    fn weights(&self, x: f64) -> Option<Vec<(usize, f64)>> {
        (x >= self.begun()).then_some(())?;
        let by_hold_out =
            |a: &&Line, b: &&Line| self.hold_out(a, x).total_cmp(&self.hold_out(b, x));
        self.on_line(self.lines.iter().max_by(by_hold_out)?, x)
    }

    fn on_line(&self, line: &Line, x: f64) -> Option<Vec<(usize, f64)>> {
        let x_of = |place: usize| self.rows[line[place]].x;
        // The last point at or before x; of several at the same x the last.
        let left = line.partition_point(|&row| self.rows[row].x <= x).checked_sub(1)?;
        if left + 1 == line.len() || self.shape == Shape::Steps {
            return Some(vec![(line[left], 1.0)]);
        }
        let weight = (x - x_of(left)) / (x_of(left + 1) - x_of(left));
        Some(vec![(line[left], 1.0 - weight), (line[left + 1], weight)])
    }

    /// Accuracy on the hold-out at `x`; 0 where it is unknown, which only a single line may be.
    fn hold_out(&self, line: &Line, x: f64) -> f64 {
        let weights = self.on_line(line, x).unwrap_or_default();
        weights.iter().map(|&(row, w)| w * self.rows[row].hold_out.unwrap_or(0.0)).sum()
    }

    /// Where between `from` and `to`, on a stretch without a point, another line becomes the best.
    fn crossings(&self, from: f64, to: f64) -> Vec<f64> {
        let quarter = (to - from) / 4.0;
        let (near, far) = (from + quarter, to - quarter);
        let mut found = Vec::new();
        for (place, first) in self.lines.iter().enumerate() {
            for second in &self.lines[..place] {
                let ahead = |x| self.hold_out(first, x) - self.hold_out(second, x);
                let (start, end) = (ahead(near), ahead(far));
                let x = near - start * (far - near) / (end - start);
                if x > from && x < to {
                    found.push(x);
                }
            }
        }
        found
    }
}

/// Where between the points, in ascending order, either of two curves goes on with another network.
pub(super) fn crossings<'a>(
    curves: [&'a Lines; 2],
    points: &'a [f64],
) -> impl Iterator<Item = f64> + use<'a> {
    points.windows(2).flat_map(move |s| curves.map(|lines| lines.crossings(s[0], s[1])).concat())
}

/// The mean of `first` minus `second` over the multiply-adds from `from` to `to`; none where one of
/// them has not begun.
pub(super) fn mean_difference<'a>(
    first: &Lines<'a>,
    second: &Lines<'a>,
    (from, to): (f64, f64),
) -> Option<Sample<'a>> {
    let inside = |x: &f64| *x > from && *x < to;
    let points = distinct(first.xs().chain(second.xs()).filter(inside).chain([from, to]));
    let ends = distinct(crossings([first, second], &points).chain(points.iter().copied()));
    let (mut own, mut its) = (Weights::default(), Weights::default());
    // On each stretch both are straight, so their value in the middle is their mean.
    for stretch in ends.windows(2) {
        let (middle, share) =
            (f64::midpoint(stretch[0], stretch[1]), (stretch[1] - stretch[0]) / (to - from));
        own.add(&first.weights(middle)?, share);
        its.add(&second.weights(middle)?, share);
    }
    Some(own.sample(&first.rows).minus(its.sample(&second.rows)))
}

/// Distinct numbers in ascending order.
pub(super) fn distinct(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    numbers
}
