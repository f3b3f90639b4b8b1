//! The pooled model of figure 3.
//!
//! Of a family, over its networks (the reference and one a position, P + 1) and the S seeds that
//! all of them have: `ln(test accuracy) = network + seed + error`, whose residual mean square has
//! `P (S - 1)` degrees of freedom. The loss at a position is `ln(reference) - ln(accuracy there)`;
//! an effect is a contrast c of the networks' means, with variance `s^2 sum(c^2) / S` from the seeds.
//!
//! The reference is the network without an intermediate classifier, or, where the figure is about
//! the intermediate classifier itself, the curve's last position, if that is beyond the first stage.

use std::collections::BTreeSet;

use super::{Answered, Finding, Findings, Network, seeds_left_out};
use crate::eval::claims::{Contrast, Curves};
use crate::eval::figure::Figure;
use crate::eval::named::unique;
use crate::eval::statistics::{Estimate, Sample, SeedNoise, estimate, images_noise};

/// The first stage ends at this relative depth.
pub const FIRST_STAGE: f64 = 0.34;
/// Late positions begin at this relative depth.
const LATE: f64 = 0.74;

/// A position's loss, for the table of positions.
#[derive(Debug, Clone, PartialEq)]
pub struct PositionLoss {
    /// The family.
    pub curve: String,
    /// Relative depth of the intermediate classifier, 0 to 1.
    pub depth: f64,
    /// What the loss is relative to.
    pub reference: &'static str,
    /// The loss, in ln.
    pub estimate: Estimate,
}

/// The loss at each position of each family, pointwise; on the left also relative to the final
/// classifier of the same run. A family that cannot be fitted is left out.
pub fn positions(networks: &[Network], figure: Figure) -> Vec<PositionLoss> {
    let families = Families::of(networks, figure);
    let mut losses = Vec::new();
    for label in families.labels() {
        if let Ok(family) = families.fit(label) {
            losses.extend(family.positions(families.reference_name()));
            losses.extend(family.against_own_final());
        }
    }
    losses
}

/// The networks of figure 3, and which of each family is the reference.
pub(super) struct Families<'a> {
    networks: &'a [Network],
    last_is_reference: bool,
}

impl<'a> Families<'a> {
    pub(super) fn of(networks: &'a [Network], figure: Figure) -> Families<'a> {
        Families { networks, last_is_reference: figure == Figure::FigIntermediate }
    }

    fn reference_name(&self) -> &'static str {
        if self.last_is_reference { "last position" } else { "no intermediate classifier" }
    }

    fn labels(&self) -> Vec<&'a str> {
        unique(self.networks.iter().map(|network| network.curve.as_str()))
    }

    fn selected(&self, curves: &Curves) -> Vec<&'a str> {
        self.labels().into_iter().filter(|label| curves.matches(label)).collect()
    }

    /// A contrast of each selected family.
    pub(super) fn loss(&self, curve: &Curves, of: Contrast) -> Findings {
        let one = |label: &str| {
            let (estimate, left_out) = self.contrast(label, of)?;
            Ok(Finding { place: label.to_owned(), estimate, left_out })
        };
        self.selected(curve).into_iter().map(one).collect()
    }

    /// The contrast of `than` minus that of `curve`.
    pub(super) fn difference(&self, curve: &Curves, than: &Curves, of: Contrast) -> Findings {
        let mut findings = Vec::new();
        for label in self.selected(curve) {
            for other in self.selected(than).into_iter().filter(|other| *other != label) {
                let (theirs, its) = self.contrast(other, of)?;
                let (own, left_out) = self.contrast(label, of)?;
                let left_out = unique([left_out, its].into_iter().filter(|one| !one.is_empty()));
                findings.push(Finding {
                    place: format!("{other} minus {label}"),
                    estimate: theirs.minus(&own),
                    left_out: left_out.join("; "),
                });
            }
        }
        Ok(findings)
    }

    /// The contrast of a family, and the seeds that it leaves out.
    fn contrast(&self, label: &str, of: Contrast) -> Result<(Estimate, String), String> {
        let family = self.fit(label)?;
        let weights = family.weights(of).map_err(|why| format!("{label}: {why}"))?;
        let why = format!("a network of {label} is missing or answers nothing right");
        Ok((family.estimate(&weights), seeds_left_out(&family.left_out, &why)))
    }

    fn fit(&self, label: &str) -> Result<Family<'a>, String> {
        let own = self.networks.iter().filter(|network| network.curve == label);
        Family::of(own.collect(), self.last_is_reference).map_err(|why| format!("{label}: {why}"))
    }
}

