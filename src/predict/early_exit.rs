//! Early exit in earnest: an image goes no further than the first exit that is sure enough, and
//! what lies behind that exit is not computed for it.

use anyhow::{Context, Result, ensure};

use crate::engine::Engine;
use crate::eval::probabilities::{Certainty, argmax, certainty};
use crate::eval::thresholds::Thresholds;

/// What a network says of an image, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The exit where it left, from 0.
    pub exit: usize,
    /// The class.
    pub predicted: u32,
    /// Largest softmax of that exit.
    pub confidence: f64,
}

impl Verdict {
    fn new(exit: usize, logits: &[f32]) -> Result<Verdict> {
        ensure!(
            logits.iter().all(|x| x.is_finite()),
            "exit {} gives a number that is not finite: the weights are broken",
            exit + 1
        );
        Ok(Verdict { exit, predicted: argmax(logits), confidence: confidence(logits) })
    }
}

/// Each image's verdict, for normalised images `[N, C, H, W]` one after another. The images that
/// stay after an exit are gathered into full groups before they go on.
///
/// # Errors
/// When the thresholds are not one for every exit but the last, the floats no whole images, or an
/// exit's numbers not finite.
pub fn early_exit(
    engine: &Engine,
    images: &[f32],
    thresholds: &Thresholds,
    threads: usize,
) -> Result<Vec<Verdict>> {
    check(engine, thresholds)?;
    let leaves = |exit: usize, logits: &[f32]| thresholds.leaves(exit, confidence(logits));
    let left = engine.until(images, threads, &leaves)?;
    let verdicts = left.iter().map(|left| Verdict::new(left.exit, &left.logits));
    verdicts.collect()
}

/// As [`early_exit`], of one image `[C, H, W]` with the least delay.
///
/// # Errors
/// As [`early_exit`].
pub fn early_exit_one(engine: &Engine, image: &[f32], thresholds: &Thresholds) -> Result<Verdict> {
    check(engine, thresholds)?;
    let mut walk = engine.walk(image)?;
    for exit in 0..engine.exits() {
        let logits = walk.advance().context("a walk ends with the last exit")?;
        let verdict = Verdict::new(exit, logits)?;
        if thresholds.leaves(exit, verdict.confidence) {
            return Ok(verdict);
        }
    }
    anyhow::bail!("an image that never leaves")
}

fn check(engine: &Engine, thresholds: &Thresholds) -> Result<()> {
    let (given, exits) = (thresholds.values.len(), engine.exits());
    ensure!(given + 1 == exits, "{given} thresholds for a network of {exits} exits");
    Ok(())
}

fn confidence(logits: &[f32]) -> f64 {
    certainty(logits, 1.0, Certainty::MaxSoftmax)
}
