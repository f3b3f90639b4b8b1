//! What initial weights and dropout depend on, for each family, and what the last exit needs.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use super::{Input, NetworkConfig};
use crate::cost;
use crate::nn::{Builder, Conv, Mode, Network, Precision, Role, initialise};

const INPUT: Input = Input { channels: 3, side: 32, classes: 10 };

/// A network in JSON's model, as enums of one key are written.
fn network(text: &str) -> Network {
    let value: serde_json::Value = serde_yaml::from_str(text).unwrap();
    let config: NetworkConfig = serde_json::from_value(value).unwrap();
    config.build(INPUT).unwrap()
}

/// Values of all weights that are drawn, by place.
fn drawn(network: &Network) -> BTreeMap<String, Vec<f32>> {
    let weights = initialise(network, 5, Device::Cpu).unwrap();
    let mut found = BTreeMap::new();
    for (spec, view) in weights.specs().iter().zip(weights.views()) {
        if spec.role == Role::Weight {
            let values = Vec::<f32>::try_from(&view.flatten(0, -1)).unwrap();
            let place = &network.nodes()[spec.node].place;
            let before = found.insert(place.clone(), values);
            assert!(before.is_none(), "{place} stands for two weights");
        }
    }
    found
}

/// Two networks that differ in an exit, the place that the second alone has, and that of the last classifier.
const PAIRS: [[&str; 4]; 8] = [
    [
        "msdnet: { channels: 4, growth: 4, scale_growth: [1, 2], bottleneck: [1, 2], exits: [6] }",
        "msdnet: { channels: 4, growth: 4, scale_growth: [1, 2], bottleneck: [1, 2], exits: [2, 6] }",
        "classifier after 2",
        "classifier after 6",
    ],
    [
        "msdnet: { channels: 4, growth: 4, scale_growth: [1, 2], bottleneck: [1, 2], exits: [5, 6], multi_scale: false }",
        "msdnet: { channels: 4, growth: 4, scale_growth: [1, 2], bottleneck: [1, 2], exits: [3, 5, 6], multi_scale: false }",
        "classifier after 3",
        "classifier after 6",
    ],
    [
        "resnet: { blocks_per_stage: 2, channels: 4 }",
        "resnet: { blocks_per_stage: 2, channels: 4, exits_after: [3] }",
        "classifier after 3",
        "classifier after 6",
    ],
    [
        "resnet: { blocks_per_stage: 2, channels: 4, classifier: convolutional, exits_after: [5] }",
        "resnet: { blocks_per_stage: 2, channels: 4, classifier: convolutional, exits_after: [1, 5] }",
        "classifier after 1",
        "classifier after 6",
    ],
    [
        "densenet: { layers_per_block: 2, growth: 4, bottleneck: true, compression: 0.5 }",
        "densenet: { layers_per_block: 2, growth: 4, bottleneck: true, compression: 0.5, exits_after: [4] }",
        "classifier after 4",
        "classifier after 6",
    ],
    [
        "mobilenet: { width: 0.125, stem: cifar }",
        "mobilenet: { width: 0.125, stem: cifar, exits_after: [5] }",
        "exits.5",
        "linear",
    ],
    [
        "mobilenet_v2: { width: 0.125, stem: cifar, exits_after: [9] }",
        "mobilenet_v2: { width: 0.125, stem: cifar, exits_after: [3, 9] }",
        "exits.3",
        "classifier.1",
    ],
    [
        "squeezenet: { form: cifar }",
        "squeezenet: { form: cifar, exits_after: [4] }",
        "exits.4",
        "conv10",
    ],
];

#[test]
fn networks_that_differ_in_an_exit_begin_with_equal_weights_elsewhere() {
    for [without, with, only, last] in PAIRS {
        let (fewer, mut more) = (drawn(&network(without)), drawn(&network(with)));
        assert!(fewer.keys().any(|place| place.starts_with(last)), "{without}");
        let count = more.len();
        more.retain(|place, _| !place.starts_with(only));
        assert!(more.len() < count, "{with}");
        assert_eq!(fewer, more, "{with}");
    }
}