/// The networks of one family, each with the seeds that all of them have.
struct Family<'a> {
    /// The reference's depth is none even where it has one.
    depths: Vec<Option<f64>>,
    /// The reference's own depth where it is a position.
    reference_depth: Option<f64>,
    /// `[network][seed]`
    networks: Vec<Vec<&'a Network>>,
    /// Seeds that not all of them have.
    left_out: Vec<u64>,
}

impl<'a> Family<'a> {
    fn of(own: Vec<&'a Network>, last_is_reference: bool) -> Result<Family<'a>, String> {
        let counts = |network: &&Network| network.depth.is_some() || !last_is_reference;
        let own: Vec<&Network> = own.into_iter().filter(counts).collect();
        let mut depths = unique(own.iter().map(|network| network.depth));
        depths.sort_by(|a, b| a.unwrap_or(-1.0).total_cmp(&b.unwrap_or(-1.0)));
        let reference = if last_is_reference {
            depths.last().copied().flatten()
        } else if depths.contains(&None) {
            None
        } else {
            return Err("the network without an intermediate classifier is not there".to_owned());
        };
        if depths.len() < 2 {
            return Err("a family needs a position beside its reference".to_owned());
        }
        let (seeds, left_out) = common_seeds(&own, &depths);
        if seeds.is_empty() {
            return Err("no seed has every network of the family with a right answer".to_owned());
        }
        let find = |depth: Option<f64>, seed| {
            own.iter().copied().find(|network| network.depth == depth && network.seed == seed)
        };
        let of_depth =
            |&depth: &Option<f64>| seeds.iter().filter_map(|&s| find(depth, s)).collect();
        let networks = depths.iter().map(of_depth).collect();
        let is_reference = |depth: &Option<f64>| *depth == reference;
        let depths = depths.iter().map(|d| if is_reference(d) { None } else { *d }).collect();
        Ok(Family { depths, reference_depth: reference, networks, left_out })
    }

    /// The contrast's coefficient of each network's mean; they sum to 0.
    fn weights(&self, of: Contrast) -> Result<Vec<f64>, String> {
        let first = |depth: f64| depth <= FIRST_STAGE;
        let late = |depth: f64| depth >= LATE;
        match of {
            Contrast::First => self.mean_loss(first, "in the first stage"),
            Contrast::Late => self.mean_loss(late, "late"),
            Contrast::All => self.mean_loss(|_| true, "anywhere"),
            Contrast::Fall => {
                let late = self.mean_loss(late, "late")?;
                let first = self.mean_loss(first, "in the first stage")?;
                Ok(first.iter().zip(&late).map(|(a, b)| a - b).collect())
            }
            Contrast::Rise => {
                let lowest = self.depths.iter().flatten().copied().fold(f64::INFINITY, f64::min);
                self.mean_loss(|depth| depth == lowest, "anywhere")
            }
        }
    }

    fn mean_loss(&self, within: impl Fn(f64) -> bool, place: &str) -> Result<Vec<f64>, String> {
        if self.reference_depth.is_some_and(|depth| depth <= FIRST_STAGE) {
            return Err("no position beyond the first stage to refer to".to_owned());
        }
        let is_in = |depth: &Option<f64>| depth.is_some_and(&within);
        let count = self.depths.iter().filter(|depth| is_in(depth)).count();
        if count == 0 {
            return Err(format!("no position {place}"));
        }
        let weight = |depth: &Option<f64>| match depth {
            None => 1.0,
            Some(_) if is_in(depth) => -1.0 / count as f64,
            Some(_) => 0.0,
        };
        Ok(self.depths.iter().map(weight).collect())
    }

    /// The contrast of the networks' means over the seeds, and its noise.
    fn estimate(&self, weights: &[f64]) -> Estimate {
        let log = |network: &Network| network.answered.accuracy.ln();
        let seeds = self.networks[0].len();
        let sample = |seed: usize| {
            let mut sample = Sample::default();
            for (networks, &weight) in self.networks.iter().zip(weights) {
                let answered = &networks[seed].answered;
                sample.value += weight * log(networks[seed]);
                sample.terms.push(answered.term(weight / answered.accuracy));
            }
            sample
        };
        let samples: Vec<Sample> = (0..seeds).map(sample).collect();
        let value = samples.iter().map(|sample| sample.value).sum::<f64>() / seeds as f64;
        let (image_variance, paired) = images_noise(&samples);
        let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
        let noise = self.residual_mean_square().map(|square| SeedNoise {
            variance: square * squares / seeds as f64,
            seeds,
            freedom_per_seed: self.networks.len() - 1,
        });
        let seed_noise = noise.into_iter().collect();
        Estimate { value, seeds, seed_noise, image_variance, paired }
    }

    /// Mean square of what networks and seeds do not explain; none with one seed.
    fn residual_mean_square(&self) -> Option<f64> {
        let logs: Vec<Vec<f64>> = self
            .networks
            .iter()
            .map(|seeds| seeds.iter().map(|network| network.answered.accuracy.ln()).collect())
            .collect();
        let (count, seeds) = (logs.len(), logs[0].len());
        let freedom = (count - 1) * (seeds - 1);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let of_network: Vec<f64> = logs.iter().map(|own| mean(own)).collect();
        let grand = mean(&of_network);
        let mut squares = 0.0;
        for seed in 0..seeds {
            let of_seed = logs.iter().map(|own| own[seed]).sum::<f64>() / count as f64;
            for (own, network) in logs.iter().zip(&of_network) {
                squares += (own[seed] - network - of_seed + grand).powi(2);
            }
        }
        (freedom > 0).then(|| squares / freedom as f64)
    }

    fn positions(&self, reference: &'static str) -> Vec<PositionLoss> {
        let positions = self.depths.iter().flatten();
        let loss = |&depth: &f64| {
            let weights = self.mean_loss(|other| other == depth, "there").ok()?;
            let curve = self.networks[0][0].curve.clone();
            Some(PositionLoss { curve, depth, reference, estimate: self.estimate(&weights) })
        };
        positions.filter_map(loss).collect()
    }

    /// `ln(final) - ln(intermediate)` of the same run at each position, the last one included.
    fn against_own_final(&self) -> Vec<PositionLoss> {
        let loss = |(networks, depth): (&Vec<&'a Network>, &Option<f64>)| {
            let samples: Option<Vec<Sample>> = networks
                .iter()
                .map(|network| {
                    let last = network.own_final.as_ref().filter(|last| last.accuracy > 0.0)?;
                    Some(log_sample(last).minus(log_sample(&network.answered)))
                })
                .collect();
            Some(PositionLoss {
                curve: networks[0].curve.clone(),
                depth: depth.or(self.reference_depth)?,
                reference: "own final classifier",
                estimate: estimate(&samples?)?,
            })
        };
        self.networks.iter().zip(&self.depths).filter_map(loss).collect()
    }
}

fn log_sample(answered: &Answered) -> Sample<'_> {
    Sample { value: answered.accuracy.ln(), terms: vec![answered.term(1.0 / answered.accuracy)] }
}

/// The seeds with which every depth has a network that is right at least once, and the others; each in
/// ascending order.
fn common_seeds(networks: &[&Network], depths: &[Option<f64>]) -> (Vec<u64>, Vec<u64>) {
    let has = |depth: Option<f64>, seed: u64| {
        networks.iter().any(|n| n.depth == depth && n.seed == seed && n.answered.accuracy > 0.0)
    };
    let seeds: BTreeSet<u64> = networks.iter().map(|network| network.seed).collect();
    seeds.into_iter().partition(|&seed| depths.iter().all(|&depth| has(depth, seed)))
}
