//! How sure a measured quantity is, over two kinds of noise: seeds and test images.
//!
//! A quantity (a difference of two accuracies, of their logarithms, a mean over budgets) has a
//! value for each seed, made of accuracies of networks of that seed. With S seeds and N test
//! images, `d(s, i)` is the influence of image i at seed s: the sum of gradient x (right or wrong).
//!
//! - **Seeds**: `V_s`, the variance of the seeds' values by S. The test images' noise that differs
//!   between seeds is in it.
//! - **Images**: `V_i`, what the seeds share because they answer the same images:
//!   `max(0, MS_image - MS_interaction) / (S N)` of `d` in two ways without replication. Without
//!   the answers image by image, accuracies count as binomial and as independent between networks.
//! - The half-width of an interval is the larger of `t(f) sqrt(V_s)` and `t(v) sqrt(V_s + V_i)`
//!   with `f = S - 1` and `v = f ((V_s + V_i) / V_s)^2` (Welch, Satterthwaite).
//!
//! With one seed only the images' noise is known.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// One accuracy that a quantity is made of.
#[derive(Debug, Clone)]
pub struct Term<'a> {
    /// Change of the quantity with this accuracy.
    pub gradient: f64,
    /// The accuracy, 0 to 1.
    pub accuracy: f64,
    /// Test images behind it; 0 = unknown, then their noise is left out.
    pub images: usize,
    /// Whether each image was answered rightly, where that is known.
    pub hits: Option<&'a [bool]>,
}

/// A quantity of one seed.
#[derive(Debug, Clone, Default)]
pub struct Sample<'a> {
    /// Its value.
    pub value: f64,
    /// What it is made of.
    pub terms: Vec<Term<'a>>,
}

impl Sample<'_> {
    /// The quantity times `factor`.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        self.value *= factor;
        self.terms.iter_mut().for_each(|term| term.gradient *= factor);
        self
    }

    /// The sum of two quantities.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        self.value += other.value;
        self.terms.extend(other.terms);
        self
    }

    /// The difference of two quantities.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(other.scaled(-1.0))
    }
}

/// What the seeds' noise of one model is known from: its variance of the estimate, and the
/// degrees of freedom that each seed but the first brings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeedNoise {
    /// Variance of the estimate.
    pub variance: f64,
    /// Number of seeds.
    pub seeds: usize,
    /// Degrees of freedom a seed: 1 for plain values, P in a model of P + 1 networks.
    pub freedom_per_seed: usize,
}

/// A quantity over all seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Mean over the seeds.
    pub value: f64,
    /// Number of seeds; the fewest of the models that the quantity is made of.
    pub seeds: usize,
    /// Seeds' noise, a part for each model that the quantity is made of; empty with one seed.
    pub seed_noise: Vec<SeedNoise>,
    /// Variance of the estimate from the test images that the seeds share.
    pub image_variance: f64,
    /// Whether the answers image by image were there.
    pub paired: bool,
}

impl Estimate {
    /// Variance of the estimate from the seeds; 0 with one seed.
    pub fn seed_variance(&self) -> f64 {
        self.seed_noise.iter().map(|part| part.variance).sum()
    }

    /// The same value and images with `seeds` seeds in each model.
    #[must_use]
    pub fn with_seeds(&self, seeds: usize) -> Estimate {
        let change = |part: &SeedNoise| SeedNoise {
            variance: part.variance * part.seeds as f64 / seeds as f64,
            seeds,
            ..*part
        };
        let seed_noise = self.seed_noise.iter().map(change).collect();
        Estimate { seeds, seed_noise, ..self.clone() }
    }

    /// Degrees of freedom of the seeds' variance; of several parts Welch and Satterthwaite's.
    pub fn freedom(&self) -> f64 {
        let own = |part: &SeedNoise| (part.freedom_per_seed * part.seeds.saturating_sub(1)) as f64;
        let squares: f64 = self.seed_noise.iter().map(|p| p.variance.powi(2) / own(p)).sum();
        if squares > 0.0 {
            self.seed_variance().powi(2) / squares
        } else {
            self.seed_noise.iter().map(own).sum()
        }
    }

    /// Half the width of the two-sided interval of `level` (0 to 1).
    pub fn half_width(&self, level: f64) -> f64 {
        let p = 1.0 - (1.0 - level) / 2.0;
        let (seeds, images) = (self.seed_variance(), self.image_variance);
        if self.seeds < 2 {
            return student(p, f64::INFINITY) * images.sqrt();
        }
        let freedom = self.freedom();
        let all = seeds + images;
        let welch = if seeds > 0.0 { freedom * (all / seeds).powi(2) } else { f64::INFINITY };
        f64::max(student(p, freedom) * seeds.sqrt(), student(p, welch) * all.sqrt())
    }

