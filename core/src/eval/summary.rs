//! One network in a few numbers: how far early exit gets it, and what its exits know of
//! themselves and of each other.

use anyhow::{Result, ensure};

use crate::eval::answers::Answers;
use crate::eval::budgeted::{Network, Setting, sweep};
use crate::eval::combine::{self, Combine};
use crate::eval::curve::{Point, area_under, first_cost, interpolate};

/// Budgets at which accuracy is given, percent of the last exit's cost.
pub const PERCENTS: [u32; 4] = [25, 50, 75, 100];

/// Falls of the true class's probability that are counted.
pub const FALLS: [f64; 3] = [0.01, 0.1, 0.5];

/// One number of the summary.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What is measured.
    pub measure: String,
    /// The exit, from 1; none where it is of all.
    pub exit: Option<usize>,
    /// The value; none where it is not defined.
    pub value: Option<f64>,
}

/// Cost and accuracy of the paper's rule at its usual ratios, by ascending cost.
///
/// # Errors
/// When the predictions cannot be used, or the hold-out is too small.
pub fn curve(network: &Network, combine: Combine) -> Result<Vec<Point>> {
    let points = sweep(network, &Setting { combine, ..Setting::paper() })?.points;
    let mut line: Vec<Point> = points.iter().map(|p| (p.multiply_adds, p.accuracy)).collect();
    line.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(line)
}

/// Chance that a right answer has a higher confidence than a wrong one, equal ones count 1/2;
/// none where all are right or all wrong.
pub fn auroc(confidence: &[f64], right: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..confidence.len()).collect();
    order.sort_by(|&a, &b| confidence[a].total_cmp(&confidence[b]));
    let (mut wrong_below, mut pairs) = (0.0, 0.0);
    for tied in order.chunk_by(|&a, &b| confidence[a] == confidence[b]) {
        let rights = tied.iter().filter(|&&image| right[image]).count() as f64;
        let wrongs = tied.len() as f64 - rights;
        pairs += rights * (wrong_below + wrongs / 2.0);
        wrong_below += wrongs;
    }
    let rights = confidence.len() as f64 - wrong_below;
    (rights > 0.0 && wrong_below > 0.0).then(|| pairs / (rights * wrong_below))
}

/// Of the images that each exit gets wrong, the share that an earlier exit gets right (Wołczyk et
/// al., 2021); 0 where none is wrong.
pub fn hindsight_improvability(right: &[Vec<bool>]) -> Vec<f64> {
    let first = first_right(right);
    let of_exit = |(exit, hits): (usize, &Vec<bool>)| {
        let wrong: Vec<usize> = (0..hits.len()).filter(|&image| !hits[image]).collect();
        let earlier = wrong.iter().filter(|&&image| first[image].is_some_and(|k| k < exit));
        earlier.count() as f64 / wrong.len().max(1) as f64
    };
    right.iter().enumerate().map(of_exit).collect()
}

/// The first exit (from 0) that is right on each image; none where no exit is.
pub fn first_right(right: &[Vec<bool>]) -> Vec<Option<usize>> {
    let images = right.first().map_or(0, Vec::len);
    (0..images).map(|image| right.iter().position(|hits| hits[image])).collect()
}

/// Overthinking (Kaya et al., 2019): what going on to the last exit loses and wastes.
#[derive(Debug, Clone, PartialEq)]
pub struct Overthinking {
    /// Share of images that some exit up to k gets right, K.
    pub cumulative_accuracy: Vec<f64>,
    /// Share of images right at some exit before the last and wrong at the last.
    pub destructive: f64,
    /// Share of images right at some exit before the last and at the last.
    pub wasteful: f64,
    /// Mean cost of the first right exit as a share of the last's; 1 where none is right.
    pub cost_to_first_right: f64,
}

/// Overthinking of exits that are `right` or not on each image.
pub fn overthinking(right: &[Vec<bool>], multiply_adds: &[u64]) -> Overthinking {
    let (exits, first) = (right.len(), first_right(right));
    let (last, images) = (&right[exits - 1], first.len() as f64);
    let known = |exit: usize| first.iter().flatten().filter(|&&first| first <= exit).count();
    let cumulative = (0..exits).map(|exit| known(exit) as f64 / images);
    let early = |at_last: bool| {
        let is = |&(exit, &hit): &(&Option<usize>, &bool)| {
            exit.is_some_and(|exit| exit + 1 < exits) && hit == at_last
        };
        first.iter().zip(last).filter(is).count() as f64 / images
    };
    let full = multiply_adds[exits - 1] as f64;
    let costs = first.iter().map(|exit| exit.map_or(1.0, |k| multiply_adds[k] as f64 / full));
    Overthinking {
        cumulative_accuracy: cumulative.collect(),
        destructive: early(false),
        wasteful: early(true),
        cost_to_first_right: costs.sum::<f64>() / images,
    }
}

