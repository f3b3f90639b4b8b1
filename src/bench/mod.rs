//! How fast this machine trains, infers and searches: medians of repeated timings.

mod clock;
mod gpu;
mod inference;
mod rest;
mod saving;
mod training;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tch::Device;

use crate::cost;
use crate::data::{Dataset, Normalisation, Source, Split};
use crate::engine::Isa;
use crate::eval::combine::Combine;
use crate::eval::policy::{Decide, Policy};
use crate::models::{Input, NetworkConfig};
use crate::nn::{Network, Precision};
use repro_core::named;

pub use clock::Clock;
pub use saving::write_saving;

/// The networks that are measured where none is named.
pub const NETWORKS: [(&str, &str); 2] = [
    ("cifar100_budget_b5", include_str!("../../benches/cifar100_budget_b5.yaml")),
    ("cifar100_anytime_b7", include_str!("../../benches/cifar100_anytime_b7.yaml")),
];

/// A thing to measure; memory wants a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// A large matrix product, fp32 and bf16: what the machine can do at most.
    Matmul,
    /// Steps, data pipeline included, fp32 and bf16.
    Train,
    /// All exits and the first one, at batch 1, 64 and 256.
    Inference,
    /// Early exit at every exit and by a policy at several budgets, batch 1 and 256.
    Early,
    /// Threshold sweep.
    Sweep,
    /// Augmented batches.
    Data,
    /// Largest memory of the process after all exits at batch 256.
    Memory,
}

named! { Topic, "topic":
    Matmul = "matmul", Train = "train", Inference = "inference", Early = "early", Sweep = "sweep",
    Data = "data", Memory = "memory",
}

impl Topic {
    /// Whether a GPU has no part in it.
    fn is_of_the_cpu(self) -> bool {
        matches!(self, Topic::Sweep | Topic::Data | Topic::Memory)
    }
}

/// What is measured and how.
#[derive(Debug, Clone)]
pub struct Bench {
    /// Names and networks.
    pub networks: Vec<(String, NetworkConfig)>,
    /// What of each.
    pub topics: Vec<Topic>,
    /// Numbers of threads, each measured.
    pub threads: Vec<usize>,
    /// Height and width of the images instead of the data's.
    pub side: Option<usize>,
    /// Batch sizes of the trainings.
    pub batches: Vec<usize>,
    /// Element types of matrix products, trainings and inference; an entry of none leaves inference
    /// the choice: bf16 where it is faster. An empty list: products and trainings in both, inference as
    /// with none.
    pub precisions: Vec<Option<Precision>>,
    /// Where to compute. On a GPU a matrix product, training, all exits of 256 images and their early exit are
    /// measured; what is left of the topics is the processor's.
    pub device: Device,
    /// How long and how often.
    pub clock: Clock,
    /// By which policy images leave early.
    pub policy: Policy,
    /// How exits are combined before they are asked.
    pub combine: Combine,
}

/// A result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Empty where it does not depend on one.
    pub network: String,
    /// What, such as `all/256` or `train/64/fp32`.
    pub what: String,
    /// Threads.
    pub threads: usize,
    /// How much.
    pub value: f64,
    /// Of what: images/s, multiply-adds/s, s, MiB.
    pub unit: &'static str,
    /// Arithmetic of inference: `fp32` or `bf16`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Multiply-adds a second where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiply_adds_per_s: Option<f64>,
    /// Early exit: the batch, the exit that all images leave at or the policy's knob, and the shares of the
    /// last exit's multiply-adds and time that were spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early: Option<Early>,
}

/// Counted and measured cost of an early exit, as shares of those of the last exit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Early {
    /// Images together.
    pub batch: usize,
    /// From 1; none for a policy.
    pub exit: Option<usize>,
    /// What the policy is swept by; none for an exit.
    pub ratio: Option<f64>,
    /// Share of multiply-adds.
    pub counted: f64,
    /// Share of time.
    pub measured: f64,
}

impl Measured {
    fn new(network: &str, what: &str, threads: usize, value: f64, unit: &'static str) -> Measured {
        Measured {
            network: network.to_string(),
            what: what.to_string(),
            threads,
            value,
            unit,
            precision: None,
            multiply_adds_per_s: None,
            early: None,
        }
    }

    /// Images a second, each of `each` multiply-adds.
    fn images(network: &str, what: &str, threads: usize, per_s: f64, each: f64) -> Measured {
        Measured {
            multiply_adds_per_s: Some(per_s * each),
            ..Measured::new(network, what, threads, per_s, "images/s")
        }
    }
}

/// Called with each result as soon as it is there.
type Tell<'a> = &'a mut dyn FnMut(Measured) -> Result<()>;

