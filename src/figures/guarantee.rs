//! What leaving early costs and saves over the loss that is tolerated.

use std::path::Path;

use anyhow::Result;

use super::chart::{self, Axis, Chart, Line, Markers, Point, Unit};
use super::seeds::{Mean, lines};
use crate::results::tables::{self, Rows};

/// Draws the `guarantee.csv` of `repro guarantee`: risk on test beside the diagonal on which it
/// is as large as tolerated, and the saving.
///
/// Columns read: risk, tolerance, method, saving, risk_test.
///
/// # Errors
/// Names the CSV with the column or line that cannot be drawn, or the picture that could not be
/// written.
pub fn draw(csv: &Path, svg: &Path, png: &Path) -> Result<()> {
    let table = tables::read(csv)?.filled()?;
    let risk = table.text("risk")?.swap_remove(0);
    let mut risks = curves(&table, "risk_test")?;
    let largest = table.numbers("tolerance")?.into_iter().fold(0.0, f64::max);
    let diagonal = vec![Point::new(0.0, 0.0), Point::new(largest, largest)];
    risks.push(Line { markers: Markers::None, ..Line::new("as much as tolerated", diagonal) });
    let panels = [
        panel(format!("Risk ({risk}) on test"), "mean loss (points)", risks),
        panel("Saving on test".to_owned(), "multiply-adds saved (%)", curves(&table, "saving")?),
    ];
    chart::draw(&panels, svg, png)
}

fn panel(title: String, label: &str, curves: Vec<Line>) -> Chart {
    let [x, y] = ["tolerated loss (points)", label].map(|label| Axis::new(label, Unit::Percent));
    Chart { title, x, y, curves, rule: Some(0.0) }
}

/// A line for each method over the tolerances.
fn curves(table: &Rows, column: &str) -> Result<Vec<Line>> {
    let (methods, tolerances) = (table.text("method")?, table.numbers("tolerance")?);
    let values = table.numbers(column)?;
    let points = tolerances.into_iter().zip(values).map(|(x, y)| Mean::of(vec![(x, y)]));
    Ok(lines(methods.into_iter().zip(points), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_lines_and_the_diagonal_says_what_is_tolerated() {
        let rows = "risk,tolerance,confidence,method,threshold,multiply_adds,saving,risk_holdout,risk_test\n\
            gap,0.01,,crc,0.8,100,0.2,0.008,0.009\ngap,0.01,0.9,ltt,,125,0,0,0\n\
            gap,0.02,,crc,0.7,80,0.36,0.018,0.021\ngap,0.02,0.9,ltt,0.9,110,0.12,-0.002,0.001\n";
        let (folder, csv) = tables::written(rows);
        let place = |name: &str| folder.path().join(name);
        draw(&csv, &place("g.svg"), &place("g.png")).unwrap();
        let svg = std::fs::read_to_string(place("g.svg")).unwrap();
        for text in ["Risk (gap) on test", "Saving on test", "crc", "ltt", "as much as tolerated"] {
            assert!(svg.contains(text), "{text}");
        }
    }
}
