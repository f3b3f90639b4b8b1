//! How an arena is laid out: for each pool its channels one after another, each a square map with
//! zeros around it, each pixel the values of all images of a group side by side.
//!
//! The zeros right of a row are also those left of the next one. They are written never, or with
//! zeros, so an arena that began as zeros can be used again and again.

use std::alloc;
use std::ptr::NonNull;

use super::places::{Pool, Slice};
use crate::heap::prefer_huge_pages;

/// Floats after a map of a single image that a vector's end may run over.
const SLACK: usize = 16;

/// The values of one group of images.
pub(super) struct Arena {
    memory: NonNull<f32>,
    layout: alloc::Layout,
}

// The memory is its own and holds plain numbers.
unsafe impl Send for Arena {}

impl Arena {
    /// `floats` zeros, beginning at a cache line, or a huge page where they fill some.
    pub(super) fn new(floats: usize) -> Arena {
        const LINE: usize = 64;
        const HUGE: usize = 2 << 20;
        let bytes = (floats * size_of::<f32>()).max(1);
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

    /// All floats.
    pub(super) fn floats(&mut self) -> &mut [f32] {
        let floats = self.layout.size() / size_of::<f32>();
        // All of them were written when the arena was made.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr(), floats) }
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
    /// The first pixel within a channel.
    pub origin: usize,
    /// Floats from one channel to the next.
    pub channel: usize,
    /// First float of the pool.
    base: usize,
}

/// All pools in an arena for groups of `lanes` images.
#[derive(Debug)]
pub(super) struct Layout {
    pub lanes: usize,
    maps: Vec<Map>,
    /// Floats of all maps.
    pub floats: usize,
}

impl Layout {
    pub(super) fn new(pools: &[Pool], lanes: usize) -> Layout {
        let mut floats = 0;
        let mut maps = Vec::with_capacity(pools.len());
        for pool in pools {
            let row = pool.side + pool.padding;
            let pixels = (pool.side + 2 * pool.padding) * row + pool.padding;
            let slack = if lanes == 1 { SLACK } else { 0 };
            // An odd number: channels a power of two apart would fall on few sets of the cache.
            let channel = ((pixels + slack) | 1) * lanes;
            maps.push(Map {
                side: pool.side,
                row,
                origin: pool.padding * row + pool.padding,
                channel,
                base: floats,
            });
            floats += (channel * pool.channels).next_multiple_of(16);
        }
        floats += SLACK * lanes;
        Layout { lanes, maps, floats }
    }

    pub(super) fn map(&self, slice: Slice) -> Map {
        self.maps[slice.pool]
    }

    /// The first float of a slice's channel, before its zeros.
    pub(super) fn channel(&self, slice: Slice, channel: usize) -> usize {
        let map = &self.maps[slice.pool];
        map.base + (slice.first + channel) * map.channel
    }

    /// The float of the first image at a pixel.
    pub(super) fn pixel(&self, slice: Slice, channel: usize, y: usize, x: usize) -> usize {
        let map = &self.maps[slice.pool];
        self.channel(slice, channel) + (map.origin + y * map.row + x) * self.lanes
    }
}
