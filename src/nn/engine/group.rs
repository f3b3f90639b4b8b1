//! A few images on their way through the network, side by side in one arena.

use super::maps::{Arena, Layout};
use super::places::Slice;
use super::program::Program;
use super::run::{Moves, carry, run};

/// Images in an arena of `program`, all computed up to the same exit.
pub(super) struct Group<'a> {
    pub program: &'a Program,
    pub arena: Arena,
    /// Whose values each lane holds, by the caller's numbers.
    pub images: Vec<usize>,
}

impl Group<'_> {
    /// Writes an image `[C, H, W]` into the next free lane.
    pub(super) fn load(&mut self, slice: Slice, number: usize, image: &[f32]) {
        let lane = self.images.len();
        self.images.push(number);
        let (layout, arena) = (&self.program.layout, self.arena.floats());
        let side = layout.map(slice).side;
        for (at, row) in image.chunks_exact(side).enumerate() {
            let first = layout.pixel(slice, at / side, at % side, 0) + lane;
            for (x, &value) in row.iter().enumerate() {
                arena[first + x * layout.lanes] = value;
            }
        }
    }

    /// Computes a stage.
    pub(super) fn run(&mut self, stage: usize) {
        run(self.program, stage, &mut self.arena);
    }

    /// The logits of a lane, for a slice of one pixel.
    pub(super) fn logits(&mut self, slice: Slice, lane: usize, logits: &mut [f32]) {
        let (layout, arena) = (&self.program.layout, self.arena.floats());
        for (class, value) in logits.iter_mut().enumerate() {
            *value = arena[layout.pixel(slice, class, 0, 0) + lane];
        }
    }

    /// Whether no further image fits.
    pub(super) fn is_full(&self) -> bool {
        self.images.len() == self.program.layout.lanes
    }

    /// Keeps only these lanes, in ascending order.
    pub(super) fn keep(&mut self, lanes: &[usize], live: &[Slice]) {
        if lanes.len() == self.images.len() {
            return;
        }
        let moves = Moves::new(lanes, 0);
        let arena = self.arena.floats().as_mut_ptr();
        for (row, side) in rows(&self.program.layout, live) {
            // Each pixel is read whole before it is written.
            unsafe {
                let row = arena.add(row);
                carry(self.program.isa, row, row, side, &moves);
            }
        }
        self.images = lanes.iter().map(|&lane| self.images[lane]).collect();
    }

    /// Takes these lanes of another group, with what is read later of them.
    pub(super) fn take(&mut self, other: &mut Group, lanes: &[usize], live: &[Slice]) {
        let first = self.images.len();
        if self.program.layout.lanes > 1 && other.program.layout.lanes > 1 {
            let moves = Moves::new(lanes, first);
            let to = self.arena.floats().as_mut_ptr();
            let from = other.arena.floats().as_ptr();
            for (row, side) in rows(&self.program.layout, live) {
                // Groups of more than one image are laid out alike.
                unsafe { carry(self.program.isa, from.add(row), to.add(row), side, &moves) };
            }
        } else {
            self.take_one_by_one(other, lanes, live);
        }
        self.images.extend(lanes.iter().map(|&l| other.images[l]));
    }

    /// As [`Group::take`], between a single image and a group.
    fn take_one_by_one(&mut self, other: &mut Group, lanes: &[usize], live: &[Slice]) {
        let (to, from) = (&self.program.layout, &other.program.layout);
        let first = self.images.len();
        let (arena, source) = (self.arena.floats(), other.arena.floats());
        for ((to_row, side), (from_row, _)) in rows(to, live).zip(rows(from, live)) {
            for x in 0..side {
                let target = &mut arena[to_row + x * to.lanes + first..][..lanes.len()];
                let pixel = &source[from_row + x * from.lanes..][..from.lanes];
                for (target, &lane) in target.iter_mut().zip(lanes) {
                    *target = pixel[lane];
                }
            }
        }
    }
}

/// First float and pixels of each row of some slices.
fn rows<'a>(layout: &'a Layout, slices: &'a [Slice]) -> impl Iterator<Item = (usize, usize)> + 'a {
    slices.iter().flat_map(move |&slice| {
        let side = layout.map(slice).side;
        (0..slice.channels * side)
            .map(move |row| (layout.pixel(slice, row / side, row % side, 0), side))
    })
}
