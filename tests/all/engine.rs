//! The inference engine against the plain forward pass, and early exit against its replay.

use repro::models::Input;
use repro::nn::engine::{Engine, Isa};
use repro::nn::{Mode, Network, Numerics, Weights, initialise};
use tch::{Device, Kind, Tensor};

use super::networks::{images, networks};

/// Weights whose batch normalisations have something to normalise.
pub fn moved_weights(network: &Network, input: Input) -> Weights {
    let mut weights = initialise(network, 3, Device::Cpu).unwrap();
    tch::manual_seed(5);
    for view in weights.views() {
        let noise = view.detach().randn_like() * 0.1;
        let _ = tch::no_grad(|| view.shallow_clone().g_add_(&noise));
    }
    for _ in 0..3 {
        let batch = images(input, 4);
        let _grad = tch::no_grad_guard();
        network
            .forward(&mut weights, &batch, Mode::Train, Numerics::default())
            .unwrap();
    }
    weights
}

/// Logits `[exits][N, classes]` of the plain forward pass.
fn plain(network: &Network, weights: &mut Weights, images: &Tensor) -> Vec<Tensor> {
    let _grad = tch::no_grad_guard();
    let numerics = Numerics::default();
    network
        .forward(weights, images, Mode::Evaluate, numerics)
        .unwrap()
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.contiguous().view([-1])).unwrap()
}

/// Rounding apart; the scale is that of the numbers themselves.
fn is_close(found: &[f32], expected: &Tensor) -> bool {
    let found = Tensor::from_slice(found).view_as(expected);
    let scale = f64::try_from(expected.abs().max()).unwrap();
    let worst = f64::try_from((found - expected).abs().max()).unwrap();
    worst <= 2e-5 * scale
}

#[test]
fn every_exit_of_every_family_gives_the_plain_forwards_logits() {
    tch::set_num_threads(1);
    for (config, input) in networks() {
        let network = config.build(input).unwrap();
        let mut weights = moved_weights(&network, input);
        // One alone, a group that is not full, several groups with a rest.
        let counts: &[i64] = if input.side > 32 {
            &[1, 6]
        } else {
            &[1, 6, 21]
        };
        for &count in counts {
            let images = images(input, count);
            let expected = plain(&network, &mut weights, &images);
            for isa in Isa::usable() {
                let engine = Engine::with(&network, &weights, isa).unwrap();
                for threads in [1, 2] {
                    let found = engine.logits(&floats(&images), threads).unwrap();
                    for (exit, (found, expected)) in found.iter().zip(&expected).enumerate() {
                        let what = format!("{config:?} {isa:?} {count} {threads} exit {exit}");
                        assert!(is_close(found, expected), "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn an_arena_that_was_used_before_changes_nothing() {
    let (config, input) = networks().swap_remove(0);
    let network = config.build(input).unwrap();
    let weights = moved_weights(&network, input);
    let engine = Engine::new(&network, &weights).unwrap();
    let images = floats(&images(input, 40));
    let first = engine.logits(&images, 1).unwrap();
    let poison = vec![f32::NAN; images.len()];
    engine.logits(&poison, 1).unwrap();
    assert_eq!(engine.logits(&images, 2).unwrap(), first);
}

#[test]
fn one_image_stops_at_any_exit_and_goes_on() {
    let (config, input) = networks().swap_remove(0);
    let network = config.build(input).unwrap();
    let mut weights = moved_weights(&network, input);
    let images = images(input, 1);
    let expected = plain(&network, &mut weights, &images);
    let engine = Engine::new(&network, &weights).unwrap();
    let image = floats(&images);
    let mut first = engine.walk(&image).unwrap();
    assert!(is_close(&first.advance().unwrap(), &expected[0]));
    let mut other = engine.walk(&image).unwrap();
    for expected in &expected {
        assert!(is_close(&other.advance().unwrap(), expected));
    }
    assert_eq!(other.advance(), None);
    assert!(is_close(&first.advance().unwrap(), &expected[1]));
}

#[test]
fn images_that_leave_a_batch_change_no_other_image() {
    for (config, input) in networks() {
        let network = config.build(input).unwrap();
        let weights = moved_weights(&network, input);
        let count = if input.side > 32 { 20 } else { 90 };
        let images = floats(&images(input, count));
        for isa in Isa::usable() {
            let engine = Engine::with(&network, &weights, isa).unwrap();
            let all = engine.logits(&images, 1).unwrap();
            let size = engine.classes();
            // Something that depends on the image alone and lets about half go at each exit.
            let leaves = |_: usize, logits: &[f32]| logits[0] > logits[1];
            for threads in [1, 2] {
                let left = engine.until(&images, threads, &leaves).unwrap();
                assert_eq!(left.len(), count as usize);
                for (image, left) in left.iter().enumerate() {
                    let at = image * size..(image + 1) * size;
                    let goes = |&exit: &usize| leaves(exit, &all[exit][at.clone()]);
                    let exit = (0..engine.exits() - 1).find(goes);
                    let exit = exit.unwrap_or(engine.exits() - 1);
                    assert_eq!((left.image, left.exit), (image, exit), "{config:?} {isa:?}");
                    let expected = Tensor::from_slice(&all[exit][at]);
                    assert!(is_close(&left.logits, &expected), "{config:?} {isa:?}");
                }
            }
        }
    }
}

#[test]
fn floats_that_are_no_whole_images_are_refused() {
    let (config, input) = networks().swap_remove(0);
    let network = config.build(input).unwrap();
    let weights = Weights::zeros(&network, Kind::Float, Device::Cpu).unwrap();
    let engine = Engine::new(&network, &weights).unwrap();
    assert!(engine.logits(&[0.0; 7], 1).is_err());
    assert!(engine.walk(&[0.0; 7]).is_err());
    assert!(engine.logits(&[], 1).unwrap()[0].is_empty());
}
