//! How the families learn: accuracy of the last exit on the hold-out, by epoch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::chart::ink::FAMILIES;
use super::chart::{self, Axis, Chart, Line, Markers, Point, Style, Unit};
use crate::data::plural;
use crate::eval::named::unique;
use crate::results::tables;

/// Draws the `learning.csv` of several figures: a panel a family, a thin line a run, and the mean of
/// the runs of one network and of as many epochs; in Fig. 3 the networks of a curve are one whatever
/// their position. Each table has words that tell its networks from those of the others. A run that
/// several figures share is drawn once. Writes nothing where no run has a hold-out, and returns whether there
/// was something to draw.
///
/// Columns read: network, seed, epoch, exit, accuracy.
///
/// # Errors
/// Names the CSV with the column or line that cannot be drawn, or the picture that could not be
/// written.
pub fn draw(tables: &[(PathBuf, String)], svg: &Path, png: &Path) -> Result<bool> {
    let mut families: BTreeMap<usize, Vec<Run>> = BTreeMap::new();
    for (table, (path, apart)) in tables.iter().enumerate() {
        for mut run in read(path)? {
            let runs = families.entry(family(&run.network)).or_default();
            run.label = format!("{}{apart}", name(&run.network));
            run.table = table;
            // Two tables may have the same run, by one name or two.
            let is_it = |known: &Run| {
                known.table != table && known.seed == run.seed && known.points == run.points
            };
            if !runs.iter().any(is_it) {
                runs.push(run);
            }
        }
    }
    let charts: Vec<Chart> = families.into_iter().map(|(place, runs)| panel(place, runs)).collect();
    if charts.is_empty() {
        return Ok(false);
    }
    chart::draw(&charts, svg, png)?;
    Ok(true)
}

/// Refuses a table that [`draw`] could not read.
///
/// # Errors
/// As [`draw`].
pub fn check(path: &Path) -> Result<()> {
    read(path).map(drop)
}

/// The family that a network's name begins with; the last place is for all others.
fn family(network: &str) -> usize {
    FAMILIES.iter().position(|name| network.starts_with(name)).unwrap_or(FAMILIES.len())
}

/// A network's name without `, copy N`: members of an ensemble that differ in their seed alone.
pub fn original(network: &str) -> &str {
    match network.rsplit_once(", copy ") {
        Some((original, copy)) if copy.parse::<u32>().is_ok() => original,
        _ => network,
    }
}

/// A network's name without its position in Fig. 3, or the number of its copy.
fn name(network: &str) -> &str {
    let network = original(network);
    match network.rsplit_once(" at ") {
        Some((curve, position)) if position.parse::<u32>().is_ok() => curve,
        _ => network.strip_suffix(" without").unwrap_or(network),
    }
}

/// Epoch and accuracy of a run's last exit.
struct Run {
    network: String,
    /// What the legend calls it.
    label: String,
    /// The place of its table.
    table: usize,
    seed: String,
    points: Vec<(f64, f64)>,
}

fn read(path: &Path) -> Result<Vec<Run>> {
    // A figure of imported runs alone has nothing but the header.
    if std::fs::read_to_string(path).is_ok_and(|text| text.lines().count() == 1) {
        return Ok(Vec::new());
    }
    let table = tables::read(path)?.filled()?;
    let (network, seed) = (table.text("network")?, table.text("seed")?);
    let (epoch, exit) = (table.numbers("epoch")?, table.numbers("exit")?);
    let accuracy = table.optional_numbers("accuracy")?;
    let mut last: BTreeMap<&str, f64> = BTreeMap::new();
    for (name, exit) in network.iter().zip(&exit) {
        let known = last.entry(name).or_insert(*exit);
        *known = known.max(*exit);
    }
    let mut runs: Vec<Run> = Vec::new();
    for i in 0..network.len() {
        let Some(accuracy) = accuracy[i].filter(|_| last.get(&*network[i]) == Some(&exit[i]))
        else {
            continue;
        };
        let point = (epoch[i], accuracy);
        match runs.iter_mut().find(|run| run.network == network[i] && run.seed == seed[i]) {
            Some(run) => run.points.push(point),
            None => runs.push(Run {
                network: network[i].clone(),
                label: String::new(),
                table: 0,
                seed: seed[i].clone(),
                points: vec![point],
            }),
        }
    }
    for run in &runs {
        ensure!(
            run.points.is_sorted_by(|a, b| a.0 < b.0),
            "{}: the epochs of {}, seed {} do not ascend",
            path.display(),
            run.network,
            run.seed
        );
    }
    Ok(runs)
}

