//! Figure 5: top-1 accuracy against the budget, each network's exits marked.

use std::path::Path;

use anyhow::Result;

use super::chart::{self, Axis, Chart, Line, Unit};
use super::seeds::{Sample, lines, means};
use super::{PaperCurve, paper};
use crate::results::tables;

/// Draws the `figure.csv` of an anytime experiment, the paper's curves dashed beside ours.
///
/// Columns read: curve, network, seed, exit, multiply_adds, accuracy. An accuracy holds until the
/// next exit, so lines are steps, as the paper's are. Of a curve that joins networks of several exits
/// each network has its own line.
///
/// # Errors
/// Names the CSV with the column or line that cannot be drawn, or the picture that could not be
/// written.
pub fn draw(csv: &Path, paper: &[PaperCurve], svg: &Path, png: &Path) -> Result<()> {
    chart::draw(&[panel(csv, paper, "Anytime prediction")?], svg, png)
}

/// Draws figure 10, what MSDNet loses without one of its parts, in the same way.
///
/// # Errors
/// As [`draw`].
pub fn draw_ablation(csv: &Path, paper: &[PaperCurve], svg: &Path, png: &Path) -> Result<()> {
    chart::draw(&[panel(csv, paper, "Ablation")?], svg, png)
}

fn panel(csv: &Path, paper: &[PaperCurve], title: &str) -> Result<Chart> {
    let mut curves = read(csv)?;
    curves.extend(paper::lines(paper, true));
    Ok(Chart {
        title: title.to_owned(),
        x: paper::cost_axis("budget (multiply-adds)", &curves),
        y: accuracy_axis(),
        curves,
        rule: None,
    })
}

/// The axis of an absolute accuracy.
pub(super) fn accuracy_axis() -> Axis {
    Axis::new("top-1 accuracy (%)", Unit::Percent)
}

fn read(csv: &Path) -> Result<Vec<Line>> {
    let table = tables::read(csv)?.filled()?;
    let curve = table.text("curve")?;
    let network = table.text("network")?;
    let seed = table.text("seed")?;
    let exit = table.text("exit")?;
    let cost = table.numbers("multiply_adds")?;
    let accuracy = table.numbers("accuracy")?;
    let label = |i: usize| {
        let own = || (0..curve.len()).filter(|&other| curve[other] == curve[i]);
        let is_joined = own().any(|other| network[other] != network[i]);
        match is_joined && own().any(|other| exit[other] != exit[i]) {
            true => format!("{}: {}", curve[i], network[i]),
            false => curve[i].clone(),
        }
    };
    let samples = (0..curve.len()).map(|i| Sample {
        key: (label(i), network[i].clone(), exit[i].clone()),
        seed: seed[i].clone(),
        x: cost[i],
        y: accuracy[i],
    });
    let means = table.within(means(samples))?.into_iter();
    Ok(lines(means.map(|((label, ..), mean)| (label, mean)), true))
}

#[cfg(test)]
mod tests {

    use super::*;

    const HEADER: &str = "curve,network,seed,exit,multiply_adds,accuracy,correct,images\n";

    fn with_csv<T>(text: &str, work: impl Fn(&Path) -> T) -> T {
        let (_folder, csv) = tables::written(text);
        work(&csv)
    }

    fn table() -> String {
        let rows = [
            "MSDNet,MSDNet,0,1,1000000,0.5,50,100",
            "MSDNet,MSDNet,1,1,1000000,0.7,70,100",
            "MSDNet,MSDNet,0,2,3000000,0.8,80,100",
            "MSDNet,MSDNet,1,2,3000000,0.8,80,100",
            "ResNets,ResNet-20,0,1,9000000,0.75,75,100",
            "ResNets,ResNet-14,0,1,5000000,0.65,65,100",
        ];
        format!("{HEADER}{}\n", rows.join("\n"))
    }

    #[test]
    fn a_curve_is_the_mean_over_seeds_at_each_exit_by_ascending_cost() {
        let lines = with_csv(&table(), |csv| read(csv).unwrap());
        let heights =
            |i: usize| -> Vec<(f64, f64)> { lines[i].points.iter().map(|p| (p.x, p.y)).collect() };
        assert_eq!(lines.len(), 3);
        assert_eq!(heights(0), [(1e6, 0.6), (3e6, 0.8)]);
        // The seeds' own, then the curve of one seed.
        assert_eq!(heights(1), [(1e6, 0.5), (1e6, 0.7), (3e6, 0.8), (3e6, 0.8)]);
        assert_eq!(heights(2), [(5e6, 0.65), (9e6, 0.75)]);
        assert_eq!(lines[0].points[0].spread.map(|spread| spread.seeds), Some(2));
        assert_eq!(lines[2].points[0].spread, None);
    }

    #[test]
    fn networks_of_several_exits_that_are_joined_have_a_line_each() {
        let rows = ["A,1,1000000,0.5", "A,2,3000000,0.7", "B,1,2000000,0.4", "B,2,4000000,0.8"];
        let row = |row: &&str| format!("L,{},50,100\n", row.replacen(',', ",0,", 1));
        let text = format!("{HEADER}{}", rows.iter().map(row).collect::<String>());
        let lines = with_csv(&text, |csv| read(csv).unwrap());
        let labels: Vec<&str> = lines.iter().map(|line| line.label.as_str()).collect();
        assert_eq!(labels, ["L: A", "L: B"]);
    }

    #[test]
    fn a_table_that_cannot_be_drawn_is_named_and_no_picture_is_left() {
        let row = "MSDNet,MSDNet,0,1,1000000,0.5,50,100\n";
        let cases = [
            (String::new(), ""),
            (HEADER.to_owned(), "no rows"),
            (format!("{HEADER}{row}").replace("accuracy", "error"), "`accuracy`"),
            (format!("{HEADER}{row}").replace("0.5", "half"), "`accuracy`, line 2"),
            (format!("{HEADER}{row}{row}"), "seed 0 occurs twice"),
        ];
        for (text, expected) in cases {
            with_csv(&text, |csv| {
                let (svg, png) = (csv.with_extension("svg"), csv.with_extension("png"));
                let error = format!("{:#}", draw(csv, &[], &svg, &png).unwrap_err());
                assert!(error.contains("figure.csv"), "{error}");
                assert!(error.contains(expected), "{error}");
                assert!(!svg.exists() && !png.exists());
            });
        }
    }
}
