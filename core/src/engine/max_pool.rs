//! The maximum over windows, row by row. A vector is one pixel of a group of images, or a run of
//! pixels of a single one. Windows end at the edge of a map.

use std::ops::Range;

use super::depthwise::strided;
use super::maps::Layout;
use super::places::Slice;
use super::simd::{Simd, store_first};
use super::units::Window;

/// Computes the maxima.
///
/// # Safety
/// Slices and layout are those of the arena; the instructions of `S` are there, and groups have as
/// many images as its vectors have words.
#[inline(always)]
pub(super) unsafe fn max_pool<S: Simd>(
    layout: &Layout,
    arena: &mut [f32],
    (input, output): (Slice, Slice),
    window: Window,
) {
    let (side, from_side) = (layout.map(output).side, layout.map(input).side);
    let arena = arena.as_mut_ptr();
    for plane in 0..output.planes {
        for y in 0..side {
            let rows = inside(y, from_side, window);
            let row = Row {
                from: unsafe { arena.add(layout.pixel(input, plane, rows.start, 0)) },
                to: unsafe { arena.add(layout.pixel(output, plane, y, 0)) },
                rows: rows.len(),
                pitch: layout.map(input).row * layout.lanes,
                sides: (from_side, side),
                window,
            };
            if layout.lanes > 1 {
                unsafe { row_of_group::<S>(&row) };
            } else {
                unsafe { row_of_image::<S>(&row) };
            }
        }
    }
}

/// Rows, or columns, of the window at output `at` that lie in a map of `side` pixels.
#[inline(always)]
fn inside(at: usize, side: usize, window: Window) -> Range<usize> {
    let first = at * window.stride;
    let end = (first + window.kernel - window.padding).min(side);
    first.saturating_sub(window.padding)..end
}

/// What a row of outputs is computed from.
struct Row {
    /// The first pixel of the first row in the windows.
    from: *const f32,
    to: *mut f32,
    /// Rows in the windows.
    rows: usize,
    /// Words from one row of the input to the next.
    pitch: usize,
    /// Of input and output.
    sides: (usize, usize),
    window: Window,
}

#[inline(always)]
unsafe fn row_of_group<S: Simd>(row: &Row) {
    for x in 0..row.sides.1 {
        unsafe {
            let mut most = S::splat(S::join([f32::NEG_INFINITY; 2]));
            for y in 0..row.rows {
                for ix in inside(x, row.sides.0, row.window) {
                    most = S::greater(most, S::load(row.from.add(y * row.pitch + ix * S::LANES)));
                }
            }
            S::store(row.to.add(x * S::LANES), most);
        }
    }
}

#[inline(always)]
unsafe fn row_of_image<S: Simd>(row: &Row) {
    let Window { kernel, stride, padding } = row.window;
    let (from_side, side) = row.sides;
    // Windows that lie in the map from left to right; of the others one pixel after another.
    let first = padding.div_ceil(stride).min(side);
    let end = (from_side + padding).checked_sub(kernel).map_or(0, |last| last / stride + 1);
    let end = end.clamp(first, side);
    for x in (0..first).chain(end..side) {
        unsafe { pixel::<S>(row, x) };
    }
    for x in (first..end).step_by(S::LANES) {
        let left = end - x;
        unsafe {
            let from = row.from.add(x * stride - padding);
            let mut most = S::splat(S::join([f32::NEG_INFINITY; 2]));
            for y in 0..row.rows {
                for kx in 0..kernel {
                    let taps = from.add(y * row.pitch + kx);
                    most = S::greater(most, strided::<S>(taps, stride, left));
                }
            }
            store_first::<S>(row.to.add(x), most, left);
        }
    }
}

#[inline(always)]
unsafe fn pixel<S: Simd>(row: &Row, x: usize) {
    let mut most = [f32::NEG_INFINITY; 2];
    for y in 0..row.rows {
        for ix in inside(x, row.sides.0, row.window) {
            let values = S::split(unsafe { *row.from.add(y * row.pitch + ix) });
            most = [greater(most[0], values[0]), greater(most[1], values[1])];
        }
    }
    unsafe { *row.to.add(x) = S::join(most) };
}

/// The greater of both, or what is not a number.
#[inline(always)]
fn greater(most: f32, value: f32) -> f32 {
    if value > most || value.is_nan() { value } else { most }
}
