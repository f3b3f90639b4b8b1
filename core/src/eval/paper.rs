//! The paper's own curves, digitised from its figures.

use anyhow::{Context, Result, bail, ensure};

use crate::eval::judge::{Answered, Row};
use crate::eval::named::unique;

/// One point of a curve of the paper.
#[derive(Debug, Clone, PartialEq)]
pub struct PaperPoint {
    /// For example `3-left`: figure number and panel.
    pub figure: String,
    /// For example `cifar100`.
    pub dataset: String,
    /// The curve's label in the paper.
    pub curve: String,
    /// Multiply-adds or relative depth.
    pub x: f64,
    /// A fraction: accuracy (0 to 1) or relative accuracy.
    pub y: f64,
}

const HEADER: &str = "figure,dataset,curve,x,x_unit,y,y_unit";

/// Reads the table; percent become fractions. The labels hold no comma and no quote, so a line is
/// split at its commas.
///
/// # Errors
/// On another header; else names the line.
pub fn parse(csv: &str) -> Result<Vec<PaperPoint>> {
    let mut lines = csv.lines();
    let header = lines.next().unwrap_or_default();
    ensure!(header == HEADER, "the paper's curves begin with `{header}` instead of `{HEADER}`");
    let numbered = lines.enumerate().filter(|(_, line)| !line.trim().is_empty());
    numbered
        .map(|(index, line)| point(line).with_context(|| format!("line {}: `{line}`", index + 2)))
        .collect()
}

fn point(line: &str) -> Result<PaperPoint> {
    let fields: Vec<&str> = line.split(',').collect();
    let [figure, dataset, curve, x, _, y, unit] = fields[..] else {
        bail!("{} fields instead of 7", fields.len());
    };
    let y: f64 = y.parse().context("y")?;
    let y = match unit {
        "accuracy_percent" => y / 100.0,
        "relative_accuracy" => y,
        other => bail!("unknown unit `{other}`"),
    };
    Ok(PaperPoint {
        figure: figure.to_owned(),
        dataset: dataset.to_owned(),
        curve: curve.to_owned(),
        x: x.parse().context("x")?,
        y,
    })
}

/// Labels of the curves of a figure on a data set, in the table's order.
pub fn curves<'a>(points: &'a [PaperPoint], figure: &str, dataset: &str) -> Vec<&'a str> {
    let own = points.iter().filter(|p| p.figure == figure && p.dataset == dataset);
    unique(own.map(|point| point.curve.as_str()))
}

/// (x, y) of one curve, in the table's order; empty where the paper has none.
pub fn curve(points: &[PaperPoint], figure: &str, dataset: &str, label: &str) -> Vec<(f64, f64)> {
    let own = |p: &&PaperPoint| {
        (p.figure.as_str(), p.dataset.as_str(), p.curve.as_str()) == (figure, dataset, label)
    };
    points.iter().filter(own).map(|p| (p.x, p.y)).collect()
}

/// Every point of a figure on a data set as a row of one seed.
pub fn rows(points: &[PaperPoint], figure: &str, dataset: &str) -> Vec<Row> {
    let own = points.iter().filter(|p| p.figure == figure && p.dataset == dataset);
    let answered = |accuracy| Answered { accuracy, images: 0, hits: None };
    own.map(|p| Row::new(&p.curve, &p.curve, 0, p.x, answered(p.y))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = include_str!("../../../experiments/paper-curves.csv");

    #[test]
    fn the_papers_anytime_curve_of_msdnet_is_found_in_fractions() {
        let points = parse(TABLE).unwrap();
        let msdnet = curve(&points, "5-right", "cifar100", "MSDNet");
        assert_eq!(msdnet.len(), 7);
        assert_eq!(msdnet[0].0, 9.1e6);
        assert!((msdnet[0].1 - 0.621).abs() < 1e-12);
        assert_eq!(curve(&points, "5-right", "cifar10", "MSDNet"), vec![]);
    }

    #[test]
    fn every_curve_of_the_table_ascends_in_x() {
        let points = parse(TABLE).unwrap();
        for figure in ["3-left", "3-right", "5-right", "7-right"] {
            let labels = curves(&points, figure, "cifar100");
            assert!(labels.len() >= 3, "{figure}");
            for label in labels {
                assert!(curve(&points, figure, "cifar100", label).is_sorted_by(|a, b| a.0 < b.0));
            }
        }
    }

    #[test]
    fn a_broken_line_is_named() {
        let broken =
            format!("{HEADER}\n5-right,cifar100,MSDNet,1,multiply_adds,x,accuracy_percent");
        assert!(parse(&broken).unwrap_err().to_string().starts_with("line 2:"));
        assert!(parse("a,b\n").is_err());
    }
}
