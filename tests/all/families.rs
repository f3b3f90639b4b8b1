//! Networks of every family, images and weights for them.

use repro::models::{
    Classifier, Input, NetworkConfig, Stem, densenet, mobilenet, mobilenet_v2, msdnet, resnet,
    squeezenet,
};
use repro::nn::{Mode, Network, Precision, Weights, initialise};
use tch::{Device, Kind, Tensor};

/// Images of CIFAR-10.
pub const INPUT: Input = Input { channels: 3, side: 32, classes: 10 };

/// A small MSDNet, changed.
pub fn msdnet(change: impl FnOnce(&mut msdnet::Config)) -> NetworkConfig {
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

/// All of them, with what each reads.
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

/// Seeded images.
pub fn images(input: Input, count: i64) -> Tensor {
    tch::manual_seed(7);
    Tensor::randn(
        [count, input.channels as i64, input.side as i64, input.side as i64],
        (Kind::Float, Device::Cpu),
    )
}

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
        network.forward(&mut weights, &batch, Mode::Train, Precision::Fp32).unwrap();
    }
    weights
}

/// The numbers of a tensor, one after another.
pub fn floats(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.contiguous().view([-1])).unwrap()
}
