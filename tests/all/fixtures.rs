//! Small whole files of every kind that the program reads.

use repro::eval::Predictions;
use repro::experiment::{FORMAT, LogRow, Plan, Progress, Run, load};
use repro::models::Input;
use repro::nn::{Precision, initialise};
use repro::results::checkpoint;
use repro::results::predictions::{self, Made};
use tch::{Device, Tensor};

/// One tiny network that trains in a second.
pub const EXPERIMENT: &str = "\
figure: anytime
dataset: synthetic
validation: 100
training_images: 160
seeds: [0]
training: { epochs: 3, batch_size: 20, learning_rate: 0.05, schedule: { step: { at: [0.5], factor: 0.1 } } }
networks:
  - name: DenseNet
    densenet: { layers_per_block: 1, growth: 2, exits_after: [1] }
";

/// What the networks of [`EXPERIMENT`] read.
pub const INPUT: Input = Input { channels: 3, side: 32, classes: 10 };

/// The one run of [`EXPERIMENT`].
pub fn run() -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.yaml");
    std::fs::write(&path, EXPERIMENT).unwrap();
    let (_, experiment) = load(path.to_str().unwrap(), &[]).unwrap();
    let plan = Plan::new(&experiment, INPUT, 100).unwrap();
    plan.networks[0].runs[0].clone()
}

/// A checkpoint's progress and tensors.
pub fn checkpoint() -> (Progress, Vec<(String, Tensor)>) {
    tch::set_num_threads(1);
    let run = run();
    let network = run.network.build(INPUT).unwrap();
    let weights = initialise(&network, 0, Device::Cpu).unwrap();
    let progress = Progress {
        format: FORMAT,
        run,
        data: "0123".to_string(),
        epoch: 1,
        step: 2,
        loss_sum: 0.1 + 0.2,
        log: vec![LogRow { epoch: 1, learning_rate: 0.05, loss: 4.2, accuracy: vec![0.1, 0.2] }],
        source: None,
    };
    (progress, weights.named().unwrap())
}

/// A checkpoint file.
pub fn checkpoint_file() -> Vec<u8> {
    let (progress, tensors) = checkpoint();
    checkpoint::to_bytes(&progress, &tensors).unwrap()
}

/// The state dict of the same network, with the prefix of data-parallel training.
pub fn state_dict_file() -> Vec<u8> {
    let (_, tensors) = checkpoint();
    let prefixed = tensors.into_iter().map(|(name, t)| (format!("module.{name}"), t));
    let named: Vec<(String, Tensor)> = prefixed.collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    checkpoint::save_tensors(&path, &named).unwrap();
    std::fs::read(path).unwrap()
}

/// Predictions of 2 exits on 5 images of 3 classes, and what made them.
pub fn predictions() -> (Predictions, Made) {
    let predictions = Predictions {
        exits: 2,
        classes: 3,
        images: vec![4, 7, 8, 11, 15],
        labels: vec![0, 1, 2, 0, 1],
        logits: (0..30).map(|i| (i * 7 % 11) as f32 / 3.0).collect(),
    };
    let made = Made {
        format: FORMAT,
        weights: "w".to_string(),
        data: "d".to_string(),
        validation: 100,
        device: "cpu".to_string(),
        precision: Precision::Fp32,
    };
    (predictions, made)
}

/// A predictions file.
pub fn predictions_file() -> Vec<u8> {
    let (predictions, made) = predictions();
    predictions::to_bytes(&predictions, &made).unwrap()
}

/// Two records of CIFAR-10 or, with two label bytes, CIFAR-100.
pub fn cifar(label_bytes: usize) -> Vec<u8> {
    let record = |label: u8| {
        let mut bytes = vec![label; label_bytes];
        bytes.extend((0..3072u32).map(|i| (i * 31 % 251) as u8));
        bytes
    };
    [record(3), record(9)].concat()
}

/// Three 4x4 images in IDX.
pub fn idx_images() -> Vec<u8> {
    let header = [0x0803u32, 3, 4, 4].map(u32::to_be_bytes).concat();
    [header, (0..48).collect()].concat()
}

/// Their labels.
pub fn idx_labels() -> Vec<u8> {
    [[0x0801u32, 3].map(u32::to_be_bytes).concat(), vec![0, 5, 9]].concat()
}

/// The same bytes packed.
pub fn gzipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
