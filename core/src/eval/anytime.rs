//! The anytime setting (figure 5): what the classifiers reached so far answer when the budget
//! runs out.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use crate::eval::Predictions;
use crate::eval::combine::{self, Combine};
use crate::eval::judge::Answered;
use crate::eval::probabilities::{Certainty, running_mean};

/// A point of an anytime curve.
#[derive(Debug, Clone, PartialEq)]
pub struct AnytimePoint {
    /// From 1; of an ensemble, the number of members evaluated.
    pub exit: usize,
    /// What an answer of this exit has cost.
    pub multiply_adds: u64,
    /// Share of images answered rightly, 0 to 1.
    pub accuracy: f64,
    /// Images answered rightly.
    pub correct: usize,
    /// All images.
    pub images: usize,
    /// Whether each image was answered rightly, for paired comparisons.
    pub hits: Arc<[bool]>,
}

impl AnytimePoint {
    /// How the network did, as claims are judged by it.
    pub fn answered(&self) -> Answered {
        Answered { accuracy: self.accuracy, images: self.images, hits: Some(self.hits.clone()) }
    }
}

/// One point an exit: exits 1..k combined, at the cost of exits 1..k.
///
/// # Errors
/// On unusable predictions, and on costs that are not one for each exit.
pub fn points(
    predictions: &Predictions,
    rule: Combine,
    multiply_adds: &[u64],
) -> Result<Vec<AnytimePoint>> {
    let answers = combine::answers(predictions, rule, multiply_adds, Certainty::MaxSoftmax)?;
    let exits = answers.right().into_iter().zip(multiply_adds).enumerate();
    let point = |(k, (hits, &cost)): (usize, (Vec<bool>, &u64))| {
        let (correct, images) = (hits.iter().filter(|&&hit| hit).count(), hits.len());
        AnytimePoint {
            exit: k + 1,
            multiply_adds: cost,
            accuracy: correct as f64 / images as f64,
            correct,
            images,
            hits: hits.into(),
        }
    };
    Ok(exits.map(point).collect())
}

/// A network of an ensemble; its final exit counts.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// The network's name, for messages.
    pub name: &'a str,
    /// What the final exit alone costs.
    pub multiply_adds: u64,
    /// The member's answers.
    pub predictions: &'a Predictions,
}

/// An ensemble as if it were one network: exit k is the mean of the softmaxes of the final exits
/// of the k cheapest members, and its cost the sum of theirs.
///
/// Members of equal cost keep their order.
///
/// # Errors
/// Without a member, and on members that answered other images or classes than the first.
pub fn ensemble(members: &[Member]) -> Result<(Predictions, Vec<u64>)> {
    let first = members.first().context("an ensemble needs at least one member")?;
    for member in members {
        let (own, its) = (member.predictions, first.predictions);
        own.check().with_context(|| format!("member `{}`", member.name))?;
        ensure!(
            (own.classes, &own.images, &own.labels) == (its.classes, &its.images, &its.labels),
            "members `{}` and `{}` answered different images or classes",
            first.name,
            member.name
        );
    }
    let mut ascending = members.to_vec();
    ascending.sort_by_key(|member| member.multiply_adds);
    let finals: Vec<_> =
        ascending.iter().map(|m| (m.predictions, m.predictions.exits - 1)).collect();
    let mut spent = 0;
    let costs = ascending.iter().map(|member| {
        spent += member.multiply_adds;
        spent
    });
    Ok((running_mean(&finals), costs.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(logits: &[f32]) -> Predictions {
        Predictions::numbered(logits.len() / 4, 2, &[0, 1], logits)
    }

    #[test]
    fn each_exit_is_a_point_at_its_own_cost() {
        let predictions = of(&[1., 0., 1., 0., 1., 0., 0., 1.]);
        let found = points(&predictions, Combine::Single, &[10, 25]).unwrap();
        let told: Vec<_> = found.iter().map(|p| (p.exit, p.multiply_adds, p.correct)).collect();
        assert_eq!(told, vec![(1, 10, 1), (2, 25, 2)]);
        assert_eq!(found[1].accuracy, 1.0);
        assert_eq!(*found[0].hits, [true, false]);
    }

    #[test]
    fn an_average_keeps_what_a_sure_early_exit_said() {
        let predictions = of(&[9., 0., 0., 9., 0., 1., 1., 0.]);
        assert_eq!(points(&predictions, Combine::Single, &[1, 2]).unwrap()[1].correct, 0);
        assert_eq!(points(&predictions, Combine::Mean, &[1, 2]).unwrap()[1].correct, 2);
    }

    #[test]
    fn an_ensemble_starts_with_its_cheapest_member_and_adds_costs() {
        let (dear, cheap) = (of(&[0., 0., 0., 0., 0., 5., 5., 0.]), of(&[9., 0., 9., 0.]));
        let members = [
            Member { name: "dear", multiply_adds: 30, predictions: &dear },
            Member { name: "cheap", multiply_adds: 10, predictions: &cheap },
        ];
        let (joined, costs) = ensemble(&members).unwrap();
        assert_eq!(costs, vec![10, 40]);
        let found = points(&joined, Combine::Single, &costs).unwrap();
        // Cheap says class 0 to both; the mean of both stays with the surer cheap one.
        assert_eq!(found.iter().map(|p| p.correct).collect::<Vec<_>>(), vec![1, 1]);
        assert_eq!(joined.exits, 2);
    }

    #[test]
    fn members_of_other_images_are_refused() {
        let one = of(&[1., 0., 1., 0.]);
        let mut other = one.clone();
        other.images[0] = 5;
        let members = [
            Member { name: "a", multiply_adds: 1, predictions: &one },
            Member { name: "b", multiply_adds: 1, predictions: &other },
        ];
        assert!(ensemble(&members).unwrap_err().to_string().contains("`a` and `b`"));
        assert!(ensemble(&[]).is_err());
    }
}
