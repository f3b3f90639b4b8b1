//! Means and standard deviations over seeds.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

use anyhow::{Result, ensure};

use super::chart::{Line, Markers, Point, Style};

/// What one seed measured at the point that `key` names.
pub struct Sample<K> {
    pub key: K,
    pub seed: String,
    pub x: f64,
    pub y: f64,
}

/// One point for each key, in the order of first occurrence: the means of x and y and the sample
/// standard deviation of y, which one seed does not have.
///
/// # Errors
/// A seed that occurs twice at one key: its rows are not what the mean is taken over.
pub fn means<K: Clone + Debug + Eq + Hash>(
    samples: impl IntoIterator<Item = Sample<K>>,
) -> Result<Vec<(K, Point)>> {
    let mut place: HashMap<K, usize> = HashMap::new();
    let mut seen: HashSet<(usize, String)> = HashSet::new();
    let mut groups: Vec<(K, Vec<(f64, f64)>)> = Vec::new();
    for Sample { key, seed, x, y } in samples {
        let group = *place.entry(key.clone()).or_insert(groups.len());
        if group == groups.len() {
            groups.push((key, Vec::new()));
        }
        let (key, values) = &mut groups[group];
        values.push((x, y));
        let fresh = seen.insert((group, seed.clone()));
        ensure!(fresh, "seed {seed} occurs twice at {key:?}");
    }
    Ok(groups.into_iter().map(|(key, values)| (key, mean(&values))).collect())
}

fn mean(values: &[(f64, f64)]) -> Point {
    let count = values.len() as f64;
    let x = values.iter().map(|v| v.0).sum::<f64>() / count;
    let y = values.iter().map(|v| v.1).sum::<f64>() / count;
    let squares: f64 = values.iter().map(|v| (v.1 - y).powi(2)).sum();
    let sd = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
    Point { x, y, sd }
}

/// A line with marked points for each label, in the order in which labels come, each by ascending
/// x. Stepped: a height holds until the next point.
pub fn lines(labelled: impl Iterator<Item = (String, Point)>, stepped: bool) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (label, point) in labelled {
        match lines.iter_mut().find(|line| line.label == label) {
            Some(line) => line.points.push(point),
            None => lines.push(Line {
                label,
                points: vec![point],
                style: Style::Ours,
                markers: Markers::Every,
                stepped,
            }),
        }
    }
    for line in &mut lines {
        line.points.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(key: &str, seed: u32, x: f64, y: f64) -> Sample<String> {
        Sample { key: key.to_owned(), seed: seed.to_string(), x, y }
    }

    #[test]
    fn the_deviation_is_that_of_a_sample_and_absent_for_one_seed() {
        let samples = [
            sample("two", 0, 10.0, 0.5),
            sample("one", 0, 1.0, 0.25),
            sample("two", 1, 30.0, 0.75),
        ];
        let means = means(samples).unwrap();
        let two = means[0].1;
        assert_eq!((two.x, two.y), (20.0, 0.625));
        // Values 0.125 on both sides of the mean: sqrt(2 * 0.125^2 / 1).
        assert!((two.sd.unwrap() - 0.125 * 2f64.sqrt()).abs() < 1e-15);
        assert_eq!(means[1].0, "one");
        assert_eq!(means[1].1.sd, None);
    }

    #[test]
    fn a_seed_counts_once() {
        let twice = [sample("a", 3, 1.0, 0.5), sample("a", 3, 1.0, 0.5)];
        let error = means(twice).unwrap_err().to_string();
        assert!(error.contains("seed 3"), "{error}");
    }
}
