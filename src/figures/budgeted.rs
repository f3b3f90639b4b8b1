//! Figure 7: top-1 accuracy against the mean cost of an image when a batch shares a budget.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::path::Path;

use anyhow::Result;

use super::anytime::accuracy_axis;
use super::chart::{self, Chart, Line, Markers, Point, Style};
use super::joined::{Candidate, best};
use super::seeds::{Mean, Sample, means, of_means};
use super::{PaperCurve, paper};
use crate::eval::curve::interpolate;
use crate::results::tables;

/// Draws the `figure.csv` of a budgeted-batch experiment, the paper's curves dashed beside ours.
///
/// Columns read: curve, network, seed, policy, temperature, ratio, multiply_adds, accuracy, and
/// combine and accuracy_holdout where they are there. Rows with a ratio are swept, and rows without
/// one a network's exits: a thin line a seed, and their mean with its interval at eight budgets.
/// Where several networks are joined, a line follows the one with the best accuracy on the
/// hold-out at each budget, of those that have begun; on the test images for the oracle and in a
/// table without that column. Networks of one exit each, and the exits of one network, are points
/// of a line, each the mean over seeds. A curve that
/// occurs under several policies, with several ways to combine exits, or with and without a fitted
/// temperature, is a line for each, which its label then says.
///
/// # Errors
/// Names the CSV with the column or line that cannot be drawn, or the picture that could not be
/// written.
pub fn draw(csv: &Path, paper: &[PaperCurve], svg: &Path, png: &Path) -> Result<()> {
    chart::draw(&[panel(csv, paper)?], svg, png)
}

fn panel(csv: &Path, paper: &[PaperCurve]) -> Result<Chart> {
    let mut curves = Vec::new();
    for swept in read(csv)? {
        curves.extend(lines(&swept)?);
    }
    curves.extend(paper::lines(paper, false));
    Ok(Chart {
        title: "Budgeted batch classification".to_owned(),
        x: paper::cost_axis("mean cost of an image (multiply-adds)", &curves),
        y: accuracy_axis(),
        curves,
        rule: None,
    })
}

/// What rows of one line have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    curve: String,
    policy: String,
    scaled: bool,
    combine: String,
    ratios: bool,
}

/// A point of one seed. Its key is the network, and what tells the network's points apart.
type Row = (Sample<(String, String)>, Merit);

/// Accuracy on the hold-out, by which the best of joined networks is chosen.
type Merit = Option<f64>;

/// A curve's rows.
struct Swept {
    label: String,
    ratios: bool,
    rows: Vec<Row>,
}

fn read(csv: &Path) -> Result<Vec<Swept>> {
    let table = tables::read(csv)?.filled()?;
    let curve = table.text("curve")?;
    let network = table.text("network")?;
    let seed = table.text("seed")?;
    let policy = table.text("policy")?;
    let temperature = table.text("temperature")?;
    let ratio = table.text("ratio")?;
    // Tables of before exits could be combined have no such column.
    let combine = match table.has("combine") {
        true => table.text("combine")?,
        false => vec!["single".to_owned(); curve.len()],
    };
    let cost = table.numbers("multiply_adds")?;
    let accuracy = table.numbers("accuracy")?;
    // Older tables lack this column too. The oracle, which sees the labels, has no thresholds from
    // the hold-out and so empty cells in it.
    let on_hold_out = match table.has("accuracy_holdout") {
        true => table.optional_numbers("accuracy_holdout")?,
        false => vec![None; curve.len()],
    };
    let mut kinds: Vec<(Kind, Vec<Row>)> = Vec::new();
    let mut exits = HashMap::new();
    for i in 0..curve.len() {
        let kind = Kind {
            curve: curve[i].clone(),
            policy: policy[i].clone(),
            // A fitted temperature differs from seed to seed, and a network of several exits has
            // one for each, joined by `/`; that it was fitted does not differ.
            scaled: !matches!(temperature[i].as_str(), "" | "1"),
            combine: combine[i].clone(),
            ratios: !ratio[i].is_empty(),
        };
        let place = match kind.ratios {
            true => ratio[i].clone(),
            false => next_exit(&mut exits, (kind.clone(), network[i].clone(), seed[i].clone())),
        };
        let key = (network[i].clone(), place);
        let sample = Sample { key, seed: seed[i].clone(), x: cost[i], y: accuracy[i] };
        let row = (sample, on_hold_out[i]);
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, rows)) => rows.push(row),
            None => kinds.push((kind, vec![row])),
        }
    }
    let swept = labelled(kinds);
    for curve in &swept {
        table.within(curve.means())?;
    }
    Ok(swept)
}

