//! How the paper's claims come out as training gets longer.

use std::path::Path;

use anyhow::Result;

use super::chart::{self, Axis, Chart, Line, Point, Spread, Style, Unit};

/// How far apart the intervals of two claims stand, as a factor of the images seen.
const ASIDE: f64 = 1.04;

/// A claim's effects by the images seen in training, in units of the paper's effect, or of twice the
/// margin where the paper's effect is below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// The claim.
    pub label: String,
    /// Images seen, effect, half of its interval, seeds.
    pub points: Vec<(f64, f64, f64, usize)>,
    /// The paper's effect, if it has one.
    pub paper: Option<f64>,
}

/// Draws a panel a figure: its title, its claims, and the images that the paper's networks saw.
/// No line leads to the paper's effects: its networks are others.
///
/// # Errors
/// Names the claim that cannot be drawn or the picture that could not be written.
pub fn draw(panels: &[(String, Vec<Trend>, f64)], svg: &Path, png: &Path) -> Result<()> {
    chart::draw(&panels.iter().map(panel).collect::<Vec<_>>(), svg, png)
}

fn panel((title, trends, paper): &(String, Vec<Trend>, f64)) -> Chart {
    let line = |(place, trend): (usize, &Trend)| {
        // Side by side: claims are measured on the same runs.
        let aside = ASIDE.powi(place as i32);
        let mut points: Vec<Point> = trend
            .points
            .iter()
            .map(|&(x, y, half, seeds)| Point {
                x: x * aside,
                y,
                spread: (seeds > 1).then_some(Spread { half, seeds }),
            })
            .collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Line::new(&trend.label, points)
    };
    let mark = |(place, trend): (usize, &Trend)| {
        let point = Point::new(paper * ASIDE.powi(place as i32), trend.paper?);
        Some(Line { style: Style::Published, ..Line::new(&trend.label, vec![point]) })
    };
    let marks = trends.iter().enumerate().filter_map(mark);
    Chart {
        title: title.clone(),
        x: Axis { logarithmic: true, ..Axis::new("images seen in training", Unit::Count) },
        y: Axis::new("effect, 1 = the paper's or twice the margin", Unit::Plain),
        curves: trends.iter().enumerate().map(line).chain(marks).collect(),
        rule: Some(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_effect_is_a_point_apart() {
        let trend = Trend {
            label: "loses".to_owned(),
            points: vec![(450_000.0, 0.7, 0.2, 3), (90_000.0, 0.4, 0.3, 3)],
            paper: Some(-0.5),
        };
        let chart = panel(&("Fig. 3".to_owned(), vec![trend], 15e6));
        let points: Vec<(f64, f64)> = chart.curves[0].points.iter().map(|p| (p.x, p.y)).collect();
        assert_eq!(points, [(90_000.0, 0.4), (450_000.0, 0.7)]);
        let paper = &chart.curves[1];
        assert_eq!((paper.points[0].x, paper.points[0].y), (15e6, -0.5));
        assert_eq!((paper.style, &*paper.label), (Style::Published, "loses"));
        assert_eq!(chart.curves[0].points[0].spread.map(|s| s.half), Some(0.3));
    }
}
