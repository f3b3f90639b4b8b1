//! Figure 3, both halves: one classifier against the relative depth of the intermediate one.

use std::path::Path;

use anyhow::{Result, ensure};

use super::anytime::accuracy_axis;
use super::chart::{self, Axis, Chart, Line, Unit};
use super::seeds::{Sample, lines, means};
use super::{PaperCurve, paper};
use crate::results::tables::{self, Rows};

/// Draws the left half, the `figure.csv` of a fig-intermediate experiment: how good an intermediate
/// classifier is, relative to the one at the last position, and absolute.
///
/// Columns read: curve, seed, position, relative_depth, accuracy, relative_accuracy.
///
/// # Errors
/// Names the CSV with the column or line that cannot be drawn, or the picture that could not be
/// written.
pub fn draw_intermediate(csv: &Path, paper: &[PaperCurve], svg: &Path, png: &Path) -> Result<()> {
    let relative = "accuracy relative to the last position's";
    chart::draw(&panels(csv, paper, "Intermediate classifier", relative)?, svg, png)
}

/// Draws the right half, the `figure.csv` of a fig-final-degradation experiment: the final
/// classifier's accuracy, relative to the network without an intermediate one, and absolute.
///
/// # Errors
/// As [`draw_intermediate`].
pub fn draw_degradation(csv: &Path, paper: &[PaperCurve], svg: &Path, png: &Path) -> Result<()> {
    let relative = "accuracy relative to no intermediate classifier";
    chart::draw(&panels(csv, paper, "Final classifier", relative)?, svg, png)
}

/// The panel of relative accuracy, with the paper's curves, and the one of absolute accuracy. A row
/// without a relative accuracy, whose reference is not there, is in the second panel only.
fn panels(csv: &Path, paper: &[PaperCurve], title: &str, label: &str) -> Result<Vec<Chart>> {
    let table = tables::read(csv)?.filled()?;
    let relative = read(&table, &table.optional_numbers("relative_accuracy")?)?;
    let absolute = read(&table, &table.optional_numbers("accuracy")?)?;
    ensure!(!absolute.is_empty(), "{}, column `accuracy`: no number in any row", csv.display());
    let mut charts = Vec::new();
    if !relative.is_empty() {
        charts.push(Chart {
            title: format!("{title}, relative"),
            x: depth_axis(),
            y: Axis::new(label, Unit::Plain),
            curves: [relative, paper::lines(paper, false)].concat(),
            rule: Some(1.0),
        });
    }
    charts.push(Chart {
        title: format!("{title}, absolute"),
        x: depth_axis(),
        y: accuracy_axis(),
        curves: absolute,
        rule: None,
    });
    Ok(charts)
}

fn depth_axis() -> Axis {
    let label = "relative depth of the intermediate classifier";
    Axis { range: Some((0.0, 1.0)), ..Axis::new(label, Unit::Plain) }
}

/// A line for each curve through the means of `heights` at its positions.
fn read(table: &Rows, heights: &[Option<f64>]) -> Result<Vec<Line>> {
    let curve = table.text("curve")?;
    let seed = table.text("seed")?;
    let position = table.text("position")?;
    let depth = table.numbers("relative_depth")?;
    let samples = heights.iter().enumerate().filter_map(|(i, height)| {
        height.map(|y| Sample {
            key: (curve[i].clone(), position[i].clone()),
            seed: seed[i].clone(),
            x: depth[i],
            y,
        })
    });
    let means = table.within(means(samples))?.into_iter();
    Ok(lines(means.map(|((label, _), mean)| (label, mean)), false))
}

#[cfg(test)]
mod tests {
    use super::super::chart::Style;
    use super::*;

    fn drawn(rows: &[&str]) -> Result<Vec<Chart>> {
        let header = "curve,network,seed,position,relative_depth,accuracy,error,\
                      reference_accuracy,relative_accuracy";
        let (_folder, csv) = tables::written(&format!("{header}\n{}\n", rows.join("\n")));
        let paper =
            [PaperCurve { label: "ResNet".to_owned(), source: None, points: vec![(0.148, 0.934)] }];
        panels(&csv, &paper, "Final classifier", "relative accuracy")
    }

    #[test]
    fn the_paper_stands_beside_the_relative_accuracy_and_not_the_absolute_one() {
        let charts =
            drawn(&["ResNet,a,0,4,0.25,0.6,0.4,0.8,0.75", "ResNet,a,1,4,0.25,0.4,0.6,0.8,0.5"])
                .unwrap();
        let first = |i: usize| charts[i].curves[0].points[0];
        assert_eq!((first(0).x, first(0).y), (0.25, 0.625));
        assert_eq!((first(1).x, first(1).y), (0.25, 0.5));
        let papers = |chart: &Chart| {
            let curves = chart.curves.iter();
            curves.filter(|line| line.style == Style::Paper).count()
        };
        assert_eq!((papers(&charts[0]), papers(&charts[1])), (1, 0));
    }

    #[test]
    fn without_a_reference_the_absolute_accuracy_is_drawn_alone() {
        let charts = drawn(&["ResNet,a,0,4,0.25,0.6,0.4,,"]).unwrap();
        assert_eq!(charts.len(), 1);
        assert_eq!(charts[0].title, "Final classifier, absolute");
    }

    #[test]
    fn a_table_without_any_accuracy_is_named() {
        let error = drawn(&["ResNet,a,0,4,0.25,,,,"]).unwrap_err().to_string();
        assert!(error.contains("figure.csv, column `accuracy`"), "{error}");
    }
}
