//! What each method certifies, and what that gives on the test split.

use anyhow::Result;

use super::{Method, Risk, Tolerance, choose, exits_at, losses, mean, shuffled, thresholds};
use crate::eval::answers::Answers;
use crate::eval::budgeted::leaving;

/// Tolerated losses at which the picture shows every method.
pub const TOLERANCES: [f64; 11] =
    [0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1];

/// A certified threshold and what it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Certified {
    /// What was tolerated.
    pub tolerance: Tolerance,
    /// What certified it.
    pub method: Method,
    /// The common threshold; infinity where nobody may leave early.
    pub threshold: f64,
    /// Mean multiply-adds of a test image.
    pub multiply_adds: f64,
    /// Share of the last exit's multiply-adds that is saved on test, 0 to 1.
    pub saving: f64,
    /// Mean loss on the hold-out.
    pub risk_hold_out: f64,
    /// Mean loss on test.
    pub risk_test: f64,
}

/// A row for each method at each tolerance, in this order.
///
/// # Errors
/// When the answers of both splits and the costs do not fit together.
pub fn certified(
    hold_out: &Answers,
    test: &Answers,
    multiply_adds: &[u64],
    risk: Risk,
    tolerances: &[Tolerance],
) -> Result<Vec<Certified>> {
    let tried = thresholds();
    let own = shuffled(&losses(hold_out, risk, &tried)?);
    let on_test = losses(test, risk, &tried)?;
    let mut rows = Vec::new();
    for tolerance in tolerances {
        for method in Method::ALL {
            let row = choose(&own, method, tolerance);
            let threshold = row.map_or(f64::INFINITY, |row| tried[row]);
            let point = leaving(test, &exits_at(test, threshold)?, multiply_adds)?;
            let full = multiply_adds[multiply_adds.len() - 1] as f64;
            rows.push(Certified {
                tolerance: *tolerance,
                method,
                threshold,
                multiply_adds: point.multiply_adds,
                saving: 1.0 - point.multiply_adds / full,
                risk_hold_out: row.map_or(0.0, |row| mean(&own[row])),
                risk_test: row.map_or(0.0, |row| mean(&on_test[row])),
            });
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_certified_on_the_hold_out_is_measured_on_test() {
        // Exit 1 is right above a confidence of 0.5 and wrong below, exit 2 always right.
        let split = |images: usize| Answers {
            confidence: vec![(0..images).map(|i| i as f64 / images as f64).collect(); 2],
            predicted: vec![
                (0..images).map(|i| u32::from(2 * i < images)).collect(),
                vec![0; images],
            ],
            labels: vec![0; images],
        };
        let tolerances = [0.05, 0.001].map(|e| Tolerance::new(e, 0.9).unwrap());
        let rows = certified(&split(1000), &split(200), &[10, 40], Risk::Gap, &tolerances).unwrap();
        assert_eq!(rows.iter().map(|row| row.method).collect::<Vec<_>>()[..3], Method::ALL);
        // (1001) 0.05 - 1 = 49.05 wrong answers: those above 0.46 are 40, above 0.45 they are 49.
        let crc = &rows[0];
        assert_eq!((crc.threshold, crc.risk_hold_out), (0.45, 0.049));
        // Above 0.45 lie 109 of 200 test images, 9 of which are wrong early.
        assert_eq!(crc.risk_test, 9.0 / 200.0);
        assert_eq!(crc.multiply_adds, (109.0 * 10.0 + 91.0 * 40.0) / 200.0);
        assert!((crc.saving - 0.75 * 109.0 / 200.0).abs() < 1e-12);
        // Nothing can be promised at 0.001 on 1,000 images but by crc.
        let last = &rows[5];
        assert_eq!((last.threshold, last.saving, last.risk_test), (f64::INFINITY, 0.0, 0.0));
    }
}