/// The exits of a network without dynamic evaluation have nothing but their order to tell them apart.
fn next_exit<K: Eq + Hash>(exits: &mut HashMap<K, usize>, of: K) -> String {
    let count = exits.entry(of).or_insert(0);
    *count += 1;
    format!("exit {count}")
}

fn labelled(kinds: Vec<(Kind, Vec<Row>)>) -> Vec<Swept> {
    let labels: Vec<String> = kinds.iter().map(|(kind, _)| label(kind, &kinds)).collect();
    let named = labels.into_iter().zip(kinds);
    named.map(|(label, (kind, rows))| Swept { label, ratios: kind.ratios, rows }).collect()
}

/// The curve's name, with what sets it apart from others of that name.
fn label<T>(kind: &Kind, kinds: &[(Kind, T)]) -> String {
    let mut same = kinds.iter().map(|(k, _)| k).filter(|k| k.curve == kind.curve);
    let mut apart = Vec::new();
    if same.clone().any(|k| k.policy != kind.policy) && !kind.policy.is_empty() {
        apart.push(kind.policy.as_str());
    }
    if same.clone().any(|k| k.combine != kind.combine) && kind.combine != "single" {
        apart.push(kind.combine.as_str());
    }
    if same.any(|k| k.scaled != kind.scaled) && kind.scaled {
        apart.push("temperature-scaled");
    }
    if apart.is_empty() {
        kind.curve.clone()
    } else {
        format!("{} ({})", kind.curve, apart.join(", "))
    }
}

/// Budgets at which a mean of lines has an interval.
const INTERVALS: usize = 8;
/// Stretches between two of them, through whose ends the mean is drawn.
const STRETCHES: usize = 12;

impl Swept {
    /// The mean over seeds at each network's place.
    fn means(&self) -> Result<Vec<Mean>> {
        let samples = self.rows.iter().map(|(sample, _)| sample.clone());
        Ok(means(samples)?.into_iter().map(|(_, mean)| mean).collect())
    }

    /// The points of each network, by ascending cost, for each seed in order.
    fn seeds(&self) -> BTreeMap<&str, Vec<Vec<Candidate>>> {
        let mut seeds: BTreeMap<&str, BTreeMap<&str, Vec<Candidate>>> = BTreeMap::new();
        // All by the hold-out or all by the test images.
        let has_merits = self.rows.iter().all(|(_, merit)| merit.is_some());
        for (row, merit) in &self.rows {
            let networks = seeds.entry(&row.seed).or_default();
            let merit = merit.filter(|_| has_merits).unwrap_or(row.y);
            let candidate = Candidate { at: Point::new(row.x, row.y), merit };
            networks.entry(&row.key.0).or_default().push(candidate);
        }
        let of_seed = |networks: BTreeMap<&str, Vec<Candidate>>| {
            networks.into_values().map(ascending).collect()
        };
        seeds.into_iter().map(|(seed, networks)| (seed, of_seed(networks))).collect()
    }

    fn line(&self, points: Vec<Point>, style: Style, markers: Markers) -> Line {
        Line { style, markers, ..Line::new(&self.label, points) }
    }
}

fn lines(swept: &Swept) -> Result<Vec<Line>> {
    let seeds = swept.seeds();
    let mut networks = seeds.values().flatten();
    // Networks of one exit each are one curve; the exits of several networks, by cost alone, would
    // be a zigzag.
    let are_points = networks.all(|points| points.len() == 1);
    if !swept.ratios && (are_points || seeds.values().all(|networks| networks.len() == 1)) {
        return Ok(of_means(&swept.label, swept.means()?, false));
    }
    let joined: Vec<Vec<Point>> = seeds.values().map(|networks| join(networks)).collect();
    if let [only] = &joined[..] {
        let own: Vec<&Vec<Candidate>> = seeds.values().flatten().collect();
        let mut lines = Vec::new();
        if own.len() > 1 {
            let pale = own.into_iter();
            lines.extend(pale.map(|line| swept.line(points_of(line), Style::Pale, Markers::None)));
        }
        lines.push(swept.line(only.clone(), Style::Ours, Markers::Spaced));
        return Ok(lines);
    }
    let Some(mean) = mean_line(&joined) else {
        return Ok(of_means(&swept.label, swept.means()?, false));
    };
    let thin = joined.into_iter().map(|points| swept.line(points, Style::Pale, Markers::None));
    let mut lines: Vec<Line> = thin.collect();
    lines.push(swept.line(mean, Style::Ours, Markers::Intervals));
    Ok(lines)
}

/// Networks of one point each are one line.
fn join(networks: &[Vec<Candidate>]) -> Vec<Point> {
    let (points, mut lines): (Vec<_>, Vec<_>) =
        networks.iter().cloned().partition(|line| line.len() == 1);
    if !points.is_empty() {
        lines.push(ascending(points.concat()));
    }
    match &lines[..] {
        [only] => points_of(only),
        several => best(several),
    }
}

