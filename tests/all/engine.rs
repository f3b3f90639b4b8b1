//! The inference engine against the plain forward pass, and early exit against its replay.

use std::path::Path;

use repro::data::{Dataset, Normalisation, Source, Split};
use repro::engine::{Engine, Isa};
use repro::eval::probabilities::argmax;
use repro::models::{Input, NetworkConfig};
use repro::nn::{Builder, Conv, Mode, Network, Precision, Weights};
use repro::results::RunFolder;
use tch::{Device, Kind, Tensor};

use super::families::{floats, images, moved_weights, networks};

/// Logits `[exits][N, classes]` of the plain forward pass.
fn plain(network: &Network, weights: &mut Weights, images: &Tensor) -> Vec<Tensor> {
    plain_in(Precision::Fp32, network, weights, images)
}

fn plain_in(
    precision: Precision,
    network: &Network,
    weights: &mut Weights,
    images: &Tensor,
) -> Vec<Tensor> {
    let _grad = tch::no_grad_guard();
    network.forward(weights, images, Mode::Evaluate, precision).unwrap()
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
        let counts: &[i64] = if input.side > 32 { &[1, 6] } else { &[1, 6, 21] };
        for &count in counts {
            let images = images(input, count);
            let expected = plain(&network, &mut weights, &images);
            for isa in Isa::usable() {
                let engine = Engine::with(&network, &weights, isa, Precision::Fp32).unwrap();
                // A second thread has something to do only where there are several groups.
                for threads in 1..=if count > 6 { 2 } else { 1 } {
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

/// The largest difference, as a share of the largest number.
fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let worst = apart.fold(0.0, |most, x| if x > most || x.is_nan() { x } else { most });
    worst / scale
}

/// The families, and an MSDNet and a DenseNet of odd widths.
fn networks_in_bf16() -> Vec<(NetworkConfig, Input)> {
    let mut all = networks();
    let mut odd = [all[0].clone(), all[13].clone()];
    for (config, _) in &mut odd {
        match config {
            NetworkConfig::Msdnet(config) => (config.channels, config.growth) = (5, 3),
            NetworkConfig::Densenet(config) => config.growth = 3,
            other => panic!("no odd widths for {other:?}"),
        }
    }
    all.extend(odd);
    all
}

#[test]
fn bf16_is_as_exact_as_libtorchs_for_every_family_alone_and_in_groups() {
    tch::set_num_threads(1);
    for (config, input) in networks_in_bf16() {
        let network = config.build(input).unwrap();
        let mut weights = moved_weights(&network, input);
        let images = images(input, if input.side > 32 { 6 } else { 13 });
        let expected = plain(&network, &mut weights, &images);
        let theirs = plain_in(Precision::Bf16, &network, &mut weights, &images);
        let engine = Engine::with(&network, &weights, Isa::Portable, Precision::Bf16).unwrap();
        let given = floats(&images);
        let found = engine.logits(&given, 1).unwrap();
        for (exit, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let expected = floats(expected);
            let (ours, theirs) =
                (distance(found, &expected), distance(&floats(&theirs[exit]), &expected));
            assert!(ours > 1e-5, "{config:?}: exit {exit} is not rounded at all");
            let what = format!("{config:?}: exit {exit} differs by {ours}, LibTorch's by {theirs}");
            assert!(ours < 2.0 * theirs + 0.01 && ours < 0.3, "{what}");
        }
        // The first image was in a group.
        let size = given.len() / images.size()[0] as usize;
        let mut alone = engine.walk(&given[..size]).unwrap();
        for exit in &found {
            assert_eq!(alone.advance().unwrap(), &exit[..engine.classes()], "{config:?}");
        }
    }
}

#[test]
fn the_instructions_for_bf16_give_what_their_emulation_gives() {
    if !Isa::has_bf16() {
        eprintln!("skipped: this processor has no AVX512_BF16");
        let (config, input) = networks().swap_remove(0);
        let network = config.build(input).unwrap();
        let weights = Weights::zeros(&network, Kind::Float, Device::Cpu).unwrap();
        let refused = Engine::new(&network, &weights, Some(Precision::Bf16)).err().unwrap();
        assert!(refused.to_string().contains("no bf16 arithmetic"), "{refused}");
        return;
    }
    for (config, input) in networks_in_bf16() {
        let network = config.build(input).unwrap();
        let weights = moved_weights(&network, input);
        let images = floats(&images(input, 21));
        let ways = [
            (Isa::Avx512, Precision::Bf16),
            (Isa::Portable, Precision::Bf16),
            (Isa::Portable, Precision::Fp32),
        ];
        let [found, expected, exact] = ways.map(|(isa, precision)| {
            let engine = Engine::with(&network, &weights, isa, precision).unwrap();
            let size = images.len() / 21;
            let mut alone = engine.walk(&images[..size]).unwrap();
            let logits = engine.logits(&images, 1).unwrap();
            for exit in &logits {
                assert_eq!(alone.advance().unwrap(), &exit[..engine.classes()], "{config:?}");
            }
            logits
        });
        for (exit, (found, expected)) in found.iter().zip(&expected).enumerate() {
            // A sum that is rounded otherwise can put a map's value on the next bfloat16.
            let (apart, rounded) = (distance(found, expected), distance(expected, &exact[exit]));
            assert!(apart < 0.005 + rounded, "{config:?}: exit {exit}: {apart}, {rounded}");
        }
    }
}

/// Layers in combinations that no family has: groups of several channels, several outputs a group,
/// wide strides, negative maxima at the edge, ReLU6 of a sum.
fn odd_layers() -> (Network, Input) {
    let input = Input { channels: 4, side: 17, classes: 6 };
    let (mut net, image) = Builder::new(input.channels, input.side);
    let conv = |channels, kernel, stride, padding, groups| Conv {
        channels,
        kernel,
        stride,
        padding,
        groups,
        bias: true,
    };
    let pooled = net.max_pool_ceil(image, 2, 3);
    let a = net.conv(image, conv(8, 3, 3, 1, 4));
    let b = net.conv(image, conv(8, 5, 3, 2, 2));
    let h = net.add(a, b);
    let h = net.relu6(h);
    let h = net.dropout(h, 0.5);
    let h = net.concat(&[h, pooled]);
    let h = net.conv(h, conv(12, 5, 1, 2, 12));
    let alone = net.conv(h, conv(12, 5, 3, 2, 12));
    let alone = net.relu6(alone);
    let even = net.conv(h, conv(12, 2, 2, 0, 12));
    let even = net.max_pool_ceil(even, 3, 2);
    let (alone, even) = (net.global_avg_pool(alone), net.global_avg_pool(even));
    let h = net.add(alone, even);
    let logits = net.conv(h, conv(6, 1, 1, 0, 2));
    net.exit(logits, 1);
    (net.finish(), input)
}

#[test]
fn layers_in_any_combination_give_the_plain_forwards_logits() {
    tch::set_num_threads(1);
    let (network, input) = odd_layers();
    let mut weights = moved_weights(&network, input);
    for count in [1, 6, 21] {
        let images = images(input, count);
        let expected = plain(&network, &mut weights, &images);
        for isa in Isa::usable() {
            let engine = Engine::with(&network, &weights, isa, Precision::Fp32).unwrap();
            let found = engine.logits(&floats(&images), 1).unwrap();
            assert!(is_close(&found[0], &expected[0]), "{isa:?} {count}");
        }
    }
}

/// Maxima over windows of every kind, of maps narrower and wider than a vector.
fn pools(side: usize) -> (Network, Input) {
    let input = Input { channels: 2, side, classes: 5 };
    let (mut net, image) = Builder::new(input.channels, input.side);
    let mut means = Vec::new();
    for (kernel, stride, padding) in
        [(2, 1, 0), (3, 1, 1), (3, 2, 1), (5, 2, 2), (3, 3, 1), (4, 4, 2)]
    {
        let pooled = net.max_pool(image, kernel, stride, padding);
        means.push(net.global_avg_pool(pooled));
    }
    for (kernel, stride) in [(3, 2), (2, 3)] {
        let pooled = net.max_pool_ceil(image, kernel, stride);
        means.push(net.global_avg_pool(pooled));
    }
    let all = net.concat(&means);
    let linear = Conv { channels: 5, kernel: 1, stride: 1, padding: 0, groups: 1, bias: true };
    let logits = net.conv(all, linear);
    net.exit(logits, 1);
    (net.finish(), input)
}

#[test]
fn maxima_are_those_of_the_plain_forward_and_those_of_an_image_in_a_group() {
    tch::set_num_threads(1);
    for side in [5, 16, 33, 51] {
        let (network, input) = pools(side);
        let mut weights = moved_weights(&network, input);
        // More than half of a group, so that they are one.
        let images = images(input, 13);
        let expected = plain(&network, &mut weights, &images);
        let given = floats(&images);
        let mut ways: Vec<_> =
            Isa::usable().into_iter().map(|isa| (isa, Precision::Fp32)).collect();
        ways.push((Isa::Portable, Precision::Bf16));
        if Isa::has_bf16() {
            ways.push((Isa::Avx512, Precision::Bf16));
        }
        for (isa, precision) in ways {
            let engine = Engine::with(&network, &weights, isa, precision).unwrap();
            let found = engine.logits(&given, 1).unwrap().remove(0);
            let apart = distance(&found, &floats(&expected[0]));
            let most = if precision == Precision::Fp32 { 2e-5 } else { 0.02 };
            assert!(apart < most, "{isa:?} {precision:?} {side}: {apart}");
            let mut alone = engine.walk(&given[..given.len() / 13]).unwrap();
            let (first, one) = (&found[..5], alone.advance().unwrap());
            assert!(distance(one, first) < 1e-6, "{isa:?} {precision:?} {side}: {one:?} {first:?}");
        }
    }
}

#[test]
fn products_of_many_taps_are_cut_into_blocks_and_change_nothing() {
    tch::set_num_threads(1);
    let conv = |channels, kernel, padding| Conv {
        channels,
        kernel,
        stride: 1,
        padding,
        groups: 1,
        bias: true,
    };
    // 256 channels are too many for blocks of four vectors of 16, 1024 for two of 8.
    for channels in [256, 1024] {
        let input = Input { channels: 2, side: 4, classes: 3 };
        let (mut net, image) = Builder::new(input.channels, input.side);
        let wide = net.conv(image, conv(channels, 1, 0));
        let h = net.conv(wide, conv(72, 3, 1));
        let h = net.global_avg_pool(h);
        let logits = net.conv(h, conv(3, 1, 0));
        net.exit(logits, 1);
        let network = net.finish();
        let mut weights = moved_weights(&network, input);
        let images = images(input, 1);
        let expected = plain(&network, &mut weights, &images);
        for isa in Isa::usable() {
            let engine = Engine::with(&network, &weights, isa, Precision::Fp32).unwrap();
            let found = engine.logits(&floats(&images), 1).unwrap();
            assert!(is_close(&found[0], &expected[0]), "{isa:?} {channels}");
        }
    }
}

#[test]
fn an_arena_that_was_used_before_changes_nothing() {
    let (config, input) = networks().swap_remove(0);
    let network = config.build(input).unwrap();
    let weights = moved_weights(&network, input);
    let engine = Engine::new(&network, &weights, Some(Precision::Fp32)).unwrap();
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
    let engine = Engine::new(&network, &weights, Some(Precision::Fp32)).unwrap();
    let image = floats(&images);
    let mut first = engine.walk(&image).unwrap();
    assert!(is_close(first.advance().unwrap(), &expected[0]));
    let mut other = engine.walk(&image).unwrap();
    for expected in &expected {
        assert!(is_close(other.advance().unwrap(), expected));
    }
    assert_eq!(other.advance(), None);
    assert!(is_close(first.advance().unwrap(), &expected[1]));
}

/// Between the two in the middle, so that rounding puts nobody on the other side.
fn middle(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    let half = values.len() / 2;
    values[half - 1].midpoint(values[half])
}

#[test]
fn images_that_leave_a_batch_change_no_other_image() {
    let mut chosen = networks();
    // An MSDNet, the one with ImageNet's stem, a ResNet, a DenseNet.
    chosen.truncate(13);
    for place in [12, 10, 9, 0] {
        let (config, input) = chosen.swap_remove(place);
        let network = config.build(input).unwrap();
        let weights = moved_weights(&network, input);
        let count = if input.side > 32 { 20 } else { 60 };
        let images = floats(&images(input, count));
        for isa in Isa::usable() {
            let engine = Engine::with(&network, &weights, isa, Precision::Fp32).unwrap();
            let all = engine.logits(&images, 1).unwrap();
            let size = engine.classes();
            // Something that depends on the image alone and would let half of them go at each exit.
            let gap = |logits: &[f32]| logits[0] - logits[1];
            let middles: Vec<f32> =
                all.iter().map(|exit| middle(exit.chunks(size).map(gap))).collect();
            let leaves = |_: usize, exit: usize, logits: &[f32]| gap(logits) > middles[exit];
            for threads in [1, 2] {
                let left = engine.until(&images, threads, &leaves).unwrap();
                assert_eq!(left.len(), count as usize);
                let used = (0..engine.exits()).filter(|&exit| left.iter().any(|l| l.exit == exit));
                assert!(used.count() > 1, "all leave together: {config:?}");
                for (image, left) in left.iter().enumerate() {
                    let at = image * size..(image + 1) * size;
                    let goes = |&exit: &usize| leaves(image, exit, &all[exit][at.clone()]);
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

/// The class of each row of logits.
fn classes(logits: &[f32], size: usize) -> Vec<u32> {
    logits.chunks(size).map(argmax).collect()
}

/// Whether the two largest logits are so close that rounding may decide.
fn is_tie(logits: &[f32]) -> bool {
    let mut sorted = logits.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted[0] - sorted[1] < 1e-4 * sorted[0].abs().max(1.0)
}

#[test]
fn predictions_on_real_images_are_the_plain_forwards() {
    let facts = Dataset::FashionMnistMini.facts().unwrap();
    let input = Input { channels: facts.channels, side: facts.side, classes: facts.classes };
    let source = Source::open(&Dataset::FashionMnistMini, Split::Test, Path::new("")).unwrap();
    let indices: Vec<u32> = (0..300).collect();
    let images = source.batch(&indices, &Normalisation::from(&facts), None, Device::Cpu).unwrap();
    let (config, _) = networks().swap_remove(0);
    let network = config.build(input).unwrap();
    let mut weights = moved_weights(&network, input);
    let expected = plain(&network, &mut weights, &images);
    let engine = Engine::new(&network, &weights, Some(Precision::Fp32)).unwrap();
    let found = engine.logits(&floats(&images), 2).unwrap();
    for (found, expected) in found.iter().zip(&expected) {
        let expected = floats(expected);
        let size = engine.classes();
        let both = classes(found, size).into_iter().zip(classes(&expected, size));
        for (image, (found, wanted)) in both.enumerate() {
            let tie = is_tie(&expected[image * size..][..size]);
            assert!(found == wanted || tie, "image {image}");
        }
    }
}

/// `REPRO_RUN=runs/... REPRO_DATA=data`: how far the engine, and bf16, agree with the plain forward
/// pass on all test images of a trained run.
#[test]
#[ignore = "a measurement on a trained run"]
fn agreement_on_the_test_images_of_a_trained_run() {
    let folder = std::env::var("REPRO_RUN").unwrap();
    let data = std::env::var("REPRO_DATA").unwrap_or_else(|_| "data".to_string());
    let loaded = RunFolder::at(folder).load().unwrap().0.unwrap();
    let run = loaded.progress.run;
    let facts = run.dataset.facts().unwrap();
    let input = Input { channels: facts.channels, side: facts.side, classes: facts.classes };
    let source = Source::open(&run.dataset, Split::Test, Path::new(&data)).unwrap();
    let network = run.network.build(input).unwrap();
    let mut weights = Weights::zeros(&network, Kind::Float, Device::Cpu).unwrap();
    weights.load(&repro::train::without_momentum(loaded.tensors)).unwrap();
    let engine = Engine::new(&network, &weights, Some(Precision::Fp32)).unwrap();
    let size = engine.classes();
    let indices: Vec<u32> = (0..source.len() as u32).collect();
    // Where the processor has it; else its emulation, which takes minutes.
    let isa = if Isa::has_bf16() { Isa::Avx512 } else { Isa::Portable };
    let paired = Engine::with(&network, &weights, isa, Precision::Bf16).unwrap();
    let mut agreement = [(); 4].map(|()| vec![Agreement::default(); engine.exits()]);
    for batch in indices.chunks(500) {
        let images = source.batch(batch, &Normalisation::from(&facts), None, Device::Cpu).unwrap();
        let labels = source.labels_of(batch, Device::Cpu).unwrap();
        let labels = Vec::<i64>::try_from(labels).unwrap();
        let flat = |logits: Vec<Tensor>| logits.iter().map(floats).collect::<Vec<_>>();
        let expected = flat(plain(&network, &mut weights, &images));
        let brief = flat(plain_in(Precision::Bf16, &network, &mut weights, &images));
        let found = engine.logits(&floats(&images), 1).unwrap();
        let pairs = paired.logits(&floats(&images), 2).unwrap();
        for (tally, logits) in agreement.iter_mut().zip([&expected, &found, &brief, &pairs]) {
            for exit in 0..engine.exits() {
                tally[exit].add(&logits[exit], &expected[exit], &labels, size);
            }
        }
    }
    for exit in &agreement[1] {
        assert_eq!(exit.different, exit.ties, "engine: {:?}", agreement[1]);
    }
    println!("{} images, by exit:", indices.len());
    let names = ["plain fp32", "engine fp32", "plain bf16", "engine bf16"];
    for (name, tally) in names.iter().zip(agreement) {
        println!("{name}: {tally:?}");
    }
}

/// How far one way of computing agrees with another.
#[derive(Debug, Clone, Default)]
struct Agreement {
    /// Predictions that are the label.
    right: u32,
    /// Predictions that are not the other's.
    different: u32,
    /// Those of them where the other's two largest logits are as good as equal.
    ties: u32,
}

impl Agreement {
    fn add(&mut self, found: &[f32], expected: &[f32], labels: &[i64], size: usize) {
        let (ours, theirs) = (classes(found, size), classes(expected, size));
        for (image, &label) in labels.iter().enumerate() {
            self.right += u32::from(i64::from(ours[image]) == label);
            if ours[image] != theirs[image] {
                self.different += 1;
                self.ties += u32::from(is_tie(&expected[image * size..][..size]));
            }
        }
    }
}

#[test]
fn floats_that_are_no_whole_images_are_refused() {
    let (config, input) = networks().swap_remove(0);
    let network = config.build(input).unwrap();
    let weights = Weights::zeros(&network, Kind::Float, Device::Cpu).unwrap();
    let engine = Engine::new(&network, &weights, Some(Precision::Fp32)).unwrap();
    assert!(engine.logits(&[0.0; 7], 1).is_err());
    assert!(engine.walk(&[0.0; 7]).is_err());
    assert!(engine.logits(&[], 1).unwrap()[0].is_empty());
}
