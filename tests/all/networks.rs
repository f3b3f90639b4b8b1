//! The graph and its tensors: declared shapes, exits that compute only their ancestors, images
//! that leave a batch.

use repro::models::Input;
use repro::nn::{Builder, Conv, Mode, Precision, Schedule, initialise};
use tch::{Device, Kind, Tensor};

use super::families::{INPUT, images, msdnet, networks};

#[test]
fn every_declared_shape_is_the_tensors_in_training_and_evaluation() {
    tch::set_num_threads(1);
    for (config, input) in networks() {
        let network = config.build(input).unwrap();
        let mut weights = initialise(&network, 0, Device::Cpu).unwrap();
        let images = images(input, 3);
        // Every node's shape is checked as it is computed.
        for mode in [Mode::Train, Mode::Evaluate] {
            for precision in [Precision::Fp32, Precision::Bf16] {
                let logits = network.forward(&mut weights, &images, mode, precision).unwrap();
                assert_eq!(logits.len(), network.exits().len());
                for exit in logits {
                    assert_eq!(exit.size(), [3, input.classes as i64]);
                    assert_eq!(exit.kind(), Kind::Float);
                }
            }
        }
    }
}

#[test]
fn an_exits_ancestors_alone_give_the_full_forwards_logits() {
    tch::set_num_threads(1);
    for (config, input) in networks() {
        let network = config.build(input).unwrap();
        let mut weights = initialise(&network, 1, Device::Cpu).unwrap();
        let images = images(input, 2);
        let full = network.forward(&mut weights, &images, Mode::Evaluate, Precision::Fp32).unwrap();
        for (exit, expected) in full.iter().enumerate() {
            let schedule = Schedule::new(&network, &[exit]);
            let alone = network
                .forward_scheduled(
                    &schedule,
                    &mut weights,
                    &images,
                    Mode::Evaluate,
                    Precision::Fp32,
                )
                .unwrap();
            assert!(alone[0].equal(expected), "exit {} of {config:?}", exit + 1);
        }
    }
}

#[test]
fn an_early_exit_of_msdnet_reads_less_than_all_that_was_created() {
    let network = msdnet(|_| {}).build(INPUT).unwrap();
    let cost = repro::cost::table(&network);
    assert!(cost[0].multiply_adds < cost[0].multiply_adds_eager);
    assert!(cost[1].multiply_adds_single < cost[1].multiply_adds);
    assert!(cost.windows(2).all(|pair| pair[0].multiply_adds < pair[1].multiply_adds));
}

#[test]
fn a_convolution_in_bfloat16_is_the_rounded_product_of_rounded_numbers() {
    tch::set_num_threads(1);
    let (mut net, x) = Builder::new(3, 8);
    let x = net.conv(x, Conv::three(16, 1));
    let x = net.avg_pool(x, 8);
    let logits = net.linear(x, 2, "linear");
    net.exit(logits, 1);
    let network = net.finish();
    let mut weights = initialise(&network, 3, Device::Cpu).unwrap();
    let batch = images(Input { channels: 3, side: 8, classes: 2 }, 5);
    let found = network.forward(&mut weights, &batch, Mode::Train, Precision::Bf16).unwrap();

    let rounded = |t: &Tensor| t.to_kind(Kind::BFloat16).to_kind(Kind::Double);
    let kernel = rounded(&weights.views()[0]);
    let map = rounded(&batch).conv2d(&kernel, None::<Tensor>, [1, 1], [1, 1], [1, 1], 1);
    let pooled = rounded(&rounded(&map).mean_dim([2, 3].as_slice(), false, None::<Kind>));
    let double = |i: usize| weights.views()[i].to_kind(Kind::Double);
    let expected = pooled.linear(&double(1), Some(&double(2)));
    // One number of a map may be rounded the other way, where sums in another order part at a tie.
    let apart = (&found[0] - &expected).abs().max().double_value(&[]);
    assert!(apart < 2e-3, "{apart}");
    found[0].sum(Kind::Float).backward();
    assert!(weights.views()[0].grad().defined(), "nothing reached the kernel");
}
