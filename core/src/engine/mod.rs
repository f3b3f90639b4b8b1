//! Inference that computes what an exit needs and no more: batch normalisation folded, results
//! written where they are read, the images of a group side by side in one small arena.
//!
//! An [`Engine`] gives the logits of [`Pass`](crate::nn::Pass) in evaluation mode up to rounding, on
//! the CPU, in 32-bit floats or with bfloat16 products. Images that need no later exit leave; the
//! others are gathered into full groups before they go on, so the work that is saved is saved on the
//! clock.

#![allow(unsafe_code)]

mod channels;
mod depthwise;
mod gemm;
mod group;
mod maps;
mod max_pool;
mod pairs;
mod places;
mod planes;
mod program;
mod run;
mod simd;
mod steps;
mod tables;
mod units;
mod walk;
mod workers;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::Mutex;

use anyhow::{Result, bail, ensure};

use crate::nn::{Network, Precision, Schedule, Weights};
use group::{Group, Logits, Memory};
use places::{Places, Slice};
use planes::{Plane, Planes};
use program::Program;

pub use simd::Isa;
pub use walk::Walk;
pub use workers::Left;

/// A network ready for inference on this machine.
pub struct Engine {
    /// Floats of an image: C x H x W.
    image: usize,
    classes: usize,
    precision: Precision,
    input: (Slice, Vec<Plane>),
    /// Of each segment.
    logits: Vec<Logits>,
    live: Vec<Vec<Slice>>,
    /// For groups of as many images as a register has words.
    group: Program,
    /// For one image.
    single: Program,
    /// Memory that is free now, of `group` and of `single`.
    idle: [Mutex<Vec<Memory>>; 2],
}

impl Engine {
    /// An engine for all exits of `network`, with the best instructions of this machine. In bf16,
    /// feature maps and weights are bfloat16, sums and biases 32-bit floats. Where no precision is
    /// given, bf16 is taken if the machine gains by it and the network allows it.
    ///
    /// # Errors
    /// When a weight cannot be read, or in bf16 the machine cannot multiply bfloat16 or the network
    /// adds odd numbers of channels.
    pub fn new(
        network: &Network,
        weights: &Weights,
        precision: Option<Precision>,
    ) -> Result<Engine> {
        let make = |precision| Engine::with(network, weights, Isa::detect(), precision);
        match precision {
            Some(Precision::Bf16) if !Isa::has_bf16() => {
                bail!("this processor has no bf16 arithmetic (AVX512_BF16); fp32 works")
            }
            Some(precision) => make(precision),
            None if Isa::gains_by_bf16() => {
                make(Precision::Bf16).or_else(|_| make(Precision::Fp32))
            }
            None => make(Precision::Fp32),
        }
    }

    /// As [`Engine::new`], with instructions that the machine has. [`Isa::Portable`] does in bf16 what
    /// the instructions for bfloat16 do, slowly.
    ///
    /// # Errors
    /// As [`Engine::new`], and when the machine has not got the instructions.
    pub fn with(
        network: &Network,
        weights: &Weights,
        isa: Isa,
        precision: Precision,
    ) -> Result<Engine> {
        let paired = precision == Precision::Bf16;
        let has_bf16 = isa == Isa::Portable || (isa == Isa::Avx512 && Isa::has_bf16());
        ensure!(Isa::usable().contains(&isa), "this machine has no {isa:?} instructions");
        ensure!(!paired || has_bf16, "{isa:?} has no bf16 arithmetic on this machine");
        let exits: Vec<usize> = (0..network.exits().len()).collect();
        let schedule = Schedule::new(network, &exits);
        let units = units::units(network, weights, &schedule)?;
        let planes = Planes::new(network, &units, paired)?;
        let places = Places::new(network, &units, &planes);
        let slice = |id: usize| places.slices[id].expect("input and logits have places");
        let input = &network.nodes()[0];
        let group = Program::new(&units, (&planes, &places), isa, isa.lanes());
        let single = Program::new(&units, (&planes, &places), isa, 1);
        ensure!(
            group.fits() && single.fits(),
            "the network's feature maps are too large for this engine"
        );
        let logits = network.exits().iter().map(|exit| Logits {
            slice: slice(exit.logits),
            planes: planes.of(exit.logits).to_vec(),
            floats: planes.is_floats(exit.logits),
        });
        Ok(Engine {
            image: input.channels * input.side * input.side,
            classes: network.classes(),
            precision,
            input: (slice(0), planes.of(0).to_vec()),
            logits: logits.collect(),
            live: places.live.clone(),
            group,
            single,
            idle: [Mutex::default(), Mutex::default()],
        })
    }

    /// Arithmetic of the products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Floats of an image.
    pub fn image(&self) -> usize {
        self.image
    }

    /// Number of exits.
    pub fn exits(&self) -> usize {
        self.logits.len()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Logits of every exit, `[exits][images * classes]`, for normalised images `[N, C, H, W]` one
    /// after another.
    ///
    /// # Errors
    /// When the floats are not whole images.
    pub fn logits(&self, images: &[f32], threads: usize) -> Result<Vec<Vec<f32>>> {
        let size = images.len() / self.image * self.classes;
        let mut all = vec![vec![0.0; size]; self.exits()];
        for left in self.visit(images, threads, true, &|_, _, _| false)? {
            let at = left.image * self.classes;
            all[left.exit][at..at + self.classes].copy_from_slice(&left.logits);
        }
        Ok(all)
    }

    /// Each image's logits at the exit where it leaves: the first one at which `leaves(image, exit,
    /// logits)`, both from 0, or the last. Each image comes to its exits one after another.
    ///
    /// # Errors
    /// When the floats are not whole images.
    pub fn until(
        &self,
        images: &[f32],
        threads: usize,
        leaves: &(dyn Fn(usize, usize, &[f32]) -> bool + Sync),
    ) -> Result<Vec<Left>> {
        let mut left = self.visit(images, threads, false, leaves)?;
        left.sort_by_key(|left| left.image);
        Ok(left)
    }

    /// One image `[C, H, W]` on its way from exit to exit.
    ///
    /// # Errors
    /// When it is not one image.
    pub fn walk(&self, image: &[f32]) -> Result<Walk<'_>> {
        ensure!(image.len() == self.image, "{} floats for an image of {}", image.len(), self.image);
        Ok(Walk::new(self, image))
    }

    /// An empty group.
    fn new_group<'a>(&'a self, program: &'a Program) -> Group<'a> {
        let kept = self.idle_of(program).lock().ok().and_then(|mut v| v.pop());
        let fresh = || Memory { arena: program.arena(), logits: vec![0.0; self.classes] };
        Group::new(program, kept.unwrap_or_else(fresh))
    }

    /// Gives a group's memory back for the next one.
    fn recycle(&self, group: Group) {
        if let Ok(mut idle) = self.idle_of(group.program).lock() {
            idle.push(group.memory);
        }
    }

    fn idle_of(&self, program: &Program) -> &Mutex<Vec<Memory>> {
        &self.idle[usize::from(program.layout.lanes == 1)]
    }
}
