//! What a picture shows, said without a pixel: panels of curves.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::ink::Inks;
use super::mark::{Canvas, Mark};
use super::{legend, paint, panel};

/// One panel. `Chart::default()` is an empty one with plain axes.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// Written above the panel; empty for none.
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub curves: Vec<Line>,
    /// A thin grey horizontal line at this y, such as a relative accuracy of 1.
    pub rule: Option<f64>,
}

/// One axis of a panel.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// Written along the axis, unit included.
    pub label: String,
    /// What the axis shows at least. It is widened to the data, so nothing is ever cut off.
    pub range: Option<(f64, f64)>,
    pub unit: Unit,
    /// Logarithmic; every value must then be above 0.
    pub logarithmic: bool,
}

/// How an axis writes its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// As they are.
    #[default]
    Plain,
    /// Fractions written as percent, without the sign: 0.7 as `70`.
    Percent,
    /// Large counts with a prefix: 20,000,000 as `20 M`. A linear axis then starts at 0.
    Count,
}

/// One curve of a panel.
///
/// Lines of one label, also in different panels, look alike and share one entry of the legend.
#[derive(Clone, Debug)]
pub struct Line {
    pub label: String,
    pub points: Vec<Point>,
    pub style: Style,
    pub markers: Markers,
    /// Each y holds until the next x, as an anytime prediction does.
    pub stepped: bool,
}

/// A point of a curve, in the units of the data: multiply-adds, fractions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    /// One standard deviation of y over seeds; `None` where there is one seed.
    pub sd: Option<f64>,
}

/// Whose curve it is, and how much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Strong, with a band of plus and minus one standard deviation.
    Ours,
    /// Thin, dashed, hollow markers, no band; coloured as our curve of the same family.
    Paper,
    /// Hollow markers without a line: points that somebody published.
    Published,
    /// A pale companion of the strong line of the same label; not in the legend.
    Pale,
}

/// Which points of a curve carry a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markers {
    None,
    Every,
    /// So few that they do not touch, for curves of many points.
    Spaced,
}

/// Draws the panels side by side, with one legend below, to an SVG and to a PNG of twice its size.
///
/// Both files appear whole or not at all.
///
/// # Errors
/// Names the curve and its panel where a value is not finite or not above 0 on a logarithmic axis,
/// the panel that has no points, or the file that could not be written.
pub fn draw(panels: &[Chart], svg: &Path, png: &Path) -> Result<()> {
    let canvas = lay_out(panels).with_context(|| format!("drawing {}", svg.display()))?;
    paint::write_svg(&canvas, svg)?;
    paint::write_png(&canvas, png)
}

/// Room around the whole picture and between its panels, in pixels.
const MARGIN: f64 = 16.0;
const GAP: f64 = 28.0;

