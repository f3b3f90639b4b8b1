//! What is no product: element by element, with pixels and planes as they come.

use super::maps::Layout;
use super::places::Slice;
use super::planes::Plane;
use super::simd::Simd;
use super::units::{Activation, Window};

/// First words of each row of a slice's plane; a row has `side * lanes` words.
fn rows(layout: &Layout, slice: Slice, plane: usize) -> impl Iterator<Item = usize> + '_ {
    (0..layout.map(slice).side).map(move |y| layout.pixel(slice, plane, y, 0))
}

/// The value, moved into the range; what is not a number stays.
#[inline(always)]
fn within(value: f32, (least, most): (f32, f32)) -> f32 {
    let value = if value < least { least } else { value };
    if value > most { most } else { value }
}

#[inline(always)]
pub(super) fn affine<S: Simd>(
    layout: &Layout,
    arena: &mut [f32],
    (input, output): (Slice, Slice),
    (scale, shift, activation): (&[[f32; 2]], &[[f32; 2]], Activation),
) {
    let length = layout.map(input).side * layout.lanes;
    let range = activation.range();
    for plane in 0..input.planes {
        let (scale, shift) = (scale[plane], shift[plane]);
        for (from, to) in rows(layout, input, plane).zip(rows(layout, output, plane)) {
            let (from, to) = two_rows(arena, from, to, length);
            for (to, &from) in to.iter_mut().zip(from) {
                let [a, b] = S::split(from);
                let values = [a * scale[0] + shift[0], b * scale[1] + shift[1]];
                *to = S::join(values.map(|value| within(value, range)));
            }
        }
    }
}

#[inline(always)]
pub(super) fn add<S: Simd>(
    layout: &Layout,
    arena: &mut [f32],
    (a, b, output): (Slice, Slice, Slice),
    activation: Activation,
) {
    let length = layout.map(a).side * layout.lanes;
    let range = activation.range();
    copy(layout, arena, a, output);
    for plane in 0..a.planes {
        for (from, to) in rows(layout, b, plane).zip(rows(layout, output, plane)) {
            let (from, to) = two_rows(arena, from, to, length);
            for (to, &from) in to.iter_mut().zip(from) {
                let (a, b) = (S::split(*to), S::split(from));
                *to = S::join([a[0] + b[0], a[1] + b[1]].map(|value| within(value, range)));
            }
        }
    }
}

#[inline(always)]
pub(super) fn copy(layout: &Layout, arena: &mut [f32], input: Slice, output: Slice) {
    let length = layout.map(input).side * layout.lanes;
    for plane in 0..input.planes {
        for (from, to) in rows(layout, input, plane).zip(rows(layout, output, plane)) {
            arena.copy_within(from..from + length, to);
        }
    }
}

/// A row to read and another one to write.
#[inline(always)]
fn two_rows(arena: &mut [f32], from: usize, to: usize, length: usize) -> (&[f32], &mut [f32]) {
    if from < to {
        let (low, high) = arena.split_at_mut(to);
        (&low[from..from + length], &mut high[..length])
    } else {
        let (low, high) = arena.split_at_mut(from);
        (&high[..length], &mut low[to..to + length])
    }
}

#[inline(always)]
pub(super) fn max_pool<S: Simd, const LANES: usize>(
    layout: &Layout,
    arena: &mut [f32],
    input: Slice,
    output: Slice,
    window: Window,
) {
    let (side, from_side) = (layout.map(output).side, layout.map(input).side);
    // Rows or columns of the window at output `at` that lie inside.
    let inside = |at: usize| {
        let first = at * window.stride;
        let end = (first + window.kernel - window.padding).min(from_side);
        first.saturating_sub(window.padding)..end
    };
    for plane in 0..output.planes {
        for y in 0..side {
            for x in 0..side {
                let mut most = [[f32::NEG_INFINITY; 2]; LANES];
                for iy in inside(y) {
                    for ix in inside(x) {
                        let at = layout.pixel(input, plane, iy, ix);
                        for (most, &word) in most.iter_mut().zip(&arena[at..at + LANES]) {
                            let values = S::split(word);
                            for (most, value) in most.iter_mut().zip(values) {
                                let more = value > *most || value.is_nan();
                                *most = if more { value } else { *most };
                            }
                        }
                    }
                }
                let at = layout.pixel(output, plane, y, x);
                write(&mut arena[at..at + LANES], &most, S::join);
            }
        }
    }
}

#[inline(always)]
pub(super) fn avg_pool<S: Simd, const LANES: usize>(
    layout: &Layout,
    arena: &mut [f32],
    (input, output): (Slice, Slice),
    kernel: usize,
    floats: Option<&[Plane]>,
) {
    let side = layout.map(output).side;
    let pixels = (kernel * kernel) as f32;
    for plane in 0..input.planes {
        for y in 0..side {
            for x in 0..side {
                let mut sums = [[0.0; 2]; LANES];
                for iy in y * kernel..(y + 1) * kernel {
                    for ix in x * kernel..(x + 1) * kernel {
                        let at = layout.pixel(input, plane, iy, ix);
                        for (sum, &word) in sums.iter_mut().zip(&arena[at..at + LANES]) {
                            let [a, b] = S::split(word);
                            *sum = [sum[0] + a, sum[1] + b];
                        }
                    }
                }
                let Some(planes) = floats else {
                    let at = layout.pixel(output, plane, y, x);
                    let mean = |sum: [f32; 2]| S::join(sum.map(|sum| sum / pixels));
                    write(&mut arena[at..at + LANES], &sums, mean);
                    continue;
                };
                for (half, channel) in planes[plane].iter().enumerate() {
                    let Some(channel) = *channel else { continue };
                    let at = layout.pixel(output, channel, y, x);
                    write(&mut arena[at..at + LANES], &sums, |sum| sum[half] / pixels);
                }
            }
        }
    }
}

#[inline(always)]
fn write(words: &mut [f32], values: &[[f32; 2]], word: impl Fn([f32; 2]) -> f32) {
    for (to, &value) in words.iter_mut().zip(values) {
        *to = word(value);
    }
}

#[inline(always)]
pub(super) fn shortcut(
    layout: &Layout,
    arena: &mut [f32],
    input: Slice,
    output: Slice,
    stride: usize,
) {
    let side = layout.map(output).side;
    for plane in 0..output.planes {
        for y in 0..side {
            for x in 0..side {
                let to = layout.pixel(output, plane, y, x);
                if plane < input.planes {
                    let from = layout.pixel(input, plane, y * stride, x * stride);
                    arena.copy_within(from..from + layout.lanes, to);
                } else {
                    arena[to..to + layout.lanes].fill(0.0);
                }
            }
        }
    }
}
