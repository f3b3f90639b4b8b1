//! Exits combined before one of them is believed: what exit k says of an image is a function of
//! the logits of exits 1 to k, which cost nothing more than exit k alone.
//!
//! With z_j the logits of exit j, p_j their softmax, c_j the multiply-adds of exits 1 to j, and K
//! exits, exit k answers with the probabilities q_k:
//!
//! | rule | q_k | source |
//! | --- | --- | --- |
//! | single | p_k | |
//! | mean | (p_1 + .. + p_k) / k | |
//! | mie | sum of c_j p_j / sum of c_j, j to k | Meronen et al., 2024 |
//! | product | product of max(z_j, 0)^(j/K), normalised; p_k where every class is 0 | Jazbec et al., 2023 |
//! | caching | p_j of the exit j to k with the largest confidence; of equals the latest | Jazbec et al., 2023 |
//! | geometric | (product of p_j)^(1/k), normalised | Wołczyk et al., 2021, with equal weights |

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::eval::Predictions;
use crate::eval::answers::Answers;
use crate::eval::predictions::check_costs;
use crate::eval::probabilities::{Certainty, certainty_of, largest, log_softmax, log_sum_exp};
use crate::named;

/// How exits are combined; see the module's table.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// Each exit by itself.
    #[default]
    Single,
    /// The mean of the softmaxes so far.
    Mean,
    /// The mean of the softmaxes so far, each weighted by its cost.
    Mie,
    /// Product of experts of the logits above 0.
    Product,
    /// The most confident softmax so far.
    Caching,
    /// The geometric mean of the softmaxes so far.
    Geometric,
}

named! { Combine, "way to combine exits":
    Single = "single", Mean = "mean", Mie = "mie", Product = "product", Caching = "caching",
    Geometric = "geometric",
}

/// Combines the exits of one image, one after another.
#[derive(Debug, Clone)]
pub struct Combiner<'a> {
    rule: Combine,
    multiply_adds: &'a [u64],
    /// Exits taken in so far.
    exits: usize,
    /// What the rule has gathered, C logarithms.
    gathered: Vec<f64>,
    /// Sum of the weights of the means; the largest confidence of caching.
    weight: f64,
}

impl<'a> Combiner<'a> {
    /// Before the first exit of an image; `multiply_adds` of exits 1..k, K numbers.
    pub fn new(rule: Combine, multiply_adds: &'a [u64]) -> Self {
        let gathered = Vec::new();
        Combiner { rule, multiply_adds, exits: 0, gathered, weight: 0.0 }
    }

    /// Takes in the C logits of the next exit, divided by `temperature`, and gives the
    /// logarithms of q_k: C numbers, minus infinity where a probability is 0.
    ///
    /// # Panics
    /// After K exits.
    pub fn next(&mut self, logits: &[f32], temperature: f64) -> Vec<f64> {
        let own = log_softmax(logits, temperature);
        let cost = self.multiply_adds[self.exits] as f64;
        self.exits += 1;
        match self.rule {
            Combine::Single => own,
            Combine::Mean => self.weighted_mean(&own, 1.0),
            Combine::Mie => self.weighted_mean(&own, cost),
            Combine::Product => self.product(logits, temperature, own),
            Combine::Caching => self.caching(own),
            Combine::Geometric => {
                self.add(&own);
                let count = self.exits as f64;
                normalised(self.gathered.iter().map(|sum| sum / count).collect())
            }
        }
    }

    fn weighted_mean(&mut self, own: &[f64], weight: f64) -> Vec<f64> {
        self.gathered.resize(own.len(), f64::NEG_INFINITY);
        self.weight += weight;
        for (sum, log) in self.gathered.iter_mut().zip(own) {
            *sum = add_in_logs(*sum, log + weight.ln());
        }
        self.gathered.iter().map(|sum| sum - self.weight.ln()).collect()
    }