/// The picture as marks on a canvas.
pub(super) fn lay_out(panels: &[Chart]) -> Result<Canvas> {
    ensure!(!panels.is_empty(), "a picture needs at least one panel");
    let inks = Inks::of(panels.iter().flat_map(|panel| &panel.curves));
    let size = panel::size(panels.len());
    let mut marks: Vec<Mark> = Vec::new();
    let mut title: f64 = 0.0;
    for chart in panels {
        title = title.max(panel::title_height(chart, size.0)?);
    }
    for (i, chart) in panels.iter().enumerate() {
        let left = MARGIN + i as f64 * (size.0 + GAP);
        panel::lay_out(chart, &inks, (left, MARGIN), size, title, &mut marks)
            .with_context(|| format!("panel {} ({})", i + 1, chart.title))?;
    }
    let width = MARGIN * 2.0 + size.0 * panels.len() as f64 + GAP * (panels.len() - 1) as f64;
    let bottom = legend::lay_out(
        panels,
        &inks,
        (MARGIN, MARGIN + size.1 + 18.0),
        width - 2.0 * MARGIN,
        &mut marks,
    )?;
    Ok(Canvas { width: width.ceil(), height: (bottom + MARGIN).ceil(), marks })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn line(label: &str, style: Style, points: &[(f64, f64)], sd: Option<f64>) -> Line {
        let point = |&(x, y): &(f64, f64)| Point { x, y, sd };
        Line {
            label: label.to_owned(),
            points: points.iter().map(point).collect(),
            style,
            markers: Markers::Every,
            stepped: false,
        }
    }

    fn chart(curves: Vec<Line>) -> Chart {
        Chart { curves, ..Chart::default() }
    }

    const RISING: [(f64, f64); 3] = [(1.0, 0.5), (2.0, 0.6), (3.0, 0.7)];

    fn drawn(panels: &[Chart]) -> (String, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let svg = folder.path().join("figure.svg");
        let png = folder.path().join("figure.png");
        draw(panels, &svg, &png).unwrap();
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "nothing but the two pictures stays");
        (fs::read_to_string(&svg).unwrap(), fs::read(&png).unwrap())
    }

    /// The texts of an SVG: the line after each opening tag.
    fn texts(svg: &str) -> Vec<&str> {
        let lines: Vec<&str> = svg.lines().collect();
        let pairs = lines.windows(2).filter(|pair| pair[0].starts_with("<text"));
        pairs.map(|pair| pair[1]).collect()
    }

    fn areas(canvas: &Canvas) -> usize {
        let faint = |mark: &&Mark| matches!(mark, Mark::Area { opacity, .. } if *opacity < 1.0);
        canvas.marks.iter().filter(faint).count()
    }

    #[test]
    fn every_label_is_written_once_however_many_panels_show_its_curve() {
        let curves = vec![
            line("MSDNet", Style::Ours, &RISING, None),
            line("MSDNet", Style::Pale, &RISING, None),
            line("a < b & c", Style::Ours, &RISING, None),
            line("paper: MSDNet", Style::Paper, &RISING, None),
        ];
        let (svg, _) = drawn(&[chart(curves.clone()), chart(curves)]);
        for label in ["MSDNet", "a &lt; b &amp; c", "paper: MSDNet"] {
            let count = texts(&svg).iter().filter(|text| **text == label).count();
            assert_eq!(count, 1, "{label}");
        }
    }

    #[test]
    fn the_same_chart_gives_the_same_bytes() {
        let panels = [chart(vec![line("a", Style::Ours, &RISING, Some(0.01))])];
        assert!(drawn(&panels) == drawn(&panels));
    }

    #[test]
    fn the_png_is_twice_as_large_as_the_svg_says() {
        let panels = [chart(vec![line("a", Style::Ours, &RISING, None)])];
        let canvas = lay_out(&panels).unwrap();
        let (svg, png) = drawn(&panels);
        let size = format!("<svg width=\"{}\" height=\"{}\"", canvas.width, canvas.height);
        assert!(svg.starts_with(&size));
        let picture = image::load_from_memory(&png).unwrap();
        assert_eq!(f64::from(picture.width()), canvas.width * 2.0);
        assert_eq!(f64::from(picture.height()), canvas.height * 2.0);
    }

    #[test]
    fn only_curves_of_several_seeds_have_a_band() {
        let one = lay_out(&[chart(vec![line("a", Style::Ours, &RISING, None)])]).unwrap();
        let two = lay_out(&[chart(vec![line("a", Style::Ours, &RISING, Some(0.01))])]).unwrap();
        assert_eq!((areas(&one), areas(&two)), (0, 1));
    }

    #[test]
    fn no_text_leaves_the_canvas_or_runs_over_another() {
        let long = "a label so long that no column has room for it ".repeat(5);
        let mut panel = chart(vec![
            line(&long, Style::Ours, &RISING, Some(0.01)),
            line("b", Style::Ours, &[(1.0, 1e9), (2e9, 2e9)], None),
            line("c", Style::Paper, &RISING, None),
        ]);
        panel.title = "a title that needs more than one line ".repeat(4);
        panel.x.label = "across".to_owned();
        panel.y.label = "up".to_owned();
        let canvas = lay_out(&[panel.clone(), panel]).unwrap();
        let boxes: Vec<[f64; 4]> = canvas.marks.iter().filter_map(text_box).collect();
        for (i, a) in boxes.iter().enumerate() {
            assert!(a[0] >= 0.0 && a[1] >= 0.0, "{a:?}");
            assert!(a[2] <= canvas.width && a[3] <= canvas.height, "{a:?}");
            for b in &boxes[..i] {
                let apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
                assert!(apart, "{a:?} {b:?}");
            }
        }
    }

    /// Left, top, right and bottom of the letters.
    fn text_box(mark: &Mark) -> Option<[f64; 4]> {
        use super::super::mark::{Across, Down, text_width};
        let Mark::Text(text) = mark else { return None };
        let (x, y) = text.at;
        let width = text_width(&text.words, text.size).unwrap();
        let left = match text.across {
            Across::Left => 0.0,
            Across::Middle => -width / 2.0,
            Across::Right => -width,
        };
        let top = match text.down {
            Down::Top => 0.0,
            Down::Middle => -text.size / 2.0,
        };
        Some(if text.upright {
            [x + top, y + left, x + top + text.size, y + left + width]
        } else {
            [x + left, y + top, x + left + width, y + top + text.size]
        })
    }

    #[test]
    fn one_point_is_a_marker_without_a_line() {
        let canvas = lay_out(&[chart(vec![line("a", Style::Ours, &RISING[..1], None)])]).unwrap();
        let thick = |mark: &&Mark| matches!(mark, Mark::Stroke { width, .. } if *width > 2.0);
        assert_eq!(canvas.marks.iter().filter(thick).count(), 0);
        // In the panel and in the legend, each with its white edge.
        let solid = |mark: &&Mark| matches!(mark, Mark::Area { opacity, .. } if *opacity == 1.0);
        assert_eq!(canvas.marks.iter().filter(solid).count(), 4);
    }

    #[test]
    fn what_cannot_be_drawn_is_named() {
        let message = |panels: &[Chart]| format!("{:#}", lay_out(panels).err().unwrap());
        assert!(message(&[]).contains("panel"));
        let mut nothing = chart(Vec::new());
        nothing.title = "Right".to_owned();
        assert!(message(&[nothing]).contains("Right"));
        let hole = line("ResNet", Style::Ours, &[(1.0, f64::NAN)], None);
        assert!(message(&[chart(vec![hole])]).contains("ResNet"));
        let mut logarithmic = chart(vec![line("ResNet", Style::Ours, &[(0.0, 1.0)], None)]);
        logarithmic.x.logarithmic = true;
        assert!(message(&[logarithmic]).contains("ResNet"));
    }

    #[test]
    fn a_picture_that_cannot_be_written_is_named_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let panels = [chart(vec![line("a", Style::Ours, &RISING, None)])];
        let svg = folder.path().join("figure.svg");
        let png = folder.path().join("absent/figure.png");
        let error = format!("{:#}", draw(&panels, &svg, &png).unwrap_err());
        assert!(error.contains("absent/figure.png"), "{error}");
    }
}