fn ascending(mut line: Vec<Candidate>) -> Vec<Candidate> {
    line.sort_by(|a, b| a.at.x.total_cmp(&b.at.x));
    line
}

fn points_of(line: &[Candidate]) -> Vec<Point> {
    line.iter().map(|candidate| candidate.at).collect()
}

/// The mean of the seeds' lines over the budgets that all cover, with an interval at eight of them;
/// none where there is no such budget.
fn mean_line(seeds: &[Vec<Point>]) -> Option<Vec<Point>> {
    let pairs: Vec<Vec<(f64, f64)>> =
        seeds.iter().map(|line| line.iter().map(|point| (point.x, point.y)).collect()).collect();
    let from = pairs.iter().map(|line| line[0].0).fold(f64::NEG_INFINITY, f64::max);
    let to = pairs.iter().map(|line| line[line.len() - 1].0).fold(f64::INFINITY, f64::min);
    let steps = (INTERVALS - 1) * STRETCHES;
    let at = |step: usize| {
        let share = step as f64 / steps as f64;
        // The ends as they are, which rounding might put outside.
        let x = if step == steps { to } else { from + share * (to - from) };
        let each = pairs.iter().filter_map(|line| Some((x, interpolate(line, x)?))).collect();
        let mean = Mean::of(each).point;
        let spread = mean.spread.filter(|_| step.is_multiple_of(STRETCHES));
        Point { x, spread, ..mean }
    };
    (from < to).then(|| (0..=steps).map(at).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(rows: &[&str]) -> Result<Chart> {
        let header = "curve,network,seed,policy,temperature,ratio,multiply_adds,accuracy,images";
        tried_with(header, rows)
    }

    fn tried_with(header: &str, rows: &[&str]) -> Result<Chart> {
        let (_folder, csv) = tables::written(&format!("{header}\n{}\n", rows.join("\n")));
        panel(&csv, &[])
    }

    fn drawn(rows: &[&str]) -> Vec<Line> {
        tried(rows).unwrap().curves
    }

    fn places(line: &Line) -> Vec<(f64, f64)> {
        line.points.iter().map(|p| (p.x, p.y)).collect()
    }

    #[test]
    fn networks_that_are_joined_are_pale_behind_their_line() {
        let lines = drawn(&[
            "MSDNet,small,0,max-softmax,1,0.5,10,0.5,100",
            "MSDNet,small,0,max-softmax,1,1.5,20,0.6,100",
            "MSDNet,large,0,max-softmax,1,0.5,20,0.6,100",
            "MSDNet,large,0,max-softmax,1,1.5,30,0.7,100",
        ]);
        let styles: Vec<Style> = lines.iter().map(|line| line.style).collect();
        assert_eq!(styles, [Style::Pale, Style::Pale, Style::Ours]);
        assert!(lines.iter().all(|line| line.label == "MSDNet"));
        assert_eq!(places(&lines[2]), [(10.0, 0.5), (20.0, 0.6), (30.0, 0.7)]);
    }

    const ON_HOLD_OUT: &str =
        "curve,network,seed,policy,temperature,ratio,multiply_adds,accuracy,accuracy_holdout";

    fn joined(rows: &[&str]) -> Vec<(f64, f64)> {
        let lines = tried_with(ON_HOLD_OUT, rows).unwrap().curves;
        places(lines.iter().find(|line| line.style == Style::Ours).unwrap())
    }

    #[test]
    fn the_hold_out_chooses_among_joined_networks_unless_some_point_lacks_it() {
        let rows = [
            "MSDNet,small,0,max-softmax,1,0.5,10,0.5,0.7",
            "MSDNet,small,0,max-softmax,1,1.5,30,0.6,0.8",
            "MSDNet,large,0,max-softmax,1,0.5,10,0.7,0.5",
            "MSDNet,large,0,max-softmax,1,1.5,30,0.9,0.6",
        ];
        assert_eq!(joined(&rows), [(10.0, 0.5), (30.0, 0.6)]);
        let without = rows.map(|row| row.strip_suffix("0.6").unwrap_or(row));
        assert_eq!(joined(&without), [(10.0, 0.7), (30.0, 0.9)]);
    }

    #[test]
    fn networks_of_one_point_beside_networks_with_lines_are_one_line() {
        let rows = [
            "MSDNet,wide,0,max-softmax,1,0.5,10,0.1,0.1",
            "MSDNet,wide,0,max-softmax,1,1.5,30,0.2,0.2",
            "MSDNet,a,0,max-softmax,1,1,10,0.3,0.3",
            "MSDNet,b,0,max-softmax,1,1,30,0.5,0.5",
        ];
        assert_eq!(joined(&rows), [(10.0, 0.3), (30.0, 0.5)]);
    }

    #[test]
    fn of_several_seeds_each_is_a_thin_line_and_their_mean_has_eight_intervals() {
        let lines = drawn(&[
            "MSDNet,m,0,max-softmax,1,0,10,0.5,100",
            "MSDNet,m,0,max-softmax,1,inf,24,0.6,100",
            "MSDNet,m,1,max-softmax,1,0,10,0.7,100",
            "MSDNet,m,1,max-softmax,1,inf,24,0.8,100",
        ]);
        let styles: Vec<Style> = lines.iter().map(|line| line.style).collect();
        assert_eq!(styles, [Style::Pale, Style::Pale, Style::Ours]);
        let mean = &lines[2].points;
        let with: Vec<_> = mean.iter().filter(|point| point.spread.is_some()).collect();
        assert_eq!(with.len(), 8);
        for (place, point) in with.iter().enumerate() {
            assert!((point.x - 10.0 - 2.0 * place as f64).abs() < 1e-9, "{point:?}");
            assert!((point.y - 0.6 - 0.1 * place as f64 / 7.0).abs() < 1e-9, "{point:?}");
        }
    }

    #[test]
    fn joined_networks_of_one_point_each_are_a_line_by_cost_and_not_by_name() {
        let lines = drawn(&[
            "ResNets,ResNet-110,0,max-softmax,1,1,30,0.7,100",
            "ResNets,ResNet-20,0,max-softmax,1,1,10,0.5,100",
            "ResNets,ResNet-56,0,max-softmax,1,1,20,0.6,100",
        ]);
        let strong = lines.iter().find(|line| line.style == Style::Ours).unwrap();
        assert_eq!(places(strong), [(10.0, 0.5), (20.0, 0.6), (30.0, 0.7)]);
    }

    #[test]
    fn a_seed_that_occurs_twice_at_a_point_is_refused() {
        let error =
            format!("{:#}", tried(&["MSDNet,m,0,max-softmax,1,0,10,0.5,100"; 2]).unwrap_err());
        assert!(error.contains("seed 0 occurs twice"), "{error}");
    }

    #[test]
    fn rows_without_a_ratio_are_points_of_one_line() {
        let lines = drawn(&[
            "static,m,0,,,,10,0.5,100",
            "static,m,0,,,,20,0.6,100",
            "static,m,1,,,,10,0.7,100",
            "static,m,1,,,,20,0.8,100",
            "ResNet-110,r,0,,,,40,0.9,100",
        ]);
        assert_eq!(places(&lines[0]), [(10.0, 0.6), (20.0, 0.7)]);
        assert_eq!(lines[0].markers, Markers::Every);
        assert_eq!(lines[1].style, Style::Seeds);
        assert_eq!(places(&lines[2]), [(40.0, 0.9)]);
    }

    #[test]
    fn exits_of_several_networks_are_joined() {
        let lines = drawn(&[
            "MSDNet,small,0,none,1,,10,0.5,100",
            "MSDNet,small,0,none,1,,20,0.6,100",
            "MSDNet,large,0,none,1,,15,0.4,100",
            "MSDNet,large,0,none,1,,30,0.7,100",
        ]);
        let styles: Vec<Style> = lines.iter().map(|line| line.style).collect();
        assert_eq!(styles, [Style::Pale, Style::Pale, Style::Ours]);
        let joined = places(&lines[2]);
        assert_eq!((joined[0], joined[joined.len() - 1]), ((10.0, 0.5), (30.0, 0.7)));
        assert!(joined.contains(&(20.0, 0.6)));
        assert!(!joined.contains(&(15.0, 0.4)));
    }

    #[test]
    fn policies_and_fitted_temperatures_of_one_curve_are_lines_of_their_own() {
        let lines = drawn(&[
            "MSDNet,m,0,max-softmax,1,0.5,10,0.5,100",
            "MSDNet,m,0,max-softmax,1.7000/0.9000,0.5,10,0.5,100",
            "MSDNet,m,1,max-softmax,1.9000/1.0000,0.5,10,0.5,100",
            "MSDNet,m,0,entropy,1,0.5,10,0.5,100",
            "other,m,0,entropy,1,0.5,10,0.5,100",
        ]);
        let strong = lines.iter().filter(|line| line.style == Style::Ours);
        let labels: Vec<&str> = strong.map(|line| line.label.as_str()).collect();
        assert_eq!(
            labels,
            [
                "MSDNet (max-softmax)",
                "MSDNet (max-softmax, temperature-scaled)",
                "MSDNet (entropy)",
                "other"
            ]
        );
    }
}