    /// The two-sided interval of `level` (0 to 1).
    pub fn interval(&self, level: f64) -> (f64, f64) {
        let half = self.half_width(level);
        (self.value - half, self.value + half)
    }

    /// This estimate minus another of networks trained apart: their variances add up.
    #[must_use]
    pub fn minus(&self, other: &Estimate) -> Estimate {
        Estimate {
            value: self.value - other.value,
            seeds: self.seeds.min(other.seeds),
            seed_noise: [&self.seed_noise[..], &other.seed_noise[..]].concat(),
            image_variance: self.image_variance + other.image_variance,
            paired: self.paired && other.paired,
        }
    }
}

/// Mean and, of two or more values, the sample standard deviation; NaN of none.
pub fn mean_and_deviation(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()))
}

/// Half the width of the 95 % interval of a mean over seeds by Student's t; none below two values.
pub fn seeds_half_width(values: &[f64]) -> Option<f64> {
    let (_, deviation) = mean_and_deviation(values);
    let n = values.len() as f64;
    deviation.map(|deviation| student(0.975, n - 1.0) * deviation / n.sqrt())
}

/// A quantity with its noise; none without a seed.
pub fn estimate(samples: &[Sample]) -> Option<Estimate> {
    let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
    let seeds = values.len();
    if seeds == 0 {
        return None;
    }
    let (value, deviation) = mean_and_deviation(&values);
    let noise = deviation
        .map(|d| SeedNoise { variance: d * d / seeds as f64, seeds, freedom_per_seed: 1 })
        .into_iter();
    let (image_variance, paired) = images_noise(samples);
    Some(Estimate { value, seeds, seed_noise: noise.collect(), image_variance, paired })
}

/// `V_i` of the samples, and whether it comes from the answers image by image.
pub(crate) fn images_noise(samples: &[Sample]) -> (f64, bool) {
    match images_if_paired(samples) {
        Some(images) => {
            let influences: Vec<_> = samples.iter().map(|s| influence(s, images)).collect();
            (shared_variance(&influences), true)
        }
        None => (binomial_variance(samples), false),
    }
}

/// The number of images, where every term has its answers and all have as many.
fn images_if_paired(samples: &[Sample]) -> Option<usize> {
    let mut lengths = samples.iter().flat_map(|s| &s.terms).map(|term| term.hits.map(<[_]>::len));
    let first = lengths.next()??;
    (first > 1 && lengths.all(|length| length == Some(first))).then_some(first)
}

/// `d(s, i)` of one seed, N.
fn influence(sample: &Sample, images: usize) -> Vec<f64> {
    let mut influence = vec![0.0; images];
    for term in &sample.terms {
        for (sum, &hit) in influence.iter_mut().zip(term.hits.unwrap_or_default()) {
            *sum += if hit { term.gradient } else { 0.0 };
        }
    }
    influence
}

/// `V_i` of the influences `[S][N]`; of one seed the variance of their mean over the images.
fn shared_variance(influences: &[Vec<f64>]) -> f64 {
    let (seeds, images) = (influences.len() as f64, influences[0].len());
    let n = images as f64;
    let of_seed: Vec<f64> = influences.iter().map(|d| d.iter().sum::<f64>() / n).collect();
    let grand = of_seed.iter().sum::<f64>() / seeds;
    let (mut between, mut interaction) = (0.0, 0.0);
    for i in 0..images {
        let of_image = influences.iter().map(|d| d[i]).sum::<f64>() / seeds;
        between += (of_image - grand).powi(2);
        for (d, mean) in influences.iter().zip(&of_seed) {
            interaction += (d[i] - mean - of_image + grand).powi(2);
        }
    }
    let ms_image = seeds * between / (n - 1.0);
    if influences.len() < 2 {
        return ms_image / n;
    }
    let ms_interaction = interaction / ((seeds - 1.0) * (n - 1.0));
    (ms_image - ms_interaction).max(0.0) / (seeds * n)
}

/// Terms of a seed independent, seeds fully dependent: they share their images.
fn binomial_variance(samples: &[Sample]) -> f64 {
    let term = |term: &Term| {
        let known = if term.images == 0 { 0.0 } else { 1.0 / term.images as f64 };
        term.gradient.powi(2) * term.accuracy * (1.0 - term.accuracy) * known
    };
    let deviations = samples.iter().map(|sample| sample.terms.iter().map(term).sum::<f64>().sqrt());
    (deviations.sum::<f64>() / samples.len() as f64).powi(2)
}

/// Quantile `p` (above 0.5) of Student's t; from a million degrees of freedom on the normal's.
/// Infinity without a degree of freedom.
pub fn student(p: f64, freedom: f64) -> f64 {
    if freedom >= 1e6 {
        return Normal::standard().inverse_cdf(p);
    }
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(p))
}

#[cfg(test)]
mod tests;
