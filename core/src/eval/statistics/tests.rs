use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::*;

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} is not {b}");
}

fn sample(value: f64, gradient: f64, hits: &[bool]) -> Sample<'_> {
    let accuracy = hits.iter().filter(|&&hit| hit).count() as f64 / hits.len() as f64;
    Sample { value, terms: vec![Term { gradient, accuracy, images: hits.len(), hits: Some(hits) }] }
}

#[test]
fn mean_and_deviation_of_three_numbers_are_known() {
    assert_eq!(mean_and_deviation(&[1.0, 2.0, 3.0]), (2.0, Some(1.0)));
    assert_eq!(mean_and_deviation(&[5.0]), (5.0, None));
}

#[test]
fn quantiles_of_students_t_are_those_of_the_tables() {
    let known = [
        (0.975, 1.0, 12.7062),
        (0.975, 2.0, 4.3027),
        (0.95, 2.0, 2.9200),
        (0.8, 2.0, 1.0607),
        (0.975, 8.0, 2.3060),
        (0.95, 30.0, 1.6973),
        (0.975, f64::INFINITY, 1.9600),
        (0.8, f64::INFINITY, 0.8416),
    ];
    for (p, freedom, quantile) in known {
        assert!((student(p, freedom) - quantile).abs() < 5e-5, "{p}, {freedom}");
    }
}

/// Two seeds, four images. Right: seed 0 on images 0, 1, 2; seed 1 on images 0, 1.
#[test]
fn variances_of_two_seeds_and_four_images_are_worked_by_hand() {
    let (first, second) = ([true, true, true, false], [true, true, false, false]);
    let found = estimate(&[sample(0.75, 1.0, &first), sample(0.5, 1.0, &second)]).unwrap();
    close(found.value, 0.625);
    // Values 0.125 to both sides: variance 0.03125, by two seeds.
    close(found.seed_variance(), 0.015625);
    // Images' means 1, 1, 1/2, 0 around 5/8: squares 9/64 + 9/64 + 1/64 + 25/64 = 44/64.
    // MS_image = 2 x 44/64 / 3 = 11/24. Interaction: every cell is off by 1/8 but image 2's by 3/8:
    // 6/64 + 2 x 9/64 = 24/64, by (2 - 1) x 3: MS = 1/8. V_i = (11/24 - 3/24) / 8 = 1/24.
    close(found.image_variance, 1.0 / 24.0);
    // t(1) sqrt(1/64) = 1.588; with v = (1/64 + 1/24)^2 / (1/64)^2 = 13.44 t = 2.153, by .2394.
    close(found.half_width(0.95), student(0.975, 1.0) * 0.125);
    assert!(found.paired);
}

#[test]
fn images_that_the_seeds_share_widen_an_interval_where_the_seeds_agree() {
    let hits = [true, true, true, false];
    let found = estimate(&[sample(0.75, 1.0, &hits), sample(0.75, 1.0, &hits)]).unwrap();
    // No interaction: MS_image = 2 x (3/16 + 9/16) / 3 = 1/2, by 2 x 4.
    close(found.image_variance, 1.0 / 16.0);
    close(found.half_width(0.95), student(0.975, f64::INFINITY) / 4.0);
}

#[test]
fn with_one_seed_the_interval_is_of_test_images_alone() {
    let hits: Vec<bool> = (0..100).map(|i| i < 60).collect();
    let other: Vec<bool> = (0..100).map(|i| i >= 40).collect();
    let apart = estimate(&[sample(0.6, 1.0, &hits).minus(sample(0.6, 1.0, &other))]).unwrap();
    assert_eq!((apart.value, apart.seeds), (0.0, 1));
    // +1 forty times, -1 forty times, 0 twenty times: 80 / 99, over 100 images.
    let error = (80.0f64 / 99.0 / 100.0).sqrt();
    assert!((apart.half_width(0.95) - 1.959_964 * error).abs() < 1e-6);
    let same = estimate(&[sample(0.6, 1.0, &hits).minus(sample(0.6, 1.0, &hits))]).unwrap();
    assert_eq!(same.interval(0.95), (0.0, 0.0));
}

#[test]
fn without_answers_image_by_image_accuracies_are_binomial() {
    let term = Term { gradient: 2.0, accuracy: 0.5, images: 100, hits: None };
    let one = estimate(&[Sample { value: 0.5, terms: vec![term] }]).unwrap();
    close(one.image_variance, 4.0 * 0.25 / 100.0);
    assert!(!one.paired);
}

#[test]
fn the_difference_of_two_models_has_welch_and_satterthwaites_freedom() {
    let model = |variance, seeds| Estimate {
        value: 0.0,
        seeds,
        seed_noise: vec![SeedNoise { variance, seeds, freedom_per_seed: 4 }],
        image_variance: 0.0,
        paired: true,
    };
    // f = (2 - 1 + ...): 4 positions and 3 seeds have 8 each: (1 + 3)^2 / (1/8 + 9/8) = 12.8.
    close(model(1.0, 3).minus(&model(3.0, 3)).freedom(), 12.8);
    close(model(1.0, 3).freedom(), 8.0);
    // 5 seeds have 16 degrees of freedom: (1 + 3)^2 / (1/16 + 9/8).
    let unequal = model(1.0, 5).minus(&model(3.0, 3));
    close(unequal.freedom(), 16.0 / 1.1875);
    // With 10 seeds each: variances 1/2 and 9/10, 36 degrees of freedom each.
    close(unequal.with_seeds(10).seed_variance(), 1.4);
    close(unequal.with_seeds(10).freedom(), 1.96 / (0.25 + 0.81) * 36.0);
}

/// Draws of seeds, images and their interaction; the true value is 0. `share` is the images' share
/// of the variance of the mean.
fn coverage(seeds: usize, share: f64, draws: usize, random: &mut ChaCha8Rng) -> f64 {
    let images = 200;
    let (s, n) = (seeds as f64, images as f64);
    let mut normal = |deviation: f64| -> f64 {
        let drawn: f64 = StandardNormal.sample(random);
        deviation * drawn
    };
    let of_image = (share * n).sqrt();
    let (of_seed, of_both) =
        (((1.0 - share) * s / 2.0).sqrt(), ((1.0 - share) * s * n / 2.0).sqrt());
    let covers = (0..draws).filter(|_| {
        let shared: Vec<f64> = (0..images).map(|_| normal(of_image)).collect();
        let influences: Vec<Vec<f64>> = (0..seeds)
            .map(|_| {
                let seed = normal(of_seed);
                shared.iter().map(|image| seed + image + normal(of_both)).collect()
            })
            .collect();
        let values: Vec<f64> = influences.iter().map(|d| d.iter().sum::<f64>() / n).collect();
        let (value, deviation) = mean_and_deviation(&values);
        let variance = deviation.unwrap().powi(2) / s;
        let drawn = Estimate {
            value,
            seeds,
            seed_noise: vec![SeedNoise { variance, seeds, freedom_per_seed: 1 }],
            image_variance: shared_variance(&influences),
            paired: true,
        };
        value.abs() <= drawn.half_width(0.95)
    });
    covers.count() as f64 / draws as f64
}

#[test]
fn a_nominal_95_percent_interval_covers_the_truth_in_94_to_97_percent_of_draws() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for seeds in [3, 5, 10] {
        for share in [0.0, 0.06, 0.3, 0.5, 0.8, 1.0] {
            let found = coverage(seeds, share, 4000, &mut random);
            println!("{seeds} seeds, images' share {share}: {found:.4}");
            assert!((0.94..=0.97).contains(&found), "{seeds} seeds, share {share}: {found}");
        }
    }
}
