//! Inference that computes what an exit needs and no more: batch normalisation folded, results
//! written where they are read, the images of a group side by side in one small arena.
//!
//! An [`Engine`] gives the logits of [`Pass`](crate::nn::Pass) in evaluation mode up to rounding, in
//! 32-bit floats on the CPU. Images that need no later exit leave; the others are gathered into full
//! groups before they go on, so the work that is saved is saved on the clock.

mod gemm;
mod group;
mod maps;
mod places;
mod program;
mod run;
mod simd;
mod units;
mod walk;
mod workers;

use std::sync::Mutex;

use anyhow::{Result, ensure};

use crate::nn::{Network, Schedule, Weights};
use group::Group;
use maps::Arena;
use places::{Places, Slice};
use program::Program;

pub use simd::Isa;
pub use walk::Walk;
pub use workers::Left;

/// A network ready for inference on this machine.
pub struct Engine {
    /// `[C, H, W]` of an image, multiplied.
    image: usize,
    classes: usize,
    input: Slice,
    /// Of each stage.
    logits: Vec<Slice>,
    live: Vec<Vec<Slice>>,
    /// For groups of as many images as a register has floats.
    group: Program,
    /// For one image.
    single: Program,
    /// Arenas that nobody uses now, of `group` and of `single`.
    idle: [Mutex<Vec<Arena>>; 2],
}

impl Engine {
    /// An engine for all exits of `network`, with the best instructions of this machine.
    ///
    /// # Errors
    /// When a weight cannot be read.
    pub fn new(network: &Network, weights: &Weights) -> Result<Engine> {
        Engine::with(network, weights, Isa::detect())
    }

    /// As [`Engine::new`], with instructions that the machine has.
    ///
    /// # Errors
    /// When the machine has not got them, or a weight cannot be read.
    pub fn with(network: &Network, weights: &Weights, isa: Isa) -> Result<Engine> {
        ensure!(Isa::usable().contains(&isa), "this machine has no {isa:?} instructions");
        let exits: Vec<usize> = (0..network.exits().len()).collect();
        let schedule = Schedule::new(network, &exits);
        let units = units::units(network, weights, &schedule)?;
        let places = Places::new(network, &units);
        let slice = |id: usize| places.slices[id].expect("input and logits have places");
        let input = &network.nodes()[0];
        let group = Program::new(&units, &places, isa, run::lanes(isa));
        let single = Program::new(&units, &places, isa, 1);
        ensure!(
            group.fits() && single.fits(),
            "the network's feature maps are too large for this engine"
        );
        Ok(Engine {
            image: input.channels * input.side * input.side,
            classes: network.classes(),
            input: slice(0),
            logits: network.exits().iter().map(|e| slice(e.logits)).collect(),
            live: places.live.clone(),
            group,
            single,
            idle: [Mutex::default(), Mutex::default()],
        })
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
        for left in self.visit(images, threads, true, &|_, _| false)? {
            let at = left.image * self.classes;
            all[left.exit][at..at + self.classes].copy_from_slice(&left.logits);
        }
        Ok(all)
    }

    /// Each image's logits at the exit where it leaves: the first one at which `leaves(exit,
    /// logits)`, exits from 0, or the last.
    ///
    /// # Errors
    /// When the floats are not whole images.
    pub fn until(
        &self,
        images: &[f32],
        threads: usize,
        leaves: &(dyn Fn(usize, &[f32]) -> bool + Sync),
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
        Group {
            program,
            arena: kept.unwrap_or_else(|| program.arena()),
            images: vec![None; program.layout.lanes],
        }
    }

    /// Gives a group's memory back for the next one.
    fn recycle(&self, group: Group) {
        if let Ok(mut idle) = self.idle_of(group.program).lock() {
            idle.push(group.arena);
        }
    }

    fn idle_of(&self, program: &Program) -> &Mutex<Vec<Arena>> {
        &self.idle[usize::from(program.layout.lanes == 1)]
    }
}
