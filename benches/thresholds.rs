//! How long a whole budgeted-batch sweep takes: 39 ratios, 10,000 hold-out and 10,000 test images,
//! 8 exits. `cargo bench --bench thresholds`; nothing is asserted.

use std::time::Instant;

use repro::eval::answers::Answers;
use repro::eval::budgeted::sweep_answers;
use repro::eval::thresholds::{Convention, HoldOut};

const EXITS: usize = 8;
const IMAGES: usize = 10_000;
const CLASSES: u32 = 100;

fn main() {
    let (hold_out, test) = (random_answers(1), random_answers(2));
    let multiply_adds: Vec<u64> = (1..=EXITS as u64).map(|exit| exit * 10_000_000).collect();
    let ratios: Vec<f64> = (1..40).map(|p| f64::from(p) / 20.0).collect();
    for convention in [Convention::Paper, Convention::Port] {
        let mut seconds: Vec<f64> = (0..11)
            .map(|_| {
                let answers = hold_out.clone();
                let start = Instant::now();
                let sorted = HoldOut::new(answers).expect("random answers are sound");
                let points = sweep_answers(&sorted, &test, &multiply_adds, &ratios, convention)
                    .expect("the ratios are sound");
                std::hint::black_box(points);
                start.elapsed().as_secs_f64()
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        println!(
            "{convention:?}: {} ratios, {IMAGES} images, {EXITS} exits: median {:.1} ms, \
             fastest {:.1} ms, sorting included",
            ratios.len(),
            seconds[seconds.len() / 2] * 1e3,
            seconds[0] * 1e3
        );
    }
}

/// Confidences and classes from a linear congruential generator: later exits are surer.
fn random_answers(seed: u64) -> Answers {
    let mut state = seed;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let confidence = (1..=EXITS)
        .map(|exit| {
            (0..IMAGES)
                .map(|_| draw().powf(1.0 / exit as f64))
                .collect()
        })
        .collect();
    let mut classes = || {
        (0..IMAGES)
            .map(|_| (draw() * f64::from(CLASSES)) as u32)
            .collect()
    };
    let predicted = (0..EXITS).map(|_| classes()).collect();
    Answers {
        confidence,
        predicted,
        labels: classes(),
    }
}
