//! Where products read and write, relative to their planes. Steps over the same maps share a table,
//! so that one image needs few of them.

use std::collections::BTreeMap;

use super::maps::Layout;
use super::places::Slice;
use super::units::Window;

/// A table's number.
pub(super) type Id = usize;

/// Vectors, or pixels, of a product.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Where each is read in a plane of the input.
    pub sources: Vec<u32>,
    /// Where each is written in a plane of the output.
    pub targets: Vec<u32>,
    /// Bits to keep of each vector; empty = all.
    pub masks: Vec<f32>,
}

/// All tables of a program.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub taps: Vec<Vec<i32>>,
    pub places: Vec<Places>,
    taps_of: BTreeMap<(usize, usize, usize), Id>,
    places_of: BTreeMap<Key, Id>,
}

/// Input and output pool and the stride, or the pool of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Pixels(usize, usize, usize),
    Run(usize),
}

impl Tables {
    /// Where each plane of a slice at each place of a window lies, relative to the first plane's
    /// pixel; the table may go on for slices of more planes.
    pub(super) fn taps(&mut self, layout: &Layout, input: Slice, window: Window) -> Id {
        let all = &mut self.taps;
        let key = (input.pool, window.kernel, window.padding);
        let id = *self.taps_of.entry(key).or_insert_with(|| {
            all.push(Vec::new());
            all.len() - 1
        });
        let taps = &mut all[id];
        let map = layout.map(input);
        let (row, lanes) = (map.row as i32, layout.lanes as i32);
        let padding = window.padding as i32;
        for plane in taps.len() / (window.kernel * window.kernel)..input.planes {
            for y in 0..window.kernel as i32 {
                for x in 0..window.kernel as i32 {
                    let pixel = (y - padding) * row + x - padding;
                    taps.push((plane * map.plane) as i32 + pixel * lanes);
                }
            }
        }
        id
    }

    /// For every output pixel where it is read and written.
    pub(super) fn pixels(
        &mut self,
        layout: &Layout,
        input: Slice,
        output: Slice,
        stride: usize,
    ) -> Id {
        self.id(Key::Pixels(input.pool, output.pool, stride), || {
            let mut places = Places::default();
            let side = layout.map(output).side;
            for y in 0..side {
                for x in 0..side {
                    let at = |slice, y, x| layout.pixel(slice, 0, y, x) - layout.plane(slice, 0);
                    places.sources.push(at(input, y * stride, x * stride) as u32);
                    places.targets.push(at(output, y, x) as u32);
                }
            }
            places
        })
    }

    /// Vectors over all pixels of a single image, and the bits that are kept.
    pub(super) fn run(&mut self, layout: &Layout, slice: Slice, vector: usize) -> Id {
        self.id(Key::Run(slice.pool), || {
            let map = layout.map(slice);
            let end = map.run().next_multiple_of(vector);
            let targets = (0..end).step_by(vector).map(|at| (map.origin + at) as u32);
            let targets: Vec<u32> = targets.collect();
            let inside = |at: usize| at < map.run() && at % map.row < map.side;
            let bits = |at: usize| if inside(at) { u32::MAX } else { 0 };
            let masks = (0..end).map(|at| f32::from_bits(bits(at))).collect();
            Places { sources: targets.clone(), targets, masks }
        })
    }

    fn id(&mut self, key: Key, make: impl FnOnce() -> Places) -> Id {
        let all = &mut self.places;
        *self.places_of.entry(key).or_insert_with(|| {
            all.push(make());
            all.len() - 1
        })
    }
}
