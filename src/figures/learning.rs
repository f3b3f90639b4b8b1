//! How the families learn: accuracy of the last exit on the hold-out, by epoch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

pub use super::chart::ink::FAMILIES;
use super::chart::{self, Axis, Chart, Line, Markers, Point, Style, Unit};
use crate::data::plural;
use crate::eval::named::unique;
use crate::results::tables;

/// The `learning.csv` of a figure.
pub struct Table {
    pub path: PathBuf,
    /// Words that tell its networks from those of the other tables.
    pub apart: String,
    /// Names of its networks and curves, each with its family, which has a panel. Those that it lacks
    /// share one.
    pub families: BTreeMap<String, &'static str>,
}

/// Draws the tables of several figures: a panel a family, a thin line a run, and the mean of the runs
/// of one network and of as many epochs; in Fig. 3 the networks of a curve are one whatever their
/// position. A network that several figures share is drawn once. Writes nothing where no run has a hold-out,
/// and returns whether there was something to draw.
///
/// Columns read: network, seed, epoch, exit, accuracy.
///
/// # Errors
/// Names the CSV with the column or line that cannot be drawn, or the picture that could not be
/// written.
pub fn draw(tables: &[Table], svg: &Path, png: &Path) -> Result<bool> {
    let mut families: BTreeMap<usize, Vec<Run>> = BTreeMap::new();
    for (place, table) in tables.iter().enumerate() {
        for mut run in read(&table.path)? {
            let runs = families.entry(family(&run.network, table)).or_default();
            run.label = format!("{}{}", name(&run.network), table.apart);
            run.table = place;
            let is_it =
                |known: &Run| known.table != place && known.label == run.label && known.is_as(&run);
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

/// The place of a network's family; the last is for all others.
fn family(network: &str, table: &Table) -> usize {
    let own = table.families.get(network).or_else(|| table.families.get(name(network)));
    FAMILIES.iter().position(|family| Some(family) == own).unwrap_or(FAMILIES.len())
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

impl Run {
    /// Whether another table's run may be the same one.
    fn is_as(&self, other: &Run) -> bool {
        self.seed == other.seed && self.points == other.points
    }
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
    let mut drawn: Vec<Vec<&Run>> = Vec::new();
    let groups = unique(runs.iter().map(|run| (run.label.as_str(), run.points.len())));
    for (name, length) in groups {
        let is_own = |run: &&Run| run.label == name && run.points.len() == length;
        let own: Vec<&Run> = runs.iter().filter(is_own).collect();
        // Two tables may have the same network by two names.
        if drawn.iter().any(|known| is_same(known, &own)) {
            continue;
        }
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
        drawn.push(own);
    }
    Chart {
        title: FAMILIES.get(place).unwrap_or(&"Others").to_string(),
        x: Axis::new("epoch", Unit::Plain),
        y: Axis::new("last exit on the hold-out (%)", Unit::Percent),
        curves,
        rule: None,
    }
}

/// Whether two names have the same runs, all of them.
fn is_same(one: &[&Run], other: &[&Run]) -> bool {
    one.len() == other.len() && one.iter().all(|run| other.iter().any(|known| known.is_as(run)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(path: &Path, apart: &str) -> Table {
        let families = [("ResNet", "ResNet"), ("MSDNet", "MSDNet"), ("Without all", "MSDNet")];
        let families = families.map(|(name, family)| (name.to_string(), family)).into();
        Table { path: path.to_path_buf(), apart: apart.to_string(), families }
    }

    /// The picture of several tables, each with its words.
    fn picture(tables: &[(&str, &str)]) -> String {
        let header = "network,seed,epoch,learning_rate,loss,exit,accuracy\n";
        let written = |(rows, _): &(&str, &str)| tables::written(&format!("{header}{rows}"));
        let written: Vec<_> = tables.iter().map(written).collect();
        let given = written.iter().zip(tables).map(|((_, csv), (_, apart))| table(csv, apart));
        let svg = written[0].0.path().join("l.svg");
        assert!(draw(&given.collect::<Vec<_>>(), &svg, &svg.with_extension("png")).unwrap());
        std::fs::read_to_string(svg).unwrap()
    }

    fn drawn(rows: &str) -> (Result<bool>, String) {
        let header = "network,seed,epoch,learning_rate,loss,exit,accuracy\n";
        let (folder, csv) = tables::written(&format!("{header}{rows}"));
        let (svg, png) = (folder.path().join("l.svg"), folder.path().join("l.png"));
        // The same table twice: shared runs are drawn once.
        let done = draw(&[table(&csv, ""), table(&csv, "")], &svg, &png);
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
        let (main, other) = ("ResNet at 1,0,1,0.1,4,1,0.1\n", "ResNet,0,1,0.1,4,1,0.2\n");
        let svg = picture(&[(main, ", Fig. 3"), (other, "")]);
        for text in ["\nResNet, Fig. 3, 1 epoch\n", "\nResNet, 1 epoch\n"] {
            assert_eq!(svg.matches(text).count(), 1, "{text}");
        }
    }

    #[test]
    fn a_name_keeps_the_runs_that_it_shares_and_is_left_out_where_it_has_no_others() {
        let control = "ResNet without,0,1,0.1,4,1,0.1\nResNet at 1,0,1,0.1,4,1,0.2\n";
        let plain = "ResNet,0,1,0.1,4,1,0.1\n";
        let svg = picture(&[(control, ", Fig. 3"), (plain, ""), (plain, ", again")]);
        for (text, count) in [(", Fig. 3, 1 epoch", 1), (", 1 epoch", 1), (", again, 1 epoch", 0)] {
            assert_eq!(svg.matches(&format!("\nResNet{text}\n")).count(), count, "{text}");
        }
    }

    #[test]
    fn a_familys_panel_has_its_networks_whatever_they_are_called() {
        let svg = picture(&[("Without all,0,1,0.1,4,1,0.1\nMSDNet,0,1,0.1,4,1,0.2\n", "")]);
        assert!(svg.contains("\nMSDNet\n") && !svg.contains("\nOthers\n"), "{svg}");
        assert!(picture(&[("MSDNets,0,1,0.1,4,1,0.1\n", "")]).contains("\nOthers\n"));
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
