//! Multi-Scale Dense Networks for Resource Efficient Image Classification
//! (Huang et al., ICLR 2018, arXiv 1703.09844), reproduced on LibTorch.
//!
//! The program `repro` is a thin layer over this library. A network is a directed graph of layers
//! with marked exits, and an exit costs what its ancestors cost: a configuration is built into a
//! [`nn::Network`], a value without tensors; [`cost::table`] counts it; [`nn::Weights`] are its
//! tensors; [`nn::Pass`] runs it, exit by exit, and computes only what the next exit still needs.
//!
//! ```
//! use repro::models::{Input, NetworkConfig};
//! use repro::nn::{Mode, Pass, Precision, Schedule, initialise};
//! use tch::{Device, Kind, Tensor};
//!
//! # fn main() -> anyhow::Result<()> {
//! // Build: what an experiment file says of a network, for CIFAR's images.
//! let config: NetworkConfig = serde_json::from_str(
//!     r#"{ "msdnet": { "channels": 8, "growth": 4, "scale_growth": [1, 2, 4], "bottleneck": [1, 2, 4],
//!                      "exits": 3, "first_exit": 2, "spacing": { "even": 2 } } }"#,
//! )?;
//! let input = Input { channels: 3, side: 32, classes: 10 };
//! let network = config.build(input)?;
//!
//! // Count: multiply-adds of one image that leaves at each exit.
//! let costs = repro::cost::table(&network);
//! assert_eq!(costs.len(), 3);
//! assert!(costs[0].multiply_adds < costs[2].multiply_adds);
//!
//! // Run: logits of one exit after another, for 2 images.
//! let _no_grad = tch::no_grad_guard();
//! let weights = initialise(&network, 0, Device::Cpu)?;
//! let images = Tensor::f_zeros([2, 3, 32, 32], (Kind::Float, Device::Cpu))?;
//! let schedule = Schedule::new(&network, &[0, 1, 2]);
//! let mut pass = Pass::new(&network, &schedule, &weights, &images, Mode::Evaluate, Precision::Fp32)?;
//! let mut exits = 0;
//! while let Some(logits) = pass.advance()? {
//!     assert_eq!(logits.size(), [2, 10]);
//!     exits += 1; // An image whose exit is sure enough stops here.
//! }
//! assert_eq!(exits, 3);
//! # Ok(())
//! # }
//! ```
//!
//! Training is [`train::Trainer`], predictions [`predict::predict`], the evaluation [`eval`] (pure
//! functions over numbers), a whole experiment [`study::make_figure`].

// What is printed or said goes through `cli::output` and `runs::tell`, which no full disk and no
// closed pipe makes panic.
#![warn(clippy::print_stdout, clippy::print_stderr)]

#[doc(inline)]
pub use repro_core::{cost, cuda, data, engine, eval, heap, models, nn, predict, stop};

pub mod bench;
pub mod cli;
pub mod experiment;
pub mod figures;
pub mod import;
pub mod look;
pub mod results;
pub mod runs;
pub mod study;
pub mod sweep;
pub mod train;
