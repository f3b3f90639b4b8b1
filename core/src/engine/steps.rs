//! What is no product: element by element, with pixels and planes as they come. A row has
//! `side * lanes` words.

use super::maps::Layout;
use super::places::Slice;
use super::planes::Plane;
use super::simd::Simd;
use super::units::Activation;

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
        for y in 0..layout.map(input).side {
            let from = layout.pixel(input, plane, y, 0);
            let to = layout.pixel(output, plane, y, 0);
            let (from, to) = two_rows(arena, from, to, length);
            for (to, &from) in to.iter_mut().zip(from) {
                let [a, b] = S::split(from);
                let values = [a * scale[0] + shift[0], b * scale[1] + shift[1]];
                *to = S::join([within(values[0], range), within(values[1], range)]);
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
        for y in 0..layout.map(b).side {
            let from = layout.pixel(b, plane, y, 0);
            let to = layout.pixel(output, plane, y, 0);
            let (from, to) = two_rows(arena, from, to, length);
            for (to, &from) in to.iter_mut().zip(from) {
                let (a, b) = (S::split(*to), S::split(from));
                let sums = [within(a[0] + b[0], range), within(a[1] + b[1], range)];
                *to = S::join(sums);
            }
        }
    }
}

#[inline(always)]
pub(super) fn copy(layout: &Layout, arena: &mut [f32], input: Slice, output: Slice) {
    let length = layout.map(input).side * layout.lanes;
    for plane in 0..input.planes {
        for y in 0..layout.map(input).side {
            let from = layout.pixel(input, plane, y, 0);
            let to = layout.pixel(output, plane, y, 0);
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
                        let words = &arena[at..at + LANES];
                        for i in 0..LANES {
                            let [a, b] = S::split(words[i]);
                            sums[i] = [sums[i][0] + a, sums[i][1] + b];
                        }
                    }
                }
                let Some(planes) = floats else {
                    let at = layout.pixel(output, plane, y, x);
                    let mean = |sum: [f32; 2]| S::join([sum[0] / pixels, sum[1] / pixels]);
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
