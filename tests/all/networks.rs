//! The graph and its tensors: declared shapes, exits that compute only their ancestors, images
//! that leave a batch.

use repro::models::{
    Classifier, Input, NetworkConfig, Stem, densenet, mobilenet, mobilenet_v2, msdnet, resnet,
    squeezenet,
};
use repro::nn::{Builder, Conv, Mode, Precision, Schedule, initialise};
use tch::{Device, Kind, Tensor};

const INPUT: Input = Input { channels: 3, side: 32, classes: 10 };

fn msdnet(change: impl FnOnce(&mut msdnet::Config)) -> NetworkConfig {
    let mut config = msdnet::Config {
        stem: msdnet::Stem::Cifar,
        channels: 4,
        growth: 4,
        scale_growth: vec![1, 2, 4],
        bottleneck: vec![1, 2, 4],
        exits: msdnet::Exits::Layers(vec![2, 3, 5]),
        first_exit: None,
        spacing: None,
        compression: 0.5,
        reduce: true,
        dense: true,
        multi_scale: true,
    };
    change(&mut config);
    NetworkConfig::Msdnet(config)
}

pub fn networks() -> Vec<(NetworkConfig, Input)> {
    let resnet = |classifier| {
        NetworkConfig::Resnet(resnet::Config {
            blocks_per_stage: 2,
            channels: 4,
            exits_after: vec![1, 3, 5],
            classifier,
        })
    };
    let densenet = |bottleneck, compression, growth_doubles| {
        NetworkConfig::Densenet(densenet::Config {
            layers_per_block: 2,
            growth: 4,
            bottleneck,
            compression,
            growth_doubles,
            exits_after: vec![1, 2, 5],
            classifier: Classifier::Pooled,
        })
    };
    let imagenet = msdnet(|c| {
        c.stem = msdnet::Stem::Imagenet;
        c.scale_growth = vec![1, 2, 4, 4];
        c.bottleneck = vec![1, 2, 4, 4];
    });
    vec![
        (msdnet(|_| {}), INPUT),
        (msdnet(|c| c.reduce = false), INPUT),
        (msdnet(|c| c.compression = 0.0), INPUT),
        (msdnet(|c| c.dense = false), INPUT),
        (msdnet(|c| (c.dense, c.multi_scale) = (false, false)), INPUT),
        (msdnet(|c| c.multi_scale = false), INPUT),
        (msdnet(|c| (c.scale_growth, c.bottleneck) = (vec![1], vec![1])), INPUT),
        (msdnet(|c| (c.scale_growth, c.bottleneck) = (vec![1, 2, 2, 4], vec![1, 2, 2, 4])), INPUT),
        (msdnet(|_| {}), Input { channels: 1, side: 28, classes: 3 }),
        (imagenet, Input { channels: 3, side: 128, classes: 5 }),
        (resnet(Classifier::Pooled), INPUT),
        (resnet(Classifier::Convolutional), INPUT),
        (densenet(false, 1.0, false), INPUT),
        (densenet(true, 0.5, false), INPUT),
        (densenet(true, 0.5, true), INPUT),
    ]
    .into_iter()
    .chain(static_networks())
    .collect()
}

/// MobileNets and SqueezeNets, with exits as well.
fn static_networks() -> Vec<(NetworkConfig, Input)> {
    let mobilenet = |stem, exits_after| {
        NetworkConfig::Mobilenet(mobilenet::Config { width: 0.25, stem, exits_after })
    };
    let mobilenet_v2 = |stem, exits_after| {
        NetworkConfig::MobilenetV2(mobilenet_v2::Config { width: 0.35, stem, exits_after })
    };
    let squeezenet =
        |form, exits_after| NetworkConfig::Squeezenet(squeezenet::Config { form, exits_after });
    let large = Input { channels: 3, side: 60, classes: 5 };
    vec![
        (mobilenet(Stem::Cifar, vec![1, 6, 12]), INPUT),
        (mobilenet(Stem::Imagenet, vec![]), large),
        (mobilenet_v2(Stem::Cifar, vec![2, 9]), INPUT),
        (mobilenet_v2(Stem::Imagenet, vec![]), large),
        (squeezenet(squeezenet::Form::V1_0, vec![]), large),
        (squeezenet(squeezenet::Form::V1_1, vec![1, 5]), large),
        (squeezenet(squeezenet::Form::Cifar, vec![3, 7]), INPUT),
        (mobilenet(Stem::Cifar, vec![]), Input { channels: 1, side: 28, classes: 3 }),
    ]
}

pub fn images(input: Input, count: i64) -> Tensor {
    tch::manual_seed(7);
    Tensor::randn(
        [count, input.channels as i64, input.side as i64, input.side as i64],
        (Kind::Float, Device::Cpu),
    )
}

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
fn baselines_have_the_parameters_that_their_papers_say() {
    let input = Input { channels: 3, side: 32, classes: 10 };
    let parameters =
        |config: NetworkConfig| repro::cost::table(&config.build(input).unwrap())[0].parameters;
    let resnet = |blocks_per_stage| {
        NetworkConfig::Resnet(resnet::Config {
            blocks_per_stage,
            channels: 16,
            exits_after: vec![],
            classifier: Classifier::Pooled,
        })
    };
    // He et al. (2015), table 6: 0.85 M and 1.7 M.
    assert_eq!(parameters(resnet(9)), 853_018);
    assert_eq!(parameters(resnet(18)), 1_727_962);
    // Huang et al. (2017), table 2: DenseNet-BC (100, 12) 0.8 M, DenseNet (40, 12) 1.0 M.
    let densenet = |layers_per_block, bottleneck, compression| {
        NetworkConfig::Densenet(densenet::Config {
            layers_per_block,
            growth: 12,
            bottleneck,
            compression,
            growth_doubles: false,
            exits_after: vec![],
            classifier: Classifier::Pooled,
        })
    };
    assert_eq!(parameters(densenet(16, true, 0.5)), 769_162);
    let plain = parameters(densenet(12, false, 1.0));
    assert!((1_000_000..1_050_000).contains(&plain), "{plain}");
}

#[test]
fn a_convolution_in_bfloat16_is_the_rounded_product_of_rounded_numbers() {
    tch::set_num_threads(1);
    let (mut net, images) = Builder::new(3, 8);
    let x = net.conv(images, Conv::three(16, 1));
    let x = net.avg_pool(x, 8);
    let logits = net.linear(x, 2, "linear");
    net.exit(logits, 1);
    let network = net.finish();
    let mut weights = initialise(&network, 3, Device::Cpu).unwrap();
    let images = self::images(Input { channels: 3, side: 8, classes: 2 }, 5);
    let found = network.forward(&mut weights, &images, Mode::Train, Precision::Bf16).unwrap();

    let rounded = |t: &Tensor| t.to_kind(Kind::BFloat16).to_kind(Kind::Double);
    let kernel = rounded(&weights.views()[0]);
    let map = rounded(&images).conv2d(&kernel, None::<Tensor>, [1, 1], [1, 1], [1, 1], 1);
    let pooled = rounded(&rounded(&map).mean_dim([2, 3].as_slice(), false, None::<Kind>));
    let double = |i: usize| weights.views()[i].to_kind(Kind::Double);
    let expected = pooled.linear(&double(1), Some(&double(2)));
    // One number of a map may be rounded the other way, where sums in another order part at a tie.
    let apart = (&found[0] - &expected).abs().max().double_value(&[]);
    assert!(apart < 2e-3, "{apart}");
    found[0].sum(Kind::Float).backward();
    assert!(weights.views()[0].grad().defined(), "nothing reached the kernel");
}
