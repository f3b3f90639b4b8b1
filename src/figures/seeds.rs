//! What several seeds measured at one point: their mean, its interval, and each.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

use anyhow::{Result, ensure};

use super::chart::{Line, Markers, Point, Spread, Style};
use crate::eval::statistics::seeds_half_width;

/// What one seed measured at the point that `key` names.
#[derive(Clone)]
pub struct Sample<K> {
    pub key: K,
    pub seed: String,
    pub x: f64,
    pub y: f64,
}

/// The means of x and y over seeds with y's 95 % interval, which one seed does not have, and what
/// each seed measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Mean {
    pub point: Point,
    pub seeds: Vec<(f64, f64)>,
}

impl Mean {
    /// The mean of what the seeds measured.
    pub fn of(seeds: Vec<(f64, f64)>) -> Mean {
        let count = seeds.len() as f64;
        let x = seeds.iter().map(|seed| seed.0).sum::<f64>() / count;
        let ys: Vec<f64> = seeds.iter().map(|seed| seed.1).collect();
        let half = seeds_half_width(&ys);
        let spread = half.map(|half| Spread { half, seeds: seeds.len() });
        Mean { point: Point { x, y: ys.iter().sum::<f64>() / count, spread }, seeds }
    }
}

/// One mean for each key, in the order of first occurrence.
///
/// # Errors
/// A seed that occurs twice at one key: its rows are not what the mean is taken over.
pub fn means<K: Clone + Debug + Eq + Hash>(
    samples: impl IntoIterator<Item = Sample<K>>,
) -> Result<Vec<(K, Mean)>> {
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
    Ok(groups.into_iter().map(|(key, values)| (key, Mean::of(values))).collect())
}

/// A line with marked points for each label, in the order in which labels come, each by ascending
/// x, and after it the dots of its seeds where there are several. Stepped: a height holds until
/// the next point.
pub fn lines(labelled: impl Iterator<Item = (String, Mean)>, stepped: bool) -> Vec<Line> {
    let mut groups: Vec<(String, Vec<Mean>)> = Vec::new();
    for (label, mean) in labelled {
        match groups.iter_mut().find(|(known, _)| *known == label) {
            Some((_, means)) => means.push(mean),
            None => groups.push((label, vec![mean])),
        }
    }
    groups.into_iter().flat_map(|(label, means)| of_means(&label, means, stepped)).collect()
}

/// The line through the means, and the dots of their seeds where there are several.
pub fn of_means(label: &str, mut means: Vec<Mean>, stepped: bool) -> Vec<Line> {
    means.sort_by(|a, b| a.point.x.total_cmp(&b.point.x));
    let strong = means.iter().map(|mean| mean.point).collect();
    let mut lines = vec![Line { stepped, ..Line::new(label, strong) }];
    let several = means.iter().filter(|mean| mean.seeds.len() > 1);
    let dots: Vec<Point> =
        several.flat_map(|mean| mean.seeds.iter().map(|&(x, y)| Point::new(x, y))).collect();
    if !dots.is_empty() {
        let (style, markers) = (Style::Seeds, Markers::None);
        lines.push(Line { style, markers, stepped, ..Line::new(label, dots) });
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
    fn the_interval_is_students_and_absent_for_one_seed() {
        let samples = [
            sample("two", 0, 10.0, 0.5),
            sample("one", 0, 1.0, 0.25),
            sample("two", 1, 30.0, 0.75),
        ];
        let means = means(samples).unwrap();
        let two = means[0].1.point;
        assert_eq!((two.x, two.y), (20.0, 0.625));
        // Values 0.125 on both sides of the mean: an error of 0.125, one degree of freedom.
        let spread = two.spread.unwrap();
        assert!((spread.half - 12.7062 * 0.125).abs() < 1e-4 && spread.seeds == 2, "{spread:?}");
        assert_eq!(means[1].0, "one");
        assert_eq!(means[1].1.point.spread, None);
    }

    #[test]
    fn each_of_several_seeds_is_a_dot_beside_the_mean() {
        let means =
            means([sample("a", 0, 2.0, 0.5), sample("a", 1, 2.0, 0.7), sample("b", 0, 1.0, 0.4)]);
        let labelled = means.unwrap().into_iter().map(|(_, mean)| ("all".to_owned(), mean));
        let lines = lines(labelled, true);
        let styles: Vec<Style> = lines.iter().map(|line| line.style).collect();
        assert_eq!(styles, [Style::Ours, Style::Seeds]);
        let xs: Vec<f64> = lines[0].points.iter().map(|point| point.x).collect();
        assert_eq!(xs, [1.0, 2.0]);
        let dots: Vec<f64> = lines[1].points.iter().map(|point| point.y).collect();
        assert_eq!(dots, [0.5, 0.7]);
    }

    #[test]
    fn a_seed_counts_once() {
        let twice = [sample("a", 3, 1.0, 0.5), sample("a", 3, 1.0, 0.5)];
        let error = means(twice).unwrap_err().to_string();
        assert!(error.contains("seed 3"), "{error}");
    }
}
