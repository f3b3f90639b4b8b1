//! One self-contained web page of a run: a budget on a slider, and what leaves where.
//!
//! The page holds the points of `eval::budgeted::sweep` as they are, so what it shows is what
//! `repro budgeted-batch` writes for the same ratio.

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{DynamicImage, ImageFormat, RgbImage, imageops};
use rayon::prelude::{IntoParallelIterator, ParallelIterator};
use serde_json::{Value, json};

use super::examples::spread;
use super::opened::Opened;
use crate::eval::anytime;
use crate::eval::budgeted::{BudgetedPoint, Network, Setting, sweep};
use crate::eval::combine::{self, Combine};
use crate::eval::policy::Policy;
use crate::eval::probabilities::Certainty;

const PAGE: &str = include_str!("page.html");
/// Where the template takes the data.
const PLACE: &str = "\"DATA\"";
/// Test images that the page carries: enough for every exit, and with all policies below 5 MB.
const IMAGES: usize = 400;
/// Images in a row of the sprite.
const COLUMNS: usize = 20;
/// Side of an image in the sprite; larger ones are made smaller.
const LARGEST: u32 = 48;

/// What the page calls each way to combine exits.
fn combine_label(rule: Combine) -> &'static str {
    match rule {
        Combine::Single => "each alone",
        Combine::Mean => "mean",
        Combine::Mie => "mean weighted by cost",
        Combine::Product => "product of experts",
        Combine::Caching => "surest so far",
        Combine::Geometric => "geometric mean",
    }
}

/// The page of a run.
pub fn page(run: &Opened) -> Result<String> {
    let data = serde_json::to_string(&data(run)?)?;
    Ok(PAGE.replacen(PLACE, &in_script(&data), 1))
}

/// JSON as it may stand in a script element, whose end and whose comments begin with `<`. In JSON
/// that letter is only in texts.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

fn data(run: &Opened) -> Result<Value> {
    let shown = spread(run.test.len(), IMAGES);
    let network = run.network();
    let rules = Combine::ALL.into_par_iter().map(|rule| of_rule(&network, rule, &shown));
    let rules: Vec<Value> = rules.collect::<Result<_>>()?;
    let (sprite, tile) = sprite(run, &shown)?;
    Ok(json!({
        "network": run.run.network.short_name(),
        "dataset": run.run.dataset.to_string(),
        "run": run.name,
        "images": run.test.len(),
        "multiply_adds": run.multiply_adds,
        "classes": (0..run.test.classes as u32).map(|label| run.class(label)).collect::<Vec<_>>(),
        "rules": rules,
        "shown": {
            "image": picked(&run.test.images, &shown),
            "label": picked(&run.test.labels, &shown),
        },
        "sprite": { "source": sprite, "tile": tile, "columns": COLUMNS },
    }))
}

/// All that a way to combine exits changes.
fn of_rule(network: &Network, rule: Combine, shown: &[usize]) -> Result<Value> {
    let costs = network.multiply_adds;
    let answers = combine::answers(network.test, rule, costs, Certainty::MaxSoftmax)?;
    let anytime = anytime::points(network.test, rule, costs)?;
    let policies = Policy::ALL.into_iter().filter(|policy| policy.check_combine(rule).is_ok());
    let policies = policies.map(|policy| of_policy(network, policy, rule, shown));
    // They only order images, so four decimals do.
    let rounded = |exit: &Vec<f64>| {
        picked(exit, shown).into_iter().map(|c| (c * 1e4).round() / 1e4).collect::<Vec<_>>()
    };
    Ok(json!({
        "name": rule.name(),
        "label": combine_label(rule),
        "anytime": anytime.iter().map(|p| (p.multiply_adds, p.accuracy)).collect::<Vec<_>>(),
        "predicted": answers.predicted.iter().map(|exit| picked(exit, shown)).collect::<Vec<_>>(),
        "confidence": answers.confidence.iter().map(rounded).collect::<Vec<_>>(),
        "policies": policies.collect::<Result<Vec<_>>>()?,
    }))
}

fn of_policy(
    network: &Network,
    policy: Policy,
    combine: Combine,
    shown: &[usize],
) -> Result<Value> {
    let setting = Setting { policy, combine, ..Setting::paper() };
    let points = sweep(network, &setting)?.points;
    Ok(json!({
        "name": policy.name(),
        "label": policy.form().label,
        "knob": policy.form().knob,
        "points": points.iter().map(|point| of_point(point, shown)).collect::<Vec<_>>(),
    }))
}

fn of_point(point: &BudgetedPoint, shown: &[usize]) -> Value {
    let mut right = vec![0; point.taken.len()];
    for (&exit, &hit) in point.left.iter().zip(&*point.hits) {
        right[usize::from(exit)] += usize::from(hit);
    }
    // A character an image, from `0` for the first exit.
    let letter = |exit: u16| char::from_u32(u32::from('0') + u32::from(exit)).unwrap_or('0');
    json!({
        "ratio": point.ratio,
        "multiply_adds": point.multiply_adds,
        "accuracy": point.accuracy,
        "taken": point.taken,
        "right": right,
        "left": shown.iter().map(|&image| letter(point.left[image])).collect::<String>(),
    })
}

fn picked<T: Copy>(values: &[T], places: &[usize]) -> Vec<T> {
    places.iter().map(|&place| values[place]).collect()
}

/// All shown images in one picture, as a data address, and the side of each.
fn sprite(run: &Opened, shown: &[usize]) -> Result<(String, u32)> {
    let tile = (run.side() as u32).min(LARGEST);
    let rows = shown.len().div_ceil(COLUMNS) as u32;
    let mut sprite = RgbImage::new(COLUMNS as u32 * tile, rows * tile);
    for (place, &at) in shown.iter().enumerate() {
        let mut picture = run.picture(run.test.images[at])?;
        if picture.width() != tile {
            picture = DynamicImage::from(picture).thumbnail_exact(tile, tile).into_rgb8();
        }
        let (x, y) = (place % COLUMNS, place / COLUMNS);
        let (x, y) = ((x as u32 * tile).into(), (y as u32 * tile).into());
        imageops::replace(&mut sprite, &picture, x, y);
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    sprite.write_to(&mut bytes, ImageFormat::Png)?;
    let address = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(bytes.into_inner()));
    Ok((address, tile))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_the_script_element_early_and_every_name_is_read_back() {
        for name in ["</script>", "<!--<script>", "]]>", "\u{2028}", "\0", "a & \"b\" \\"] {
            let text = in_script(&serde_json::to_string(name).unwrap());
            assert!(!text.contains('<'), "{text}");
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), name);
        }
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