#[test]
fn every_weight_has_a_random_stream_of_its_own() {
    for [_, text, ..] in PAIRS {
        let all = drawn(&network(text));
        // The first two of a stream, whatever they are scaled by.
        let mut starts: Vec<i64> =
            all.values().map(|v| (1e6 * f64::from(v[1] / v[0])).round() as i64).collect();
        starts.sort_unstable();
        starts.dedup();
        assert_eq!(starts.len(), all.len(), "{text}");
    }
}

#[test]
fn weights_of_another_family_or_seed_are_others() {
    let network = network("resnet: { blocks_per_stage: 1, channels: 4 }");
    let first = |network: &Network, seed| {
        let weights = initialise(network, seed, Device::Cpu).unwrap();
        f64::try_from(&weights.views()[0].flatten(0, -1).get(0)).unwrap()
    };
    let found = [first(&network, 0), first(&network, 1), first(&network.clone().of_family("X"), 0)];
    assert_eq!(found[0], first(&network, 0));
    assert!(found[0] != found[1] && found[0] != found[2] && found[1] != found[2], "{found:?}");
}

#[test]
fn a_layer_that_is_given_no_place_has_its_name_for_one() {
    let (mut net, image) = Builder::new(3, 4);
    let h = net.scope("stem", |net| net.conv(image, Conv::three(2, 1)));
    let h = net.global_avg_pool(h);
    let logits = net.linear(h, 2, "head");
    net.exit(logits, 1);
    let places: Vec<String> = drawn(&net.finish()).into_keys().collect();
    assert_eq!(places, ["head", "stem.0"]);
}

#[test]
fn without_multi_scale_maps_the_last_exit_needs_every_layer() {
    let msdnet = |last: &str| {
        network(&format!(
            "msdnet: {{ channels: 4, growth: 4, scale_growth: [1, 2, 4], bottleneck: [1, 2, 4], exits: [4, 6], {last} }}"
        ))
    };
    for chain in [
        "multi_scale: false",
        "multi_scale: false, dense: false",
        "multi_scale: false, reduce: false",
    ] {
        let last = cost::table(&msdnet(chain)).pop().unwrap();
        assert_eq!(last.multiply_adds, last.multiply_adds_eager, "{chain}");
    }
    // A full grid ends with fine maps that no classifier reads.
    let last = cost::table(&msdnet("reduce: false")).pop().unwrap();
    assert!(last.multiply_adds < last.multiply_adds_eager);
}

/// Logits of the last exit in training, of one seed's weights and dropout.
fn trained_once(text: &str, precision: Precision) -> Vec<f32> {
    let network = network(text);
    let mut weights = initialise(&network, 5, Device::Cpu).unwrap();
    weights.set_dropout_key(7).unwrap();
    let images = Tensor::arange(4 * 3 * 32 * 32, (Kind::Float, Device::Cpu)).sin();
    let images = images.view([4, 3, 32, 32]);
    let logits = network.forward(&mut weights, &images, Mode::Train, precision).unwrap().pop();
    Vec::try_from(logits.unwrap().flatten(0, -1)).unwrap()
}

#[test]
fn another_exit_does_not_change_what_is_dropped() {
    for (without, with) in [
        ("squeezenet: { form: '1.1' }", "squeezenet: { form: '1.1', exits_after: [3] }"),
        ("mobilenet_v2: { width: 0.25 }", "mobilenet_v2: { width: 0.25, exits_after: [4] }"),
    ] {
        let logits = trained_once(without, Precision::Fp32);
        assert!(logits.iter().any(|&logit| logit != 0.0), "{without}");
        assert_eq!(logits, trained_once(with, Precision::Fp32));
    }
}

#[test]
fn logits_that_no_linear_layer_gives_have_32_bits_in_bf16_too() {
    let logits = trained_once("squeezenet: { form: cifar }", Precision::Bf16);
    // A number in bfloat16 has the upper 16 bits alone.
    assert!(logits.iter().any(|logit| logit.to_bits() & 0xffff != 0), "{logits:?}");
}
