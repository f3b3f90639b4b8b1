//! A few images on their way through the network, side by side in one arena.

use super::maps::{Arena, Layout};
use super::pairs;
use super::places::Slice;
use super::planes::Plane;
use super::program::Program;
use super::run::{MOST_LANES, Moves, carry, run};

/// Where an exit's logits lie: planes of one pixel.
pub(super) struct Logits {
    pub slice: Slice,
    pub planes: Vec<Plane>,
    /// Whether words are floats.
    pub floats: bool,
}

/// What a group writes to; it can be used again for another one.
pub(super) struct Memory {
    pub arena: Arena,
    /// Of one image.
    pub logits: Vec<f32>,
}

/// Images in an arena of `program`, all computed up to the same exit.
pub(super) struct Group<'a> {
    pub program: &'a Program,
    pub memory: Memory,
    /// Whose values each lane holds, by the caller's numbers; none in a free lane.
    pub images: [Option<usize>; MOST_LANES],
}

impl<'a> Group<'a> {
    /// An empty group.
    pub(super) fn new(program: &'a Program, memory: Memory) -> Group<'a> {
        Group { program, memory, images: [None; MOST_LANES] }
    }

    /// Writes an image `[C, H, W]` into a free lane; the planes of `slice` hold `planes`.
    pub(super) fn load(
        &mut self,
        lane: usize,
        (slice, planes): (Slice, &[Plane]),
        number: usize,
        image: &[f32],
    ) {
        self.images[lane] = Some(number);
        let (layout, paired) = (&self.program.layout, self.program.paired);
        let arena = self.memory.arena.words();
        let side = layout.map(slice).side;
        let pixels = side * side;
        for (plane, channels) in planes.iter().enumerate() {
            for y in 0..side {
                let first = layout.pixel(slice, plane, y, 0) + lane;
                let row = |half: Option<usize>| {
                    half.map(|channel| &image[channel * pixels + y * side..][..side])
                };
                let [even, odd] = channels.map(row);
                for x in 0..side {
                    let value = |row: Option<&[f32]>| row.map_or(0.0, |row| row[x]);
                    let word =
                        if paired { pairs::join([value(even), value(odd)]) } else { value(even) };
                    arena[first + x * layout.lanes] = word;
                }
            }
        }
    }

    /// Computes a segment.
    pub(super) fn run(&mut self, segment: usize) {
        run(self.program, segment, &mut self.memory.arena);
    }

    /// The logits of a lane.
    pub(super) fn logits(&mut self, place: &Logits, lane: usize) -> &[f32] {
        let Memory { arena, logits } = &mut self.memory;
        let (layout, arena) = (&self.program.layout, arena.read());
        for (plane, channels) in place.planes.iter().enumerate() {
            let word = arena[layout.pixel(place.slice, plane, 0, 0) + lane];
            let halves = if place.floats { [word, 0.0] } else { pairs::split(word) };
            for (channel, value) in channels.iter().zip(halves) {
                if let Some(class) = *channel {
                    logits[class] = value;
                }
            }
        }
        logits
    }

    /// Lanes that hold an image.
    pub(super) fn lanes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.program.layout.lanes).filter(|&lane| self.images[lane].is_some())
    }

    /// Images held.
    pub(super) fn len(&self) -> usize {
        self.lanes().count()
    }

    /// Lanes that are free.
    pub(super) fn room(&self) -> usize {
        self.program.layout.lanes - self.len()
    }

    /// Takes as many images of another group as there is room for, with what is read later of them.
    /// Those that stay where they are cost nothing.
    pub(super) fn take(&mut self, other: &mut Group, live: &[Slice]) {
        let lanes = self.program.layout.lanes;
        let free = (0..lanes).filter(|&lane| self.images[lane].is_none());
        let pairs: Vec<(usize, usize)> = other.lanes().zip(free).collect();
        if self.program.layout.lanes > 1 && other.program.layout.lanes > 1 {
            let moves = Moves::new(&pairs);
            let to = self.memory.arena.words().as_mut_ptr();
            let from = other.memory.arena.read().as_ptr();
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
        let (arena, source) = (self.memory.arena.words(), other.memory.arena.read());
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

/// First word and pixels of each row of some slices.
fn rows<'a>(layout: &'a Layout, slices: &'a [Slice]) -> impl Iterator<Item = (usize, usize)> + 'a {
    slices.iter().flat_map(move |&slice| {
        let side = layout.map(slice).side;
        (0..slice.planes * side)
            .map(move |row| (layout.pixel(slice, row / side, row % side, 0), side))
    })
}
