//! Made-up images that a small network learns in a few epochs, some at once and some never.
//!
//! A class is a direction (rows or columns), a period and a colour of stripes. An image shows its own class's
//! stripes, fainter stripes of another class, and noise; how much fainter is drawn for each image, so that some are
//! easy and some nearly ambiguous. Shifts and mirror images keep their class. Only arithmetic that is rounded alike
//! everywhere is used, no sine: the images are the same bytes on every machine.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::Split;
use super::random::{below, stream};
use super::raw::Raw;

const CLASSES: usize = 10;
const SIDE: usize = 32;
const PERIODS: [u32; 5] = [5, 7, 10, 14, 20];
/// Weights of the colour channels; each pair of classes with one period has another two.
const COLOURS: [[f32; 3]; 5] =
    [[1.0, 0.6, 0.3], [0.3, 1.0, 0.6], [0.6, 0.3, 1.0], [1.0, 0.3, 0.6], [0.6, 1.0, 0.3]];
/// Largest deviation of the stripes from grey.
const CONTRAST: f32 = 70.0;
/// Largest deviation of the noise.
const NOISE: f32 = 90.0;

/// Stripes of one class: the deviation along the direction, and a colour.
struct Stripes {
    class: usize,
    wave: [f32; SIDE],
}

/// 2,000 training or 500 test images, as many of each class; always the same ones.
pub fn images(split: Split) -> Raw {
    let (count, seed) = match split {
        Split::Train | Split::Validation => (2000, 0),
        Split::Test => (500, 1),
    };
    let mut pixels = Vec::with_capacity(count * 3 * SIDE * SIDE);
    let mut labels = Vec::with_capacity(count);
    for image in 0..count {
        let class = image % CLASSES;
        labels.push(class as u8);
        draw_image(&mut stream("synthetic", seed, 0, image as u64), class, &mut pixels);
    }
    Raw { pixels, labels, channels: 3, side: SIDE, classes: CLASSES }
}

fn draw_image(rng: &mut ChaCha8Rng, class: usize, pixels: &mut Vec<u8>) {
    let contrast = CONTRAST * (0.3 + 0.7 * unit(rng));
    let own = stripes(rng, class, contrast);
    let other = (class + 1 + below(rng, CLASSES as u32 - 1) as usize) % CLASSES;
    let faint = contrast * 0.9 * unit(rng);
    let other = stripes(rng, other, faint);
    let mut noise = vec![0u8; 3 * SIDE * SIDE];
    rng.fill_bytes(&mut noise);
    for (i, &noise) in noise.iter().enumerate() {
        let (channel, y, x) = (i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE);
        let noise = (f32::from(noise) - 127.5) * (NOISE / 127.5);
        let value = 127.5 + at(&own, channel, y, x) + at(&other, channel, y, x) + noise;
        pixels.push(value.clamp(0.0, 255.0) as u8);
    }
}

fn stripes(rng: &mut ChaCha8Rng, class: usize, contrast: f32) -> Stripes {
    let period = PERIODS[class / 2] as f32;
    let phase = unit(rng) * period;
    let wave = std::array::from_fn(|i| contrast * triangle((i as f32 + phase) / period));
    Stripes { class, wave }
}

fn at(stripes: &Stripes, channel: usize, y: usize, x: usize) -> f32 {
    let along = if stripes.class.is_multiple_of(2) { y } else { x };
    stripes.wave[along] * COLOURS[stripes.class / 2][channel]
}

/// A triangle wave of period 1 between -1 and 1.
fn triangle(t: f32) -> f32 {
    let t = t - t.floor();
    4.0 * (t - 0.5).abs() - 1.0
}

/// A multiple of 2^-16 from 0 to below 1.
fn unit(rng: &mut ChaCha8Rng) -> f32 {
    below(rng, 1 << 16) as f32 / 65536.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Images, digest};

    #[test]
    fn the_images_are_the_same_bytes_everywhere() {
        let of = |split| digest(&Images::try_from(images(split)).unwrap()).unwrap();
        assert_eq!([of(Split::Train), of(Split::Test)], PINNED);
    }

    const PINNED: [&str; 2] = [
        "37cadb204f5a0b64d8a5e56ec639a4b045e036d521b647357569b161811fdbd4",
        "a7affab88a8e2fab7a0b0938917abefe1f2ad23651442f322eb6d2fa9cc1db07",
    ];

    #[test]
    fn every_class_has_as_many_images() {
        for split in [Split::Train, Split::Test] {
            let labels = images(split).labels;
            for class in 0..10 {
                assert_eq!(labels.iter().filter(|&&l| l == class).count(), labels.len() / 10);
            }
        }
    }

    #[test]
    fn a_triangle_wave_goes_from_one_to_minus_one_and_back() {
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(triangle), [1.0, 0.0, -1.0, 0.0, 1.0]);
    }
}
