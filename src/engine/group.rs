//! A few images on their way through the network, side by side in one arena.

use super::maps::{Arena, Layout};
use super::places::Slice;
use super::program::Program;
use super::run::{Moves, carry, run};

/// Images in an arena of `program`, all computed up to the same exit.
pub(super) struct Group<'a> {
    pub program: &'a Program,
    pub arena: Arena,
    /// Whose values each lane holds, by the caller's numbers; none in a free lane.
    pub images: Vec<Option<usize>>,
}

impl Group<'_> {
    /// Writes an image `[C, H, W]` into a free lane.
    pub(super) fn load(&mut self, lane: usize, slice: Slice, number: usize, image: &[f32]) {
        self.images[lane] = Some(number);
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

    /// Lanes that hold an image.
    pub(super) fn lanes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.images.len()).filter(|&lane| self.images[lane].is_some())
    }

    /// Images held.
    pub(super) fn len(&self) -> usize {
        self.lanes().count()
    }

    /// Lanes that are free.
    pub(super) fn room(&self) -> usize {
        self.images.len() - self.len()
    }

    /// Takes as many images of another group as there is room for, with what is read later of them.
    /// Those that stay where they are cost nothing.
    pub(super) fn take(&mut self, other: &mut Group, live: &[Slice]) {
        let free = (0..self.images.len()).filter(|&lane| self.images[lane].is_none());
        let pairs: Vec<(usize, usize)> = other.lanes().zip(free).collect();
        if self.program.layout.lanes > 1 && other.program.layout.lanes > 1 {
            let moves = Moves::new(&pairs);
            let to = self.arena.floats().as_mut_ptr();
            let from = other.arena.floats().as_ptr();
            for (row, side) in rows(&self.program.layout, live) {
                // Groups of more than one image are laid out alike.
                unsafe { carry(self.program.isa, from.add(row), to.add(row), side, &moves) };
            }
        } else {
            self.take_one_by_one(other, &pairs, live);
        }
        for (from, to) in pairs {
            self.images[to] = other.images[from].take();
        }
    }

    /// As [`Group::take`], between a single image and a group.
    fn take_one_by_one(&mut self, other: &mut Group, pairs: &[(usize, usize)], live: &[Slice]) {
        let (to, from) = (&self.program.layout, &other.program.layout);
        let (arena, source) = (self.arena.floats(), other.arena.floats());
        for ((to_row, side), (from_row, _)) in rows(to, live).zip(rows(from, live)) {
            for x in 0..side {
                for (from_lane, to_lane) in pairs {
                    arena[to_row + x * to.lanes + to_lane] =
                        source[from_row + x * from.lanes + from_lane];
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
