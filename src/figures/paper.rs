//! The paper's own curves, and points that others published, beside ours.

use super::chart::{Axis, Line, Point, Style, Unit};

/// One of the paper's curves, or points published elsewhere, in the units of the figure: multiply-adds or relative depth across,
/// a fraction (accuracy or relative accuracy) upwards.
#[derive(Clone, Debug, PartialEq)]
pub struct PaperCurve {
    /// Its name there, such as `MSDNet`; the picture says `paper: MSDNet`.
    pub label: String,
    /// Where it was published, if not in the paper: `published: MobileNet (source)`.
    pub source: Option<String>,
    pub points: Vec<(f64, f64)>,
}

/// The paper's curves as thin dashed lines, others as hollow points.
pub fn lines(paper: &[PaperCurve], stepped: bool) -> Vec<Line> {
    let line = |curve: &PaperCurve| {
        let points = curve.points.iter().map(|&(x, y)| Point::new(x, y)).collect();
        let (label, style) = match &curve.source {
            None => (format!("paper: {}", curve.label), Style::Paper),
            Some(source) => (format!("published: {} ({source})", curve.label), Style::Published),
        };
        Line { style, stepped, ..Line::new(&label, points) }
    };
    paper.iter().map(line).collect()
}

/// How many times larger the largest cost of one side must be for a logarithmic axis.
const FAR_APART: f64 = 5.0;

/// The axis of multiply-adds: from 0, as the paper's, unless ours and the paper's networks differ
/// so much in size that one side would be squeezed into a corner.
pub fn cost_axis(label: &str, lines: &[Line]) -> Axis {
    let largest = |paper: bool| {
        let lines = lines.iter().filter(|l| (l.style == Style::Paper) == paper);
        lines.flat_map(|l| &l.points).map(|p| p.x).fold(0.0, f64::max)
    };
    let (ours, theirs) = (largest(false), largest(true));
    let above_zero = lines.iter().flat_map(|l| &l.points).all(|p| p.x > 0.0);
    let apart = ours > 0.0 && theirs > 0.0 && (ours / theirs).max(theirs / ours) > FAR_APART;
    Axis { logarithmic: apart && above_zero, ..Axis::new(label, Unit::Count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(ours: f64, theirs: f64) -> Axis {
        let paper = [PaperCurve {
            label: "MSDNet".to_owned(),
            source: None,
            points: vec![(theirs / 2.0, 0.5), (theirs, 0.6)],
        }];
        let mut both = lines(&paper, false);
        both.push(Line::new("MSDNet", vec![Point::new(ours, 0.5)]));
        cost_axis("budget", &both)
    }

    #[test]
    fn networks_of_very_different_size_get_a_logarithmic_axis() {
        assert!(axis(1e7, 1.1e8).logarithmic);
        assert!(axis(3e9, 1e8).logarithmic);
        assert!(!axis(7.6e7, 1.1e8).logarithmic);
    }
}
