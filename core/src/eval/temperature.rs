//! Temperature scaling (Guo et al., 2017): one temperature an exit, fitted on the hold-out by
//! minimising the negative log-likelihood.

use anyhow::{Context, Result};

use crate::eval::Predictions;

/// Temperatures are sought between these: on a hold-out without an error the best one is 0.
const COLDEST: f64 = 0.01;
const HOTTEST: f64 = 100.0;

/// The temperature of each exit, K numbers; 1 leaves the probabilities as they are.
///
/// # Errors
/// On an unusable hold-out.
pub fn fit(hold_out: &Predictions) -> Result<Vec<f64>> {
    hold_out.check().context("fitting temperatures on the hold-out")?;
    Ok((0..hold_out.exits).map(|exit| fit_exit(hold_out, exit)).collect())
}

/// Newton's method in the inverse temperature, in which the NLL is convex, kept inside a bracket
/// that only shrinks.
fn fit_exit(hold_out: &Predictions, exit: usize) -> f64 {
    let (mut low, mut high) = (1.0 / HOTTEST, 1.0 / COLDEST);
    if slopes(hold_out, exit, low).0 >= 0.0 {
        return HOTTEST;
    }
    if slopes(hold_out, exit, high).0 <= 0.0 {
        return COLDEST;
    }
    let mut inverse = 1.0;
    for _ in 0..100 {
        let (slope, curvature) = slopes(hold_out, exit, inverse);
        if slope < 0.0 {
            low = inverse;
        } else {
            high = inverse;
        }
        let newton = inverse - slope / curvature;
        let next = if newton > low && newton < high { newton } else { (low * high).sqrt() };
        let settled = (next - inverse).abs() <= 1e-12 * inverse;
        inverse = next;
        if settled {
            break;
        }
    }
    1.0 / inverse
}

/// First and second derivative of the mean NLL in the inverse temperature.
fn slopes(hold_out: &Predictions, exit: usize, inverse: f64) -> (f64, f64) {
    let (mut slope, mut curvature) = (0.0, 0.0);
    for (image, &label) in hold_out.labels.iter().enumerate() {
        let logits = hold_out.logits_of(exit, image);
        let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let (mut sum, mut mean, mut square) = (0.0, 0.0, 0.0);
        for &logit in logits {
            let z = f64::from(logit) - largest;
            let power = (z * inverse).exp();
            sum += power;
            mean += power * z;
            square += power * z * z;
        }
        mean /= sum;
        slope += mean - (f64::from(logits[label as usize]) - largest);
        curvature += square / sum - mean * mean;
    }
    let images = hold_out.len() as f64;
    (slope / images, curvature / images)
}

/// Which exits' temperatures stop where the search ends, for people: a hold-out that is answered
/// without an error wants an ever colder one.
pub fn at_bounds(temperatures: &[f64]) -> Option<String> {
    let stopped = temperatures.iter().enumerate().filter(|(_, t)| **t <= COLDEST || **t >= HOTTEST);
    let each: Vec<String> = stopped.map(|(exit, t)| format!("{t} at exit {}", exit + 1)).collect();
    (!each.is_empty()).then(|| {
        format!("the temperature stops at its bound ({COLDEST} to {HOTTEST}): {}", each.join(", "))
    })
}

/// What the `temperature` column says: `1`, or the temperature of each exit, joined by `/`.
pub fn label(temperatures: &[f64]) -> String {
    if temperatures.iter().all(|&t| t == 1.0) {
        return "1".to_owned();
    }
    temperatures.iter().map(|t| format!("{t:.4}")).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One exit that always says class 0 with odds `e^gap`, right `right` times of `images`.
    fn always_as_sure(gap: f32, right: usize, images: usize) -> Predictions {
        let labels: Vec<u32> = (0..images).map(|i| u32::from(i >= right)).collect();
        Predictions::numbered(1, 2, &labels, &[gap, 0.0].repeat(images))
    }

    #[test]
    fn an_exit_that_is_too_sure_is_heated_to_its_accuracy() {
        // Right 3 times of 4, so the odds should be 3: gap / T = ln 3.
        let fitted = fit(&always_as_sure(5.0, 3, 4)).unwrap();
        assert!((fitted[0] - 5.0 / 3f64.ln()).abs() < 1e-9, "{fitted:?}");
    }

    #[test]
    fn hold_outs_without_an_optimum_end_at_the_limits() {
        assert_eq!(fit(&always_as_sure(5.0, 4, 4)).unwrap(), vec![COLDEST]);
        assert_eq!(fit(&always_as_sure(5.0, 1, 4)).unwrap(), vec![HOTTEST]);
        assert_eq!(at_bounds(&[1.0, 3.5]), None);
        let told = at_bounds(&[1.0, COLDEST, HOTTEST]).unwrap();
        assert!(told.ends_with("(0.01 to 100): 0.01 at exit 2, 100 at exit 3"), "{told}");
    }

    #[test]
    fn the_label_of_no_scaling_is_one() {
        assert_eq!(label(&[1.0, 1.0]), "1");
        assert_eq!(label(&[1.5, 0.25]), "1.5000/0.2500");
    }
}