/// Share of images whose true class loses more than `fall` of probability from an exit to a later
/// one; `probability` is `[K][N]`.
pub fn falls_by_more_than(probability: &[Vec<f64>], fall: f64) -> f64 {
    let images = probability.first().map_or(0, Vec::len);
    let falls = |&image: &usize| {
        let mut highest = f64::NEG_INFINITY;
        probability.iter().any(|exit| {
            highest = highest.max(exit[image]);
            highest - exit[image] > fall
        })
    };
    (0..images).filter(falls).count() as f64 / images.max(1) as f64
}

/// Every number of the summary, on the test split; thresholds come from the hold-out.
///
/// # Errors
/// When the predictions cannot be used, the network has one exit, or the hold-out is too small.
pub fn summarise(network: &Network) -> Result<Vec<Entry>> {
    network.check()?;
    ensure!(network.test.exits > 1, "a network of one exit has nothing to leave early");
    let costs = network.multiply_adds;
    let plain = curve(network, Combine::Single)?;
    let mut entries = at_percents(&plain, costs, "");
    let last = plain.last().map_or(f64::NAN, |point| point.1);
    entries.push(entry("multiply_adds_at_equal_accuracy", first_cost(&plain, last)));
    entries
        .push(entry("multiply_adds_at_one_point_less", first_cost(&plain, last - 0.01 - ROUNDING)));
    entries.push(entry("area_under_curve", area_under(&plain)));
    for rule in Combine::ALL.into_iter().skip(1) {
        entries.extend(at_percents(&curve(network, rule)?, costs, &format!("_{rule}")));
    }
    entries.extend(of_exits(&combine::plain(network.test)?, costs));
    let probability = combine::true_class(network.test, Combine::Single, costs)?;
    entries.extend(FALLS.map(|fall| {
        entry(format!("falls_by_more_than_{fall}"), falls_by_more_than(&probability, fall))
    }));
    Ok(entries)
}

fn entry(measure: impl Into<String>, value: impl Into<Option<f64>>) -> Entry {
    Entry { measure: measure.into(), exit: None, value: value.into() }
}

/// A difference of two accuracies may lie this far above the exact one.
const ROUNDING: f64 = 1e-12;

fn at_percents(line: &[Point], multiply_adds: &[u64], suffix: &str) -> Vec<Entry> {
    let full = multiply_adds[multiply_adds.len() - 1] as f64;
    let at = |percent: u32| {
        let accuracy = interpolate(line, full * f64::from(percent) / 100.0);
        entry(format!("accuracy_at_{percent}_percent{suffix}"), accuracy)
    };
    PERCENTS.map(at).to_vec()
}

fn of_exits(answers: &Answers, multiply_adds: &[u64]) -> Vec<Entry> {
    let right = answers.right();
    let found = overthinking(&right, multiply_adds);
    let each = |measure: &str, values: Vec<Option<f64>>| {
        let numbered = values.into_iter().enumerate();
        let named = numbered.map(|(k, value)| Entry {
            measure: measure.to_string(),
            exit: Some(k + 1),
            value,
        });
        named.collect::<Vec<_>>()
    };
    let some = |values: Vec<f64>| values.into_iter().map(Some).collect::<Vec<_>>();
    let confidence = answers.confidence.iter().zip(&right);
    let aurocs = confidence.map(|(confidence, right)| auroc(confidence, right)).collect();
    let mut entries = each("auroc", aurocs);
    entries.extend(each("hindsight_improvability", some(hindsight_improvability(&right))));
    entries.extend(each("cumulative_accuracy", some(found.cumulative_accuracy)));
    entries.push(entry("destructive_overthinking", found.destructive));
    entries.push(entry("wasteful_overthinking", found.wasteful));
    entries.push(entry("cost_to_first_right", found.cost_to_first_right));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auroc_counts_pairs_and_ties_half() {
        // Right at .9 and .5, wrong at .5 and .1: 1 + 1 + 1/2 + 1 of 4.
        let found = auroc(&[0.9, 0.5, 0.5, 0.1], &[true, true, false, false]);
        assert_eq!(found, Some(0.875));
        assert_eq!(auroc(&[0.9, 0.5], &[true, true]), None);
    }

    #[test]
    fn overthinking_of_four_images_is_worked_by_hand() {
        // Right at all exits; at the first alone; at the last alone; nowhere.
        let right = vec![vec![true, true, false, false], vec![true, false, true, false]];
        let found = overthinking(&right, &[10, 40]);
        assert_eq!(found.cumulative_accuracy, vec![0.5, 0.75]);
        assert_eq!((found.destructive, found.wasteful), (0.25, 0.25));
        assert_eq!(found.cost_to_first_right, (0.25 + 0.25 + 1.0 + 1.0) / 4.0);
        assert_eq!(hindsight_improvability(&right), vec![0.0, 0.5]);
    }

    #[test]
    fn a_fall_counts_from_the_highest_exit_before() {
        // .6 .5 .8, and .9 .2 .9.
        let probability = vec![vec![0.6, 0.9], vec![0.5, 0.2], vec![0.8, 0.9]];
        assert_eq!(falls_by_more_than(&probability, 0.05), 1.0);
        assert_eq!(falls_by_more_than(&probability, 0.5), 0.5);
        assert_eq!(falls_by_more_than(&probability, 0.8), 0.0);
    }
}
