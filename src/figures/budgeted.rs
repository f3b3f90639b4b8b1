//! Figure 7: top-1 accuracy against the mean cost of an image when a batch shares a budget.

use std::path::Path;

use anyhow::Result;

use super::anytime::accuracy_axis;
use super::chart::{Chart, Line, Markers, Point, Style};
use super::draw::draw as draw_chart;
use super::seeds::{Sample, means};
use super::{PaperCurve, envelope, paper, table};

/// Draws the `figure.csv` of a budgeted-batch experiment, the paper's curves dashed beside ours.
///
/// Columns read: curve, network, seed, policy, temperature, ratio, multiply_adds, accuracy, and
/// combine where it is there. Rows with a ratio are swept: a curve that joins several networks is their upper envelope, with each
/// network's own points pale behind it. Rows without a ratio are a network's exits, or networks of
/// one exit each, marked each; several networks with exits are joined as swept ones are. A
/// curve that occurs under several policies, with several ways to combine exits, or with and
/// without a fitted temperature, is a line for each, which its label then says.
///
/// # Errors
/// Names the CSV with the column or line that cannot be drawn, or the picture that could not be
/// written.
pub fn draw(csv: &Path, paper: &[PaperCurve], svg: &Path, png: &Path) -> Result<()> {
    draw_chart(&[chart(csv, paper)?], svg, png)
}

fn chart(csv: &Path, paper: &[PaperCurve]) -> Result<Chart> {
    let mut curves: Vec<Line> = read(csv)?.into_iter().flat_map(lines).collect();
    curves.extend(paper::lines(paper, false));
    Ok(Chart {
        title: "Budgeted batch classification".to_owned(),
        x: paper::cost_axis("mean cost of an image (multiply-adds)", &curves),
        y: accuracy_axis(),
        curves,
        rule: None,
    })
}

/// A network's name and its points.
type Network = (String, Vec<Point>);

/// A curve's points, network by network, each by ascending cost.
struct Swept {
    label: String,
    ratios: bool,
    networks: Vec<Network>,
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

/// Kind, network, ratio, and which of the rows of one seed that have all these.
type Key = (Kind, String, String, usize);

fn read(csv: &Path) -> Result<Vec<Swept>> {
    let table = table::read(csv)?;
    let curve = table.text("curve")?;
    let network = table.text("network")?;
    let seed = table.text("seed")?;
    let policy = table.text("policy")?;
    let temperature = table.text("temperature")?;
    let ratio = table.text("ratio")?;
    // Tables of before exits could be combined have no such column.
    let combine = match table.columns().iter().any(|name| name == "combine") {
        true => table.text("combine")?,
        false => vec!["single".to_owned(); curve.len()],
    };
    let swept: Vec<bool> = ratio.iter().map(|ratio| !ratio.is_empty()).collect();
    let cost = table.numbers("multiply_adds")?;
    let accuracy = table.numbers("accuracy")?;
    let mut samples: Vec<Sample<Key>> = Vec::new();
    let mut counts = std::collections::HashMap::new();
    for i in 0..curve.len() {
        let kind = Kind {
            curve: curve[i].clone(),
            policy: policy[i].clone(),
            // A fitted temperature differs from seed to seed, and a network of several exits has
            // one for each, joined by `/`; that it was fitted does not differ.
            scaled: !matches!(temperature[i].as_str(), "" | "1"),
            combine: combine[i].clone(),
            ratios: swept[i],
        };
        let mut key = (kind, network[i].clone(), ratio[i].clone(), 0);
        // The exits of a network without dynamic evaluation have nothing else to tell them apart.
        if !swept[i] {
            let count = counts.entry((key.clone(), seed[i].clone())).or_insert(0);
            key.3 = *count;
            *count += 1;
        }
        samples.push(Sample { key, seed: seed[i].clone(), x: cost[i], y: accuracy[i] });
    }
    let means = table.within(means(samples))?;
    Ok(gather(means))
}

fn gather(means: Vec<(Key, Point)>) -> Vec<Swept> {
    let mut kinds: Vec<(Kind, Vec<Network>)> = Vec::new();
    for ((kind, network, _, _), point) in means {
        let place = kinds.iter().position(|(known, _)| *known == kind);
        let place = place.unwrap_or_else(|| {
            kinds.push((kind, Vec::new()));
            kinds.len() - 1
        });
        let networks = &mut kinds[place].1;
        match networks.iter_mut().find(|(name, _)| *name == network) {
            Some((_, points)) => points.push(point),
            None => networks.push((network, vec![point])),
        }
    }
    let labels: Vec<String> = kinds.iter().map(|(kind, _)| label(kind, &kinds)).collect();
    let swept = labels.into_iter().zip(kinds);
    let swept = swept.map(|(label, (kind, mut networks))| {
        for (_, points) in &mut networks {
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
        }
        Swept { label, ratios: kind.ratios, networks }
    });
    swept.collect()
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

fn lines(swept: Swept) -> Vec<Line> {
    let line = |points: Vec<Point>, style: Style, markers: Markers| Line {
        label: swept.label.clone(),
        points,
        style,
        markers,
        stepped: false,
    };
    let each: Vec<Vec<Point>> = swept.networks.iter().map(|(_, p)| p.clone()).collect();
    // Networks of one exit each are one curve; the exits of several networks, by cost alone, would
    // be a zigzag.
    let is_one = each.len() == 1 || each.iter().all(|points| points.len() == 1);
    if !swept.ratios && is_one {
        let mut points = each.concat();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        return vec![line(points, Style::Ours, Markers::Every)];
    }
    if let [only] = &each[..] {
        return vec![line(only.clone(), Style::Ours, Markers::Spaced)];
    }
    let joined = envelope::upper(&each);
    let pale = each.into_iter();
    let mut lines: Vec<Line> =
        pale.map(|points| line(points, Style::Pale, Markers::None)).collect();
    lines.push(line(joined, Style::Ours, Markers::Spaced));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(rows: &[&str]) -> Vec<Line> {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("figure.csv");
        let header = "curve,network,seed,policy,temperature,ratio,multiply_adds,accuracy,images";
        std::fs::write(&csv, format!("{header}\n{}\n", rows.join("\n"))).unwrap();
        chart(&csv, &[]).unwrap().curves
    }

    fn places(line: &Line) -> Vec<(f64, f64)> {
        line.points.iter().map(|p| (p.x, p.y)).collect()
    }

    #[test]
    fn networks_that_are_joined_are_pale_behind_their_envelope() {
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

    #[test]
    fn costs_and_accuracies_are_means_over_seeds() {
        let lines = drawn(&[
            "MSDNet,m,0,max-softmax,1,0.5,10,0.5,100",
            "MSDNet,m,1,max-softmax,1,0.5,14,0.75,100",
        ]);
        assert_eq!(places(&lines[0]), [(12.0, 0.625)]);
        assert!(lines[0].points[0].sd.is_some());
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
        assert_eq!(places(&lines[1]), [(40.0, 0.9)]);
    }

    #[test]
    fn exits_of_several_networks_are_joined_by_their_envelope() {
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
        let labels: Vec<&str> = lines.iter().map(|line| line.label.as_str()).collect();
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
