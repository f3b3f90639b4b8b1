//! One self-contained web page of a run: a budget on a slider, and what leaves where.
//!
//! The page holds the points of `eval::budgeted::sweep` as they are, so what it shows is what
//! `repro budgeted-batch` writes for the same ratio.

use anyhow::{Context, Result};
use image::{ImageFormat, RgbImage, imageops};
use serde_json::{Value, json};

use super::examples::spread;
use crate::eval::answers::{Answers, Precision};
use crate::eval::anytime;
use crate::eval::budgeted::{BudgetedPoint, Policy, Setting, sweep};
use crate::eval::thresholds::Thresholds;
use crate::runs::opened::Opened;

const PAGE: &str = include_str!("page.html");
/// Where the template takes the data.
const PLACE: &str = "\"DATA\"";
/// Test images that the page carries: enough for every exit, and with all policies below 2 MB.
const IMAGES: usize = 400;
/// Images in a row of the sprite.
const COLUMNS: usize = 20;
/// Side of an image in the sprite; larger ones are made smaller.
const LARGEST: u32 = 48;
/// Policies that the page can change between.
const POLICIES: [(Policy, &str); 3] = [
    (Policy::MaxSoftmax, "largest softmax"),
    (Policy::Margin, "margin"),
    (Policy::Entropy, "entropy"),
];

/// The page of a run.
///
/// # Errors
/// When the hold-out is too small, or the images cannot be read.
pub fn page(run: &Opened) -> Result<String> {
    let data = serde_json::to_string(&data(run)?)?;
    // Within a script element only `</` could end it early.
    Ok(PAGE.replacen(PLACE, &data.replace("</", "<\\/"), 1))
}

fn data(run: &Opened) -> Result<Value> {
    let shown = spread(run.test.len(), IMAGES);
    let policies = POLICIES.map(|(policy, label)| of_policy(run, policy, label, &shown));
    let policies: Vec<Value> = policies.into_iter().collect::<Result<_>>()?;
    let answers = answers_of(run, Policy::MaxSoftmax)?;
    let anytime = anytime::single_exit(&run.test, &run.multiply_adds)?;
    let predicted = answers.predicted.iter().map(|exit| picked(exit, &shown));
    let (sprite, tile) = sprite(run, &shown)?;
    Ok(json!({
        "network": run.run.network.short_name(),
        "dataset": run.run.dataset.to_string(),
        "run": run.name,
        "images": run.test.len(),
        "multiply_adds": run.multiply_adds,
        "classes": (0..run.test.classes as u32).map(|label| run.class(label)).collect::<Vec<_>>(),
        "anytime": anytime.iter().map(|p| (p.multiply_adds, p.accuracy)).collect::<Vec<_>>(),
        "policies": policies,
        "shown": {
            "image": picked(&run.test.images, &shown),
            "label": picked(&answers.labels, &shown),
            "predicted": predicted.collect::<Vec<_>>(),
        },
        "sprite": { "source": sprite, "tile": tile, "columns": COLUMNS },
    }))
}

fn of_policy(run: &Opened, policy: Policy, label: &str, shown: &[usize]) -> Result<Value> {
    let setting = Setting { policy, ..Setting::paper() };
    let answers = answers_of(run, policy)?;
    let mut points = Vec::new();
    for point in sweep(&run.network(), &setting)?.points {
        points.push(of_point(&point, &answers)?);
    }
    let confidence = answers.confidence.iter().map(|exit| picked(exit, shown));
    Ok(json!({
        "name": policy.name(),
        "label": label,
        "points": points,
        "confidence": confidence.collect::<Vec<_>>(),
    }))
}

fn of_point(point: &BudgetedPoint, answers: &Answers) -> Result<Value> {
    let thresholds = Thresholds::by_hand(point.thresholds.clone(), answers.exits())?;
    let mut right = vec![0; answers.exits()];
    for (exit, hit) in thresholds.exits_of(answers)?.into_iter().zip(&*point.hits) {
        right[exit] += usize::from(*hit);
    }
    // JSON has no infinity.
    let finite = point.thresholds.iter().map(|t| t.clamp(-1e300, 1e300));
    Ok(json!({
        "ratio": point.ratio.map(|ratio| ratio.min(1e300)),
        "multiply_adds": point.multiply_adds,
        "accuracy": point.accuracy,
        "taken": point.taken,
        "right": right,
        "thresholds": finite.collect::<Vec<_>>(),
    }))
}

fn answers_of(run: &Opened, policy: Policy) -> Result<Answers> {
    let kind = policy.certainty().context("a policy without thresholds")?;
    Answers::of(&run.test, kind, &vec![1.0; run.test.exits], Precision::Double)
}

fn picked<T: Copy>(values: &[T], places: &[usize]) -> Vec<T> {
    places.iter().map(|&place| values[place]).collect()
}

/// All shown images in one picture, as a data address, and the side of each.
fn sprite(run: &Opened, shown: &[usize]) -> Result<(String, u32)> {
    let tile = (run.data.input.side as u32).min(LARGEST);
    let rows = shown.len().div_ceil(COLUMNS) as u32;
    let mut sprite = RgbImage::new(COLUMNS as u32 * tile, rows * tile);
    for (place, &at) in shown.iter().enumerate() {
        let mut picture = run.picture(run.test.images[at])?;
        if picture.width() != tile {
            picture = imageops::thumbnail(&picture, tile, tile);
        }
        let (x, y) = (place % COLUMNS, place / COLUMNS);
        let (x, y) = ((x as u32 * tile).into(), (y as u32 * tile).into());
        imageops::replace(&mut sprite, &picture, x, y);
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    sprite.write_to(&mut bytes, ImageFormat::Png)?;
    let address = format!("data:image/png;base64,{}", base64(&bytes.into_inner()));
    Ok((address, tile))
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            if i <= chunk.len() {
                text.push(LETTERS[(group >> (18 - 6 * i) & 63) as usize] as char);
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_its_specification() {
        let cases = ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes()));
        assert_eq!(cases, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }

    #[test]
    fn the_page_asks_nothing_of_a_network() {
        assert_eq!(PAGE.matches(PLACE).count(), 1);
        for word in ["http:", "https:", "src=", "@import", "fetch("] {
            let found = PAGE.replace("http://www.w3.org/2000/svg", "");
            assert!(!found.contains(word), "{word}");
        }
    }
}