/// A network under measurement.
struct Subject<'a> {
    bench: &'a Bench,
    name: &'a str,
    config: &'a NetworkConfig,
    network: Network,
    /// Multiply-adds of exits 1..k.
    multiply_adds: Vec<u64>,
    source: &'a Source,
    normalisation: &'a Normalisation,
    threads: usize,
}

impl Subject<'_> {
    fn last(&self) -> f64 {
        self.multiply_adds.last().copied().unwrap_or(0) as f64
    }

    /// Arithmetic of inference, each measured; see [`Bench::precisions`].
    fn infers_in(&self) -> &[Option<Precision>] {
        if self.bench.precisions.is_empty() { &[None] } else { &self.bench.precisions }
    }
}

/// Whether matrix products and trainings in `precision` are measured; see [`Bench::precisions`].
fn is_wanted(precisions: &[Option<Precision>], precision: Precision) -> bool {
    let mut named = precisions.iter().flatten().peekable();
    named.peek().is_none() || named.any(|&other| other == precision)
}

/// Classes of the networks, as CIFAR-100 has.
const CLASSES: usize = 100;

impl Bench {
    fn has(&self, topic: Topic) -> bool {
        self.topics.contains(&topic)
    }

    /// Refuses what cannot be measured before minutes of measuring.
    fn check(&self) -> Result<()> {
        self.policy.check_combine(self.combine)?;
        ensure!(
            matches!(self.policy.form().decide, Decide::Gate(_)),
            "the policy {} sees the label, so no image can leave by it",
            self.policy
        );
        let infers = self.has(Topic::Inference) || self.has(Topic::Early);
        if infers && self.device == Device::Cpu && self.precisions.contains(&Some(Precision::Bf16))
        {
            ensure!(
                Isa::has_bf16(),
                "this processor has no bf16 arithmetic (AVX512_BF16); fp32 works"
            );
        }
        ensure!(
            self.device == Device::Cpu || self.topics.iter().any(|topic| !topic.is_of_the_cpu()),
            "sweep, data and memory are measured on the CPU alone; add --device cpu"
        );
        Ok(())
    }
}

/// Measures everything and tells each result as soon as it is there.
pub fn measure(bench: &Bench, tell: Tell) -> Result<()> {
    bench.check()?;
    let facts = Dataset::Synthetic.facts()?;
    let source = Source::open(&Dataset::Synthetic, Split::Train, Path::new(""))?;
    let source = source.to_device(bench.device)?;
    let normalisation = Normalisation::from(&facts);
    let side = bench.side.unwrap_or(facts.side);
    let input = Input { channels: facts.channels, side, classes: CLASSES };
    for &threads in &bench.threads {
        tch::set_num_threads(threads as i32);
        if bench.has(Topic::Matmul) {
            rest::matmul(bench, threads, tell)?;
        }
        if bench.has(Topic::Data) && bench.device == Device::Cpu {
            rest::data(&source, &normalisation, threads, bench.clock, tell)?;
        }
        for (name, config) in &bench.networks {
            let network = config.build(input).with_context(|| {
                let size = format!("{name}, measured on images of {side} x {side} pixels");
                let sides = "only matmul, inference and memory take another size (--side)";
                if bench.side.is_some() {
                    size
                } else {
                    format!("{size}, as CIFAR-100 has; {sides}")
                }
            })?;
            let multiply_adds = cost::by_exit(&network);
            let (source, normalisation) = (&source, &normalisation);
            let subject = Subject {
                bench,
                name,
                config,
                network,
                multiply_adds,
                source,
                normalisation,
                threads,
            };
            one(&subject, tell)?;
        }
    }
    if bench.has(Topic::Sweep) && bench.device == Device::Cpu {
        rest::sweep(bench.clock, tell)?;
    }
    Ok(())
}

fn one(subject: &Subject, tell: Tell) -> Result<()> {
    let has = |topic| subject.bench.has(topic);
    if has(Topic::Train) {
        training::train(subject, tell)?;
    }
    if let Device::Cuda(_) = subject.bench.device {
        return gpu::measure(subject, (has(Topic::Inference), has(Topic::Early)), tell);
    }
    if has(Topic::Memory) {
        inference::memory(subject, tell)?;
    }
    if has(Topic::Inference) || has(Topic::Early) {
        for &precision in subject.infers_in() {
            let ready = inference::Ready::new(subject, precision)?;
            if has(Topic::Inference) {
                ready.inference(tell)?;
            }
            if has(Topic::Early) {
                ready.early(tell)?;
            }
        }
    }
    Ok(())
}
