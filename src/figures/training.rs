//! How training went: loss, accuracy of each exit on the hold-out, learning rate.

use std::path::Path;

use anyhow::{Result, ensure};

use super::chart::{self, Axis, Chart, Line, Markers, Point, Style, Unit};
use crate::results::tables::Rows;

/// Draws the log of each run: label, table as in `train.csv`.
///
/// Columns read: epoch, learning_rate, loss and, where there is a hold-out, accuracy_1 and on. Of
/// one run each exit has its line; of several runs the last exit is strong and the others pale.
///
/// # Errors
/// Names the CSV with the column or line that cannot be drawn, or the picture that could not be
/// written.
pub fn draw(runs: Vec<(String, Rows)>, svg: &Path, png: &Path) -> Result<()> {
    ensure!(!runs.is_empty(), "no run to draw");
    let mut loss = Vec::new();
    let mut accuracy = Vec::new();
    let mut rate = Vec::new();
    let alone = runs.len() == 1;
    for (label, table) in runs {
        let (label, table) = (&label, table.filled()?);
        loss.extend(line(&table, "loss", label, Style::Ours, false)?);
        rate.extend(line(&table, "learning_rate", label, Style::Ours, true)?);
        accuracy.extend(exits(&table, label, alone)?);
    }
    let panels = [
        panel("Loss", "sum over exits", Unit::Plain, loss),
        panel("Hold-out", "top-1 accuracy (%)", Unit::Percent, accuracy),
        panel("Learning rate", "learning rate", Unit::Plain, rate),
    ];
    let shown: Vec<Chart> = panels.into_iter().filter(|panel| !panel.curves.is_empty()).collect();
    chart::draw(&shown, svg, png)
}

fn panel(title: &str, label: &str, unit: Unit, curves: Vec<Line>) -> Chart {
    Chart {
        title: title.to_owned(),
        x: Axis::new("epoch", Unit::Plain),
        y: Axis::new(label, unit),
        curves,
        rule: None,
    }
}

/// The accuracies of a run's exits, however many columns there are.
fn exits(table: &Rows, label: &str, alone: bool) -> Result<Vec<Line>> {
    let last = (1..).take_while(|k| table.has(&format!("accuracy_{k}"))).last().unwrap_or(0);
    let mut lines = Vec::new();
    for exit in 1..=last {
        let column = format!("accuracy_{exit}");
        let (name, style) = match (alone, exit == last) {
            (true, _) => (format!("exit {exit}"), Style::Ours),
            (false, true) => (label.to_owned(), Style::Ours),
            (false, false) => (label.to_owned(), Style::Pale),
        };
        lines.extend(line(table, &column, &name, style, false)?);
    }
    Ok(lines)
}

/// A column over epochs; none where it is empty.
fn line(
    table: &Rows,
    column: &str,
    label: &str,
    style: Style,
    stepped: bool,
) -> Result<Option<Line>> {
    let epochs = table.numbers("epoch")?;
    let values = table.optional_numbers(column)?;
    let points = epochs.into_iter().zip(values);
    let points: Vec<Point> = points.filter_map(|(x, y)| Some(Point::new(x, y?))).collect();
    let line = |points| Line { style, stepped, markers: Markers::None, ..Line::new(label, points) };
    Ok((!points.is_empty()).then(|| line(points)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn svg_of(tables: &[&str]) -> Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut runs = Vec::new();
        for (i, text) in tables.iter().enumerate() {
            let path = folder.path().join(format!("train-{i}.csv"));
            fs::write(&path, text).unwrap();
            runs.push((format!("run {i}"), crate::results::tables::read(&path)?));
        }
        let (svg, png) = (folder.path().join("t.svg"), folder.path().join("t.png"));
        draw(runs, &svg, &png)?;
        Ok(fs::read_to_string(svg).unwrap())
    }

    const TWO_EXITS: &str = "epoch,learning_rate,loss,accuracy_1,accuracy_2\n\
                             1,0.1,4.5,0.2,0.3\n2,0.01,3.5,0.3,0.4\n";

    #[test]
    fn one_run_shows_each_exit_and_several_runs_show_each_run() {
        let one = svg_of(&[TWO_EXITS]).unwrap();
        assert!(one.contains("\nexit 1\n") && one.contains("\nexit 2\n"));
        let two = svg_of(&[TWO_EXITS, TWO_EXITS]).unwrap();
        assert!(!two.contains("\nexit 1\n"));
        for label in ["\nrun 0\n", "\nrun 1\n"] {
            assert_eq!(two.matches(label).count(), 1, "{label:?}");
        }
    }

    #[test]
    fn a_run_without_a_hold_out_has_no_panel_of_accuracy() {
        let svg = svg_of(&["epoch,learning_rate,loss\n1,0.1,4.5\n"]).unwrap();
        assert!(svg.contains("\nLoss\n") && !svg.contains("\nHold-out\n"));
    }

    #[test]
    fn a_missing_column_is_named() {
        let error = svg_of(&["epoch,learning_rate\n1,0.1\n"]).unwrap_err();
        assert!(format!("{error:#}").contains("train-0.csv has no column `loss`"));
    }
}
