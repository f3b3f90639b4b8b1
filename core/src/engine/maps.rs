//! How an arena is laid out: for each pool its planes one after another, each a square map with
//! zeros around it, each pixel the words of all images of a group side by side. A word is a float, or
//! two channels in bfloat16.
//!
//! The zeros right of a row are also those left of the next one. They are never written, or only with
//! zeros, so an arena that starts out zeroed can be reused.

use std::alloc;
use std::ptr::NonNull;

use super::places::{Pool, Slice};
use crate::heap::prefer_huge_pages;

/// Words behind the last map: a vector of a single image's pixels, or of every second one, may reach
/// this far beyond it.
const SLACK: usize = 32;

/// The values of one group of images.
pub(super) struct Arena {
    memory: NonNull<f32>,
    layout: alloc::Layout,
}

// The memory is its own and holds plain numbers.
unsafe impl Send for Arena {}
unsafe impl Sync for Arena {}

impl Arena {
    /// `words` zeros, beginning at a cache line, or a huge page where they fill some.
    pub(super) fn new(words: usize) -> Arena {
        const LINE: usize = 64;
        const HUGE: usize = 2 << 20;
        let bytes = (words * size_of::<f32>()).max(1);
        let align = if bytes < HUGE { LINE } else { HUGE };
        let layout = alloc::Layout::from_size_align(bytes.next_multiple_of(align), align)
            .expect("an arena is no larger than memory");
        // The size is above 0; the pages are advised on before they are touched.
        let memory = unsafe {
            let memory = alloc::alloc(layout);
            if memory.is_null() {
                alloc::handle_alloc_error(layout);
            }
            if align == HUGE {
                prefer_huge_pages(memory, layout.size());
            }
            memory.write_bytes(0, layout.size());
            NonNull::new_unchecked(memory.cast())
        };
        Arena { memory, layout }
    }

    /// All words.
    pub(super) fn words(&mut self) -> &mut [f32] {
        let words = self.layout.size() / size_of::<f32>();
        // All of them were written when the arena was made.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr(), words) }
    }

    /// The same, to read.
    pub(super) fn read(&self) -> &[f32] {
        let words = self.layout.size() / size_of::<f32>();
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), words) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // As it was allocated.
        unsafe { alloc::dealloc(self.memory.as_ptr().cast(), self.layout) }
    }
}

/// A pool in the arena.
#[derive(Debug, Clone, Copy)]
pub(super) struct Map {
    /// Height and width.
    pub side: usize,
    /// Pixels from one row to the next.
    pub row: usize,
    /// The first pixel within a plane.
    pub origin: usize,
    /// Words from one plane to the next.
    pub plane: usize,
    /// First word of the pool.
    base: usize,
}

impl Map {
    /// Pixels from the first to the last one, with what lies between rows.
    pub(super) fn run(&self) -> usize {
        (self.side - 1) * self.row + self.side
    }

    /// Whether a vector of `lanes` pixels would be filled by no map.
    pub(super) fn is_small(&self, lanes: usize) -> bool {
        self.side * self.side < lanes
    }
}

/// All pools in an arena for groups of `lanes` images.
#[derive(Debug)]
pub(super) struct Layout {
    pub lanes: usize,
    maps: Vec<Map>,
    /// Words of all maps.
    pub words: usize,
}

impl Layout {
    /// A layout for vectors of `vector` words.
    pub(super) fn new(pools: &[Pool], lanes: usize, vector: usize) -> Layout {
        let mut words = 0;
        let mut maps = Vec::with_capacity(pools.len());
        for pool in pools {
            let row = pool.side + pool.padding;
            let pixels = (pool.side + 2 * pool.padding) * row + pool.padding;
            let origin = pool.padding * row + pool.padding;
            let mut map = Map { side: pool.side, row, origin, plane: 0, base: words };
            // The last vector of a single image's map must not reach into the next map's pixels.
            let end = match lanes {
                1 if !map.is_small(vector) => origin + map.run().next_multiple_of(vector),
                _ => 0,
            };
            // An odd number: planes a power of two apart would fall on few sets of the cache.
            map.plane = (pixels.max(end) | 1) * lanes;
            maps.push(map);
            words += (map.plane * pool.planes).next_multiple_of(16);
        }
        words += SLACK * lanes;
        Layout { lanes, maps, words }
    }

    #[inline]
    pub(super) fn map(&self, slice: Slice) -> Map {
        self.maps[slice.pool]
    }

    /// The first word of a slice's plane, before its zeros.
    #[inline]
    pub(super) fn plane(&self, slice: Slice, plane: usize) -> usize {
        let map = &self.maps[slice.pool];
        map.base + (slice.first + plane) * map.plane
    }

    /// The word of the first image at a pixel.
    #[inline]
    pub(super) fn pixel(&self, slice: Slice, plane: usize, y: usize, x: usize) -> usize {
        let map = &self.maps[slice.pool];
        self.plane(slice, plane) + (map.origin + y * map.row + x) * self.lanes
    }
}