    fn product(&mut self, logits: &[f32], temperature: f64, own: Vec<f64>) -> Vec<f64> {
        let power = self.exits as f64 / self.multiply_adds.len() as f64;
        let positive = |&z: &f32| power * (f64::from(z) / temperature).max(0.0).ln();
        self.add(&logits.iter().map(positive).collect::<Vec<_>>());
        let is_nothing_left = self.gathered.iter().all(|&log| log == f64::NEG_INFINITY);
        if is_nothing_left { own } else { normalised(self.gathered.clone()) }
    }

    fn caching(&mut self, own: Vec<f64>) -> Vec<f64> {
        let confidence = certainty_of(&own, Certainty::MaxSoftmax);
        if confidence >= self.weight {
            (self.weight, self.gathered) = (confidence, own);
        }
        self.gathered.clone()
    }

    fn add(&mut self, logs: &[f64]) {
        self.gathered.resize(logs.len(), 0.0);
        self.gathered.iter_mut().zip(logs).for_each(|(sum, log)| *sum += log);
    }
}

/// `ln(exp(a) + exp(b))` without overflow.
fn add_in_logs(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

fn normalised(mut logs: Vec<f64>) -> Vec<f64> {
    let sum = log_sum_exp(&logs);
    logs.iter_mut().for_each(|log| *log -= sum);
    logs
}

/// Answers of single exits, surest by the largest softmax: the paper's.
///
/// # Errors
/// When the predictions are unusable.
pub fn plain(predictions: &Predictions) -> Result<Answers> {
    let no_costs = vec![0; predictions.exits];
    answers(predictions, Combine::Single, &no_costs, Certainty::MaxSoftmax)
}

/// Answers of combined exits.
///
/// # Errors
/// When the predictions are unusable, or the costs are not one for each exit.
pub fn answers(
    predictions: &Predictions,
    rule: Combine,
    multiply_adds: &[u64],
    kind: Certainty,
) -> Result<Answers> {
    answers_at(predictions, rule, multiply_adds, kind, &vec![1.0; predictions.exits])
}

/// As [`answers`], exit k's logits divided by `temperatures[k]` first.
///
/// # Errors
/// As [`answers`], and when the temperatures are not one for each exit.
pub fn answers_at(
    predictions: &Predictions,
    rule: Combine,
    multiply_adds: &[u64],
    kind: Certainty,
    temperatures: &[f64],
) -> Result<Answers> {
    let (exits, images) = (predictions.exits, predictions.len());
    let mut confidence = vec![Vec::with_capacity(images); exits];
    let mut predicted = vec![Vec::with_capacity(images); exits];
    for_each_image(predictions, rule, multiply_adds, temperatures, |_, says| {
        for (exit, logs) in says.iter().enumerate() {
            confidence[exit].push(certainty_of(logs, kind));
            predicted[exit].push(largest(logs));
        }
    })?;
    Ok(Answers { confidence, predicted, labels: predictions.labels.clone() })
}

/// Probability of the true class by each exit, `[K][N]`, of combined exits.
///
/// # Errors
/// When the predictions are unusable, or the costs are not one for each exit.
pub fn true_class(
    predictions: &Predictions,
    rule: Combine,
    multiply_adds: &[u64],
) -> Result<Vec<Vec<f64>>> {
    let mut probability = vec![Vec::with_capacity(predictions.len()); predictions.exits];
    let plain = vec![1.0; predictions.exits];
    for_each_image(predictions, rule, multiply_adds, &plain, |image, says| {
        let label = predictions.labels[image] as usize;
        for (exit, logs) in says.iter().enumerate() {
            probability[exit].push(logs[label].exp());
        }
    })?;
    Ok(probability)
}

/// Hands over each image's number and the logarithms of q_1 to q_K, `[K][C]`.
fn for_each_image(
    predictions: &Predictions,
    rule: Combine,
    multiply_adds: &[u64],
    temperatures: &[f64],
    mut see: impl FnMut(usize, &[Vec<f64>]),
) -> Result<()> {
    predictions.check()?;
    check_costs(predictions.exits, multiply_adds)?;
    let (given, exits) = (temperatures.len(), predictions.exits);
    ensure!(given == exits, "{given} temperatures for {exits} exits");
    for image in 0..predictions.len() {
        let mut combiner = Combiner::new(rule, multiply_adds);
        let says = temperatures.iter().enumerate().map(|(exit, &temperature)| {
            combiner.next(predictions.logits_of(exit, image), temperature)
        });
        see(image, &says.collect::<Vec<_>>());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::probabilities::certainty;

    /// Probabilities that two exits give in turn; costs 1 and 3.
    fn said(rule: Combine, exits: [[f32; 2]; 2]) -> Vec<Vec<f64>> {
        let mut combiner = Combiner::new(rule, &[1, 3]);
        let next = |logits: &[f32; 2]| {
            let logs = combiner.next(logits, 1.0);
            logs.into_iter().map(f64::exp).collect()
        };
        exits.iter().map(next).collect()
    }

    fn near(found: &[f64], expected: [f64; 2]) {
        let close = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-7);
        assert!(close, "{found:?} instead of {expected:?}");
    }

    #[test]
    fn two_exits_are_combined_as_worked_by_hand() {
        // Exit 1 says 3/4 and 1/4, exit 2 says 1/10 and 9/10.
        let exits = [[3f32.ln(), 0.0], [0.0, 9f32.ln()]];
        for rule in Combine::ALL {
            near(
                &said(rule, exits)[0],
                if rule == Combine::Product { [1.0, 0.0] } else { [0.75, 0.25] },
            );
        }
        near(&said(Combine::Single, exits)[1], [0.1, 0.9]);
        near(&said(Combine::Mean, exits)[1], [0.425, 0.575]);
        near(&said(Combine::Mie, exits)[1], [0.2625, 0.7375]);
        // Of logits above zero, the later exit's twice.
        near(&said(Combine::Product, [[4.0, 1.0], [1.0, 3.0]])[1], [2.0 / 5.0, 3.0 / 5.0]);
        near(&said(Combine::Caching, exits)[1], [0.1, 0.9]);
        near(&said(Combine::Caching, [exits[1], exits[0]])[1], [0.1, 0.9]);
        // Of two that are as sure, the later.
        let sure = 1.0 / (1.0 + (-2f64).exp());
        near(&said(Combine::Caching, [[0.0, 2.0], [2.0, 0.0]])[1], [sure, 1.0 - sure]);
        let (a, b) = (0.075f64.sqrt(), 0.225f64.sqrt());
        near(&said(Combine::Geometric, exits)[1], [a / (a + b), b / (a + b)]);
    }

    #[test]
    fn single_exits_answer_as_they_do_alone_and_sure_images_are_told_apart() {
        let logits = [20., 0., 25., 0., 0.5, 0.25, 0., 7.];
        let predictions = Predictions::numbered(2, 2, &[0, 1], &logits);
        let kind = Certainty::Margin;
        let found = answers_at(&predictions, Combine::Single, &[1, 2], kind, &[1.0, 2.0]).unwrap();
        assert_eq!(found.predicted, vec![vec![0, 0], vec![0, 1]]);
        for (exit, temperature) in [(0, 1.0), (1, 2.0)] {
            let alone = |image| certainty(predictions.logits_of(exit, image), temperature, kind);
            assert_eq!(found.confidence[exit], vec![alone(0), alone(1)]);
        }
        // In single precision both confidences would be 1.
        let sure = &plain(&predictions).unwrap().confidence[0];
        assert!(sure[0] < sure[1] && sure[1] < 1.0);
    }

    #[test]
    fn rules_are_read_by_the_name_they_are_written_with() {
        for rule in Combine::ALL {
            assert_eq!(rule.to_string().parse::<Combine>().unwrap(), rule);
        }
        let error = "sum".parse::<Combine>().unwrap_err().to_string();
        assert!(error.contains("one of `single`, `mean`"), "{error}");
    }

    #[test]
    fn costs_of_another_network_are_refused() {
        let predictions = Predictions::numbered(1, 2, &[0], &[1., 0.]);
        let found = true_class(&predictions, Combine::Mean, &[1, 2]).unwrap_err().to_string();
        assert!(found.contains("predictions of 1 exits, but costs of 2"), "{found}");
    }
}
