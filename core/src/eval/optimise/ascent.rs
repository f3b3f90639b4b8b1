//! Coordinate ascent over order statistics: one exit's threshold after another's is set to the
//! best of all its confidences, until a sweep over the exits changes none.

use anyhow::{Result, ensure};

use super::Price;
use crate::eval::answers::Answers;
use crate::eval::thresholds::Thresholds;

/// No step lowers the objective, so a climb takes far fewer sweeps; the limit ends one that goes round
/// among equal objectives.
const MOST_SWEEPS: usize = 1000;

/// A local optimum.
#[derive(Debug, Clone, PartialEq)]
pub struct Ascent {
    /// K-1 thresholds, infinite where no image or every image leaves.
    pub thresholds: Thresholds,
    /// Sweeps over the exits; the last changed nothing, unless the limit ended the climb.
    pub sweeps: usize,
    /// Accuracy minus lambda times the cost as a share of the last exit's, on the hold-out.
    pub objective: f64,
}

/// Climbs from `start` to thresholds that no change of a single one betters on the hold-out.
///
/// At each exit the images that arrive leave from the surest on, as many as make the objective
/// largest (of equals the fewest); the rest go on under the present later thresholds. Equal
/// confidences leave together.
///
/// # Errors
/// When the answers, the costs and the start are not of the same exits, or no image is there.
pub fn coordinate_ascent(hold_out: &Answers, price: &Price, start: &Thresholds) -> Result<Ascent> {
    price.check(hold_out)?;
    let last = hold_out.exits() - 1;
    let given = start.values.len();
    ensure!(given == last, "{given} thresholds to start from for {} exits", last + 1);
    let mut thresholds = start.clone();
    for sweeps in 1.. {
        let before = thresholds.values.clone();
        for exit in 0..last {
            thresholds.values[exit] = best_at(hold_out, price, &thresholds, exit);
        }
        if thresholds.values == before || sweeps == MOST_SWEEPS {
            let objective = objective(hold_out, price, &thresholds)?;
            return Ok(Ascent { thresholds, sweeps, objective });
        }
    }
    unreachable!("sweeps end at {MOST_SWEEPS}")
}

/// Accuracy minus lambda times the cost as a share of the last exit's.
fn objective(answers: &Answers, price: &Price, thresholds: &Thresholds) -> Result<f64> {
    let (mut right, mut spent) = (0, 0);
    for (image, exit) in thresholds.exits_of(answers)?.into_iter().enumerate() {
        let (own, cost) = outcome(answers, price, image, exit);
        (right, spent) = (right + own, spent + cost);
    }
    Ok(price.objective(right, spent) / answers.images() as f64)
}

/// Whether an image that leaves at `exit` is answered rightly, 0 or 1, and what it has cost.
fn outcome(answers: &Answers, price: &Price, image: usize, exit: usize) -> (i64, i128) {
    let right = answers.predicted[exit][image] == answers.labels[image];
    (i64::from(right), price.multiply_adds[exit].into())
}

/// The best threshold of one exit while the others stay.
fn best_at(answers: &Answers, price: &Price, thresholds: &Thresholds, exit: usize) -> f64 {
    let confidence = &answers.confidence[exit];
    let leaves = |k: usize, image: usize| thresholds.leaves(k, answers.confidence[k][image]);
    let arrives = |image: &usize| !(0..exit).any(|k| leaves(k, *image));
    let mut arrived: Vec<usize> = (0..answers.images()).filter(arrives).collect();
    arrived.sort_by(|&a, &b| confidence[b].total_cmp(&confidence[a]));
    let later = |image: usize| {
        let exits = exit + 1..answers.exits();
        let left = exits.clone().find(|&k| leaves(k, image)).unwrap_or(exits.end - 1);
        outcome(answers, price, image, left)
    };
    let (mut right, mut spent) = (0, 0);
    for &image in &arrived {
        let (own, cost) = later(image);
        (right, spent) = (right + own, spent + cost);
    }
    let (mut best, mut leaving) = (price.objective(right, spent), 0);
    for (place, &image) in arrived.iter().enumerate() {
        let (now, then) = (outcome(answers, price, image, exit), later(image));
        (right, spent) = (right + now.0 - then.0, spent + now.1 - then.1);
        let tied =
            arrived.get(place + 1).is_some_and(|&next| confidence[next] == confidence[image]);
        let objective = price.objective(right, spent);
        if !tied && objective > best {
            (best, leaving) = (objective, place + 1);
        }
    }
    match leaving {
        0 => f64::INFINITY,
        some => arrived.get(some).map_or(f64::NEG_INFINITY, |&image| confidence[image]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody(exits: usize) -> Thresholds {
        Thresholds::by_hand(vec![f64::INFINITY; exits - 1], exits).unwrap()
    }

    /// Four images, two exits: exit 1 is right on the two surest, exit 2 on all.
    fn answers(confidence: &[f64]) -> Answers {
        Answers {
            confidence: vec![confidence.to_vec(), vec![1.0; 4]],
            predicted: vec![vec![0, 0, 1, 1], vec![0; 4]],
            labels: vec![0; 4],
        }
    }

    fn climb(answers: &Answers, lambda: f64) -> Ascent {
        let price = Price::new(&[10, 40], lambda).unwrap();
        coordinate_ascent(answers, &price, &nobody(2)).unwrap()
    }

    #[test]
    fn right_images_leave_and_wrong_ones_stay_at_a_fair_price() {
        let found = climb(&answers(&[0.9, 0.8, 0.7, 0.6]), 0.4);
        assert_eq!((found.thresholds.values, found.sweeps), (vec![0.7], 2));
        // All right; two of four cost a quarter: 1 - 0.4 (0.25 + 1) / 2.
        assert!((found.objective - 0.75).abs() < 1e-12);
    }

    #[test]
    fn free_images_stay_where_they_are_and_dear_ones_all_leave() {
        let table = answers(&[0.9, 0.8, 0.7, 0.6]);
        assert_eq!(climb(&table, 0.0).thresholds.values, vec![f64::INFINITY]);
        assert_eq!(climb(&table, 2.0).thresholds.values, vec![f64::NEG_INFINITY]);
    }

    #[test]
    fn equal_confidences_leave_together_or_not_at_all() {
        // The second and third are alike: one right, one wrong.
        let found = climb(&answers(&[0.9, 0.8, 0.8, 0.6]), 0.4);
        assert_eq!(found.thresholds.values, vec![0.8]);
    }
}
