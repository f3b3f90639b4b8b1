//! How the paper's claims come out as training gets longer.

use std::path::Path;

use anyhow::Result;

use super::chart::{self, Axis, Chart, Line, Point, Spread, Style, Unit};

/// How far apart the intervals of two claims stand, as a factor of the images seen.
const ASIDE: f64 = 1.04;

/// A claim's effects in units of the paper's, by the images seen in training.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// The claim.
    pub label: String,
    /// Images seen, effect, half of its interval, seeds.
    pub points: Vec<(f64, f64, f64, usize)>,
}

/// Draws a panel a figure: its title, its claims, and the images that the paper's networks saw,
/// where each claim's effect is 1 and which no line leads to: its networks are others.
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
    let paper =
        Line { style: Style::Published, ..Line::new("the paper", vec![Point::new(*paper, 1.0)]) };
    Chart {
        title: title.clone(),
        x: Axis { logarithmic: true, ..Axis::new("images seen in training", Unit::Count) },
        y: Axis::new("effect, 1 = the paper's", Unit::Plain),
        curves: trends.iter().enumerate().map(line).chain([paper]).collect(),
        rule: Some(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_own_training_is_a_point_apart() {
        let trend = Trend {
            label: "loses".to_owned(),
            points: vec![(450_000.0, 0.7, 0.2, 3), (90_000.0, 0.4, 0.3, 3)],
        };
        let chart = panel(&("Fig. 3".to_owned(), vec![trend], 15e6));
        let points: Vec<(f64, f64)> = chart.curves[0].points.iter().map(|p| (p.x, p.y)).collect();
        assert_eq!(points, [(90_000.0, 0.4), (450_000.0, 0.7)]);
        assert_eq!((chart.curves[1].points[0].x, chart.curves[1].style), (15e6, Style::Published));
        assert_eq!(chart.curves[0].points[0].spread.map(|s| s.half), Some(0.3));
    }
}
