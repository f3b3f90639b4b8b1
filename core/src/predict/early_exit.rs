//! Early exit in a running network: nothing behind the exit at which an image leaves is computed
//! for it.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use crate::engine::Engine;
use crate::eval::policy::{Passage, Rule, Said};

/// What a network says of an image, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The exit where it left, from 0.
    pub exit: usize,
    /// The class.
    pub predicted: u32,
    /// Probability of that class.
    pub confidence: f64,
}

impl Verdict {
    fn new(exit: usize, logits: &[f32], said: Said) -> Result<Verdict> {
        ensure!(
            logits.iter().all(|x| x.is_finite()) && said.confidence.is_finite(),
            "exit {} or one before it gives a number that is not finite: the weights are broken",
            exit + 1
        );
        Ok(Verdict { exit, predicted: said.class, confidence: said.confidence })
    }
}

/// Each image's verdict, for normalised images `[N, C, H, W]` one after another. The images that
/// stay after an exit are gathered into full groups before they go on.
///
/// # Errors
/// When the rule is for another number of exits, the floats are no whole images, or an exit's
/// numbers are not finite.
pub fn early_exit(
    engine: &Engine,
    images: &[f32],
    rule: &Rule,
    threads: usize,
) -> Result<Vec<Verdict>> {
    rule.check(engine.exits())?;
    // One image is at one exit at a time, so these locks are never waited for.
    let passages: Vec<Mutex<(Passage, Option<Said>)>> =
        (0..images.len() / engine.image()).map(|_| Mutex::new((rule.passage(), None))).collect();
    let leaves = |image: usize, _exit: usize, logits: &[f32]| {
        let mut passage = passages[image].lock().unwrap_or_else(PoisonError::into_inner);
        let said = passage.0.next(logits);
        passage.1 = Some(said);
        said.leaves
    };
    let left = engine.until(images, threads, &leaves)?;
    let verdicts = left.iter().zip(passages).map(|(left, passage)| {
        let (mut passage, said) = passage.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The engine does not ask whether an image leaves at the last exit.
        let said = match said {
            Some(said) if said.leaves => said,
            _ => passage.next(&left.logits),
        };
        Verdict::new(left.exit, &left.logits, said)
    });
    verdicts.collect()
}

/// As [`early_exit`], of one image `[C, H, W]` with the least delay.
///
/// # Errors
/// As [`early_exit`].
pub fn early_exit_one(engine: &Engine, image: &[f32], rule: &Rule) -> Result<Verdict> {
    rule.check(engine.exits())?;
    let (mut walk, mut passage) = (engine.walk(image)?, rule.passage());
    let last = engine.exits() - 1;
    for exit in 0..=last {
        let logits = walk.advance().context("a walk ends with the last exit")?;
        let said = passage.next(logits);
        if said.leaves || exit == last {
            return Verdict::new(exit, logits, said);
        }
    }
    anyhow::bail!("a network without an exit")
}