fn panel(place: usize, runs: Vec<Run>) -> Chart {
    let mut curves = Vec::new();
    let groups = unique(runs.iter().map(|run| (run.label.as_str(), run.points.len())));
    for (name, length) in groups {
        let is_own = |run: &&Run| run.label == name && run.points.len() == length;
        let own: Vec<&Run> = runs.iter().filter(is_own).collect();
        let label = format!("{name}, {}", plural(length, "epoch"));
        let line = |points: Vec<(f64, f64)>, style| {
            let points = points.into_iter().map(|(x, y)| Point::new(x, y)).collect();
            Line { style, markers: Markers::None, ..Line::new(&label, points) }
        };
        curves.extend(own.iter().map(|run| line(run.points.clone(), Style::Pale)));
        let mean = |epoch: usize| {
            let sum: f64 = own.iter().map(|run| run.points[epoch].1).sum();
            (own[0].points[epoch].0, sum / own.len() as f64)
        };
        curves.push(line((0..length).map(mean).collect(), Style::Ours));
    }
    Chart {
        title: FAMILIES.get(place).unwrap_or(&"Others").to_string(),
        x: Axis::new("epoch", Unit::Plain),
        y: Axis::new("last exit on the hold-out (%)", Unit::Percent),
        curves,
        rule: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(rows: &str) -> (Result<bool>, String) {
        let header = "network,seed,epoch,learning_rate,loss,exit,accuracy\n";
        let (folder, csv) = tables::written(&format!("{header}{rows}"));
        let (svg, png) = (folder.path().join("l.svg"), folder.path().join("l.png"));
        // The same table twice: shared runs are drawn once.
        let done = draw(&[(csv.clone(), String::new()), (csv, String::new())], &svg, &png);
        (done, std::fs::read_to_string(svg).unwrap_or_default())
    }

    #[test]
    fn each_family_has_a_panel_and_runs_of_one_network_and_length_one_mean() {
        let rows = "ResNet at 1,0,1,0.1,4,1,0.1\nResNet at 1,0,1,0.1,4,2,0.2\n\
                    ResNet at 1,0,2,0.1,3,1,0.2\nResNet at 1,0,2,0.1,3,2,0.3\n\
                    ResNet without,0,1,0.1,4,1,0.1\nResNet without,0,2,0.1,4,1,0.3\n\
                    MSDNet,0,1,0.1,4,1,0.1\n";
        let (done, svg) = drawn(rows);
        assert!(done.unwrap());
        for text in ["\nResNet\n", "\nMSDNet\n", "\nResNet, 2 epochs\n", "\nMSDNet, 1 epoch\n"] {
            assert_eq!(svg.matches(text).count(), 1, "{text}");
        }
        assert!(!svg.contains("\nDenseNet\n"));
    }

    #[test]
    fn runs_of_another_table_with_the_same_names_are_drawn_apart() {
        let header = "network,seed,epoch,learning_rate,loss,exit,accuracy\n";
        let (folder, main) = tables::written(&format!("{header}ResNet at 1,0,1,0.1,4,1,0.1\n"));
        let (_other, other) = tables::written(&format!("{header}ResNet,0,1,0.1,4,1,0.2\n"));
        let (svg, png) = (folder.path().join("l.svg"), folder.path().join("l.png"));
        let tables = [(main, ", Fig. 3".to_owned()), (other, String::new())];
        assert!(draw(&tables, &svg, &png).unwrap());
        let svg = std::fs::read_to_string(svg).unwrap();
        for text in ["\nResNet, Fig. 3, 1 epoch\n", "\nResNet, 1 epoch\n"] {
            assert_eq!(svg.matches(text).count(), 1, "{text}");
        }
    }

    #[test]
    fn the_last_exit_of_each_run_counts() {
        let text = "network,seed,epoch,learning_rate,loss,exit,accuracy\nA,0,1,0.1,4,1,0.1\nA,0,1,0.1,4,2,0.2\nB,0,1,0.1,4,1,0.3\n";
        let (_folder, csv) = tables::written(text);
        let points: Vec<_> = read(&csv).unwrap().into_iter().map(|run| run.points).collect();
        assert_eq!(points, [vec![(1.0, 0.2)], vec![(1.0, 0.3)]]);
    }

    #[test]
    fn without_a_hold_out_nothing_is_drawn() {
        let (done, svg) = drawn("MSDNet,0,1,0.1,4,1,\n");
        assert!(!done.unwrap());
        assert!(svg.is_empty());
    }
}
