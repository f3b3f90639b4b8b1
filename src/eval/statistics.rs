//! How sure a measured difference is, over two kinds of noise: seeds and test images.
//!
//! A quantity (a difference of two accuracies, a ratio of one to another) has a value for each
//! seed, made of accuracies of networks of that seed. Its 95 % interval is closed-form, so it is
//! the same on every run:
//!
//! - **seeds**: the variance of the values between seeds, divided by their number;
//! - **images**: to first order the quantity is a mean over test images of
//!   `sum(gradient x (right or wrong))`; averaged over seeds, which share the test images, the
//!   variance of that between images, divided by their number. Two networks that are wrong on the
//!   same images hence differ by less noise than each has. Without the answers image by image,
//!   accuracies count as binomial and independent between networks, which is never narrower for
//!   networks that tend to be right on the same images;
//! - both are added; the half-width is Student's t times the root, with Welch and Satterthwaite's
//!   degrees of freedom: few where the seeds' noise dominates, many where the images' does.
//!
//! With one seed only the images' noise is known, and the estimate says so.

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
#[derive(Debug, Clone)]
pub struct Sample<'a> {
    /// Its value.
    pub value: f64,
    /// What it is made of.
    pub terms: Vec<Term<'a>>,
}

/// A quantity over all seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Mean over the seeds.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Number of seeds.
    pub seeds: usize,
    /// Whether images were paired one by one.
    pub paired: bool,
}

/// Mean and, of two or more values, the sample standard deviation; NaN of none.
pub fn mean_and_deviation(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()))
}

/// Mean and 95 % interval of a quantity; none without a seed.
pub fn estimate(samples: &[Sample]) -> Option<Estimate> {
    if samples.is_empty() {
        return None;
    }
    let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
    let (value, deviation) = mean_and_deviation(&values);
    let seeds = samples.len();
    let between_seeds = deviation.map_or(0.0, |d| d * d / seeds as f64);
    let paired = images_if_paired(samples);
    let between_images = match paired {
        Some(images) => paired_variance(samples, images),
        None => binomial_variance(samples),
    };
    let variance = between_seeds + between_images;
    let half = student(freedom(between_seeds, variance, seeds)) * variance.sqrt();
    Some(Estimate { value, low: value - half, high: value + half, seeds, paired: paired.is_some() })
}

/// Difference in accuracy of two networks, first minus second: a pair of answers for each seed,
/// image by image on the same images.
pub fn paired_difference(seeds: &[(&[bool], &[bool])]) -> Option<Estimate> {
    let term = |gradient, hits| {
        let accuracy = share(hits);
        Term { gradient, accuracy, images: hits.len(), hits: Some(hits) }
    };
    let sample = |&(first, second): &(_, _)| Sample {
        value: share(first) - share(second),
        terms: vec![term(1.0, first), term(-1.0, second)],
    };
    estimate(&seeds.iter().map(sample).collect::<Vec<_>>())
}

fn share(hits: &[bool]) -> f64 {
    hits.iter().filter(|&&hit| hit).count() as f64 / hits.len() as f64
}

/// The number of images, where every term has its answers and all have as many.
fn images_if_paired(samples: &[Sample]) -> Option<usize> {
    let mut lengths = samples.iter().flat_map(|s| &s.terms).map(|term| term.hits.map(<[_]>::len));
    let first = lengths.next()??;
    (first > 1 && lengths.all(|length| length == Some(first))).then_some(first)
}

fn paired_variance(samples: &[Sample], images: usize) -> f64 {
    let mut influence = vec![0.0; images];
    for term in samples.iter().flat_map(|sample| &sample.terms) {
        let gradient = term.gradient / samples.len() as f64;
        let hits = term.hits.unwrap_or_default();
        for (sum, &hit) in influence.iter_mut().zip(hits) {
            *sum += if hit { gradient } else { 0.0 };
        }
    }
    let (_, deviation) = mean_and_deviation(&influence);
    deviation.map_or(0.0, |d| d * d / images as f64)
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

/// Welch and Satterthwaite: the images' variance counts as known.
fn freedom(between_seeds: f64, variance: f64, seeds: usize) -> f64 {
    if between_seeds <= 0.0 {
        return f64::INFINITY;
    }
    (seeds - 1) as f64 * (variance / between_seeds).powi(2)
}

/// 97.5 % quantiles of Student's t by degrees of freedom.
const STUDENT: [(f64, f64); 14] = [
    (1.0, 12.706),
    (2.0, 4.303),
    (3.0, 3.182),
    (4.0, 2.776),
    (5.0, 2.571),
    (6.0, 2.447),
    (7.0, 2.365),
    (8.0, 2.306),
    (10.0, 2.228),
    (12.0, 2.179),
    (15.0, 2.131),
    (20.0, 2.086),
    (30.0, 2.042),
    (60.0, 2.000),
];

/// The quantile between the table's entries: straight in 1 / freedom, to the normal's at 0.
fn student(freedom: f64) -> f64 {
    let inverse = 1.0 / freedom.max(1.0);
    let mut right = (0.0, 1.960);
    for &(entry, quantile) in STUDENT.iter().rev() {
        let left = (1.0 / entry, quantile);
        if inverse <= left.0 {
            let weight = (inverse - right.0) / (left.0 - right.0);
            return right.1 + weight * (left.1 - right.1);
        }
        right = left;
    }
    right.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_of_three_numbers_are_known() {
        assert_eq!(mean_and_deviation(&[1.0, 2.0, 3.0]), (2.0, Some(1.0)));
        assert_eq!(mean_and_deviation(&[5.0]), (5.0, None));
    }

    #[test]
    fn pairing_removes_the_noise_of_images_that_both_answer_alike() {
        let first: Vec<bool> = (0..100).map(|i| i < 60).collect();
        let same = paired_difference(&[(&first, &first)]).unwrap();
        assert_eq!((same.value, same.low, same.high), (0.0, 0.0, 0.0));

        // As accurate, but on other images: every second image differs.
        let other: Vec<bool> = (0..100).map(|i| i >= 40).collect();
        let apart = paired_difference(&[(&first, &other)]).unwrap();
        assert_eq!(apart.value, 0.0);
        // Variance of +1 forty times, -1 forty times, 0 twenty times: 80 / 99, over 100 images.
        let half = 1.960 * (80.0f64 / 99.0 / 100.0).sqrt();
        assert!((apart.high - half).abs() < 1e-9 && (apart.low + half).abs() < 1e-9);
    }

    #[test]
    fn seeds_that_disagree_widen_the_interval_by_students_t() {
        let sample = |value| Sample { value, terms: vec![] };
        let two = estimate(&[sample(0.0), sample(0.02)]).unwrap();
        // Standard error 0.01 with one degree of freedom.
        assert!((two.high - two.value - 0.12706).abs() < 1e-9, "{two:?}");
        let three = estimate(&[sample(0.0), sample(0.01), sample(0.02)]).unwrap();
        assert!((three.high - three.value - 4.303 * 0.01 / 3f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn without_answers_image_by_image_accuracies_are_binomial() {
        let term = Term { gradient: 1.0, accuracy: 0.5, images: 100, hits: None };
        let one = estimate(&[Sample { value: 0.5, terms: vec![term] }]).unwrap();
        assert!((one.high - one.value - 1.960 * 0.05).abs() < 1e-9 && !one.paired);
    }

    #[test]
    fn students_quantile_falls_with_freedom_to_the_normals() {
        assert_eq!(student(1.0), 12.706);
        assert_eq!(student(f64::INFINITY), 1.960);
        assert!(student(2.0) > student(2.5) && student(2.5) > student(3.0));
    }
}
