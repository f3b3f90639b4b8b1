//! What early exit saves: multiply-adds counted, time measured.

use std::path::Path;

use anyhow::Result;

use super::chart::{self, Axis, Chart, Line, Markers, Point, Unit};
use crate::results::tables;

/// Draws the `saving.csv` of `repro bench`: a panel a network, a point an exit or ratio. On the
/// line "as counted" time is saved as multiply-adds are.
///
/// Columns read: network, batch, threads, exit, ratio, counted, measured, precision.
///
/// # Errors
/// Names the CSV with the column or line that cannot be drawn, or the picture that could not be
/// written.
pub fn draw(csv: &Path, svg: &Path, png: &Path) -> Result<()> {
    let table = tables::read(csv)?.filled()?;
    let (networks, batches) = (table.text("network")?, table.text("batch")?);
    let (threads, exits) = (table.text("threads")?, table.optional_numbers("exit")?);
    let (counted, measured) = (table.numbers("counted")?, table.numbers("measured")?);
    let precisions = table.text("precision")?;
    let is_mixed = precisions.iter().any(|one| *one != precisions[0]);
    let mut panels: Vec<Chart> = Vec::new();
    for row in 0..networks.len() {
        if panels.iter().all(|panel| panel.title != networks[row]) {
            panels.push(panel(&networks[row]));
        }
        let kind = if exits[row].is_some() { "exits" } else { "ratios" };
        let ending = if threads[row] == "1" { "" } else { "s" };
        let mut label = format!("{kind}, batch {}, {} thread{ending}", batches[row], threads[row]);
        if is_mixed {
            label = format!("{label}, {}", precisions[row]);
        }
        let point = Point::new(counted[row], measured[row]);
        for panel in &mut panels {
            if panel.title == networks[row] {
                add(panel, &label, point);
            }
        }
    }
    for panel in &mut panels {
        for curve in &mut panel.curves {
            curve.points.sort_by(|a, b| a.x.total_cmp(&b.x));
        }
    }
    chart::draw(&panels, svg, png)
}

fn panel(network: &str) -> Chart {
    let axis = |label: &str| Axis { range: Some((0.0, 1.0)), ..Axis::new(label, Unit::Percent) };
    let ends = vec![Point::new(0.0, 0.0), Point::new(1.0, 1.0)];
    Chart {
        title: network.to_owned(),
        x: axis("multiply-adds, counted (% of all exits)"),
        y: axis("time, measured (% of all exits)"),
        curves: vec![Line { markers: Markers::None, ..Line::new("as counted", ends) }],
        rule: None,
    }
}

fn add(panel: &mut Chart, label: &str, point: Point) {
    match panel.curves.iter_mut().find(|curve| curve.label == label) {
        Some(curve) => curve.points.push(point),
        None => panel.curves.push(Line::new(label, vec![point])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_two_networks_gives_a_picture_with_two_panels() {
        let rows = "network,batch,threads,exit,ratio,counted,measured,images_per_s,precision\n\
            first,1,1,1,,0.2,0.25,90,fp32\nfirst,256,1,,0.5,0.5,0.55,900,fp32\nother,1,1,1,,0.3,0.3,50,bf16\n";
        let (folder, csv) = tables::written(rows);
        let place = |name: &str| folder.path().join(name);
        draw(&csv, &place("a.svg"), &place("a.png")).unwrap();
        let svg = std::fs::read_to_string(place("a.svg")).unwrap();
        for text in ["first", "other", "as counted", "ratios, batch 256, 1 thread, fp32"] {
            assert!(svg.contains(text), "{text}");
        }
    }
}
