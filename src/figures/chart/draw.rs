//! Panels laid out as marks on a canvas, and written as pictures.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::ink::Inks;
use super::mark::{Canvas, Mark};
use super::{Chart, legend, paint, panel};

/// Draws the panels side by side, with one legend below, to an SVG and to a PNG of twice its size.
///
/// Both files appear whole or not at all.
///
/// # Errors
/// Names the curve and its panel where a value is not finite or not above 0 on a logarithmic axis,
/// the panel that has no points, or the file that could not be written.
pub fn draw(panels: &[Chart], svg: &Path, png: &Path) -> Result<()> {
    let canvas = lay_out(panels).with_context(|| format!("drawing {}", svg.display()))?;
    paint::write(&canvas, svg, png)
}

/// Room around the whole picture and between its panels, in pixels.
const MARGIN: f64 = 16.0;
const GAP: f64 = 28.0;

/// The picture as marks on a canvas.
fn lay_out(panels: &[Chart]) -> Result<Canvas> {
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

    use super::super::{Line, Point, Spread, Style};
    use super::*;

    fn line(label: &str, style: Style, points: &[(f64, f64)], half: Option<f64>) -> Line {
        let spread = half.map(|half| Spread { half, seeds: 3 });
        let point = |&(x, y): &(f64, f64)| Point { x, y, spread };
        Line { style, ..Line::new(label, points.iter().map(point).collect()) }
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

    /// Upright strokes of the width of an interval's bar.
    fn bars(canvas: &Canvas) -> usize {
        let is_bar = |mark: &&Mark| {
            matches!(mark, Mark::Stroke { points, width, .. }
                if *width == 2.0 && points.len() == 2 && points[0].0 == points[1].0)
        };
        canvas.marks.iter().filter(is_bar).count()
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
    fn only_points_of_several_seeds_have_an_interval() {
        let one = lay_out(&[chart(vec![line("a", Style::Ours, &RISING, None)])]).unwrap();
        let two = lay_out(&[chart(vec![line("a", Style::Ours, &RISING, Some(0.01))])]).unwrap();
        assert_eq!((bars(&one), bars(&two)), (0, 3));
    }

    #[test]
    fn short_entries_of_a_legend_share_a_row_above_a_long_one() {
        let long = "a label that is wider than half of the picture is, so that it has a row alone";
        let of = |label: &str| line(label, Style::Ours, &RISING, None);
        let canvas = lay_out(&[chart(vec![of("a"), of(long), of("b")])]).unwrap();
        let at = |words: &str| {
            let found = canvas.marks.iter().find_map(|mark| match mark {
                Mark::Text(text) if text.words == words => Some(text.at),
                _ => None,
            });
            found.unwrap()
        };
        assert_eq!(at("a").1, at("b").1);
        assert!(at("a").0 < at("b").0 && at(long).1 > at("a").1);
    }

    #[test]
    fn bars_are_told_to_be_of_a_mean_only_where_seeds_stand_beside_it() {
        let mean = line("a", Style::Ours, &RISING, Some(0.01));
        let (svg, _) = drawn(&[chart(vec![mean.clone()])]);
        let told = "bars: 95 % intervals over seeds and test images (n = 3)";
        assert!(texts(&svg).join(" ").contains(told));
        let (svg, _) = drawn(&[chart(vec![mean, line("a", Style::Seeds, &RISING, None)])]);
        let told = "mean over seeds (n = 3); bars: its 95 % interval";
        assert!(texts(&svg).join(" ").contains(told));
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
