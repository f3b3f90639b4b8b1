//! Depthwise convolutions: every channel by itself, row by row. A vector is one pixel of a group of
//! images, or a run of pixels of a single one. There are few products for each word that is read, so
//! the loop is as fast as memory.

use super::maps::Layout;
use super::pairs;
use super::places::Slice;
use super::planes::Plane;
use super::simd::{Simd, limit, limits, store_first};
use super::units::{Activation, Window};

/// A depthwise convolution in the arena.
pub(super) struct Depthwise {
    pub input: Slice,
    pub output: Slice,
    pub window: Window,
    /// See [`words`].
    pub weights: Vec<f32>,
    /// Of each plane's channels.
    pub bias: Vec<[f32; 2]>,
    pub activation: Activation,
}

/// Weights `[channels, k, k]` as words, plane by plane. Of pairs each channel has words of its own, in
/// which the other channel's weight is 0: the sum of both products is then its own.
pub(super) fn words(planes: &[Plane], weights: &[f32], channels: usize, paired: bool) -> Vec<f32> {
    let window = weights.len() / channels;
    let mut words = Vec::new();
    for [low, high] in planes {
        let of = |channel: &Option<usize>, place: usize| {
            channel.map_or(0.0, |channel| weights[channel * window + place])
        };
        if paired {
            words.extend((0..window).map(|place| pairs::join([of(low, place), 0.0])));
            words.extend((0..window).map(|place| pairs::join([0.0, of(high, place)])));
        } else {
            words.extend((0..window).map(|place| of(low, place)));
        }
    }
    words
}

/// Vectors that are computed together, so that what they share is read once.
const TOGETHER: usize = 4;

/// Computes the convolution.
///
/// # Safety
/// Slices and layout are those of the arena; the instructions of `S` are there, and groups have as
/// many images as its vectors have words.
#[inline(always)]
pub(super) unsafe fn depthwise<S: Simd>(layout: &Layout, arena: &mut [f32], step: &Depthwise) {
    let Window { kernel, stride, .. } = step.window;
    let is_group = layout.lanes > 1;
    let arena = arena.as_mut_ptr();
    // Constants for the usual ones, which unroll; 0 stands for any other number.
    match (kernel, stride, is_group) {
        (3, 1, true) => unsafe { planes::<S, 3, 1, true>(layout, arena, step) },
        (3, 2, true) => unsafe { planes::<S, 3, 2, true>(layout, arena, step) },
        (_, _, true) => unsafe { planes::<S, 0, 0, true>(layout, arena, step) },
        (3, 1, false) => unsafe { planes::<S, 3, 1, false>(layout, arena, step) },
        (3, 2, false) => unsafe { planes::<S, 3, 2, false>(layout, arena, step) },
        (_, _, false) => unsafe { planes::<S, 0, 0, false>(layout, arena, step) },
    }
}

/// What a row of outputs is computed from.
struct Row<'a> {
    /// The first tap of the first pixel.
    from: *const f32,
    to: *mut f32,
    /// Words from one row of the input to the next.
    pitch: usize,
    /// Pixels.
    side: usize,
    window: Window,
    weights: &'a [f32],
    bias: [f32; 2],
    activation: Activation,
}

#[inline(always)]
unsafe fn planes<S: Simd, const K: usize, const STRIDE: usize, const GROUP: bool>(
    layout: &Layout,
    arena: *mut f32,
    step: &Depthwise,
) {
    let (map, side) = (layout.map(step.input), layout.map(step.output).side);
    let Window { kernel, stride, padding } = step.window;
    let back = padding * (map.row + 1) * layout.lanes;
    let size = kernel * kernel * if S::PAIRED { 2 } else { 1 };
    for (plane, weights) in step.weights.chunks_exact(size).enumerate() {
        for y in 0..side {
            // The zeros around a map are at least as wide as the window's.
            let from = layout.pixel(step.input, plane, y * stride, 0) - back;
            let row = Row {
                from: unsafe { arena.add(from) },
                to: unsafe { arena.add(layout.pixel(step.output, plane, y, 0)) },
                pitch: map.row * layout.lanes,
                side,
                window: step.window,
                weights,
                bias: step.bias[plane],
                activation: step.activation,
            };
            unsafe { row_of_vectors::<S, K, STRIDE, GROUP>(&row) };
        }
    }
}

#[inline(always)]
unsafe fn row_of_vectors<S: Simd, const K: usize, const STRIDE: usize, const GROUP: bool>(
    row: &Row,
) {
    let vectors = if GROUP { row.side } else { row.side.div_ceil(S::LANES) };
    let mut at = 0;
    while at + TOGETHER <= vectors {
        unsafe { some::<S, K, STRIDE, GROUP, TOGETHER>(row, at) };
        at += TOGETHER;
    }
    while at < vectors {
        unsafe { some::<S, K, STRIDE, GROUP, 1>(row, at) };
        at += 1;
    }
}

/// `N` vectors from the `at`-th on.
// As in `gemm`: indices of fixed arrays, no closures.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
unsafe fn some<S: Simd, const K: usize, const STRIDE: usize, const GROUP: bool, const N: usize>(
    row: &Row,
    at: usize,
) {
    let kernel = if K == 0 { row.window.kernel } else { K };
    let stride = if STRIDE == 0 { row.window.stride } else { STRIDE };
    unsafe {
        let from = row.from.add(at * stride * S::LANES);
        let mut sums = [[S::splat(row.bias[0]), S::splat(row.bias[1])]; N];
        for ky in 0..kernel {
            let taps = from.add(ky * row.pitch);
            for kx in 0..kernel {
                let weight = row.weights.as_ptr().add(ky * kernel + kx);
                for n in 0..N {
                    let x = if GROUP {
                        S::load(taps.add((n * stride + kx) * S::LANES))
                    } else {
                        let left = row.side - (at + n) * S::LANES;
                        strided::<S>(taps.add(n * stride * S::LANES + kx), stride, left)
                    };
                    sums[n][0] = S::multiply_add(S::splat(*weight), x, sums[n][0]);
                    if S::PAIRED {
                        let high = S::splat(*weight.add(kernel * kernel));
                        sums[n][1] = S::multiply_add(high, x, sums[n][1]);
                    }
                }
            }
        }
        let limits = limits::<S>(row.activation);
        for n in 0..N {
            let [low, high] = [limit::<S>(sums[n][0], limits), limit::<S>(sums[n][1], limits)];
            let y = S::pair(low, high);
            let to = row.to.add((at + n) * S::LANES);
            let left = row.side - (at + n) * if GROUP { 1 } else { S::LANES };
            store_first::<S>(to, y, if GROUP { S::LANES } else { left });
        }
    }
}

/// A vector of every `stride`-th pixel, the first `left` of which lie in the map.
#[inline(always)]
pub(super) unsafe fn strided<S: Simd>(from: *const f32, stride: usize, left: usize) -> S::V {
    match stride {
        // Words behind the map, of which nothing is written; the arena's slack covers them.
        1 => unsafe { S::load(from) },
        2 => unsafe { S::load_evens(from) },
        _ => {
            let mut pixels = [0.0; 16];
            for (i, pixel) in pixels.iter_mut().take(S::LANES.min(left)).enumerate() {
                *pixel = unsafe { *from.add(i * stride) };
            }
            unsafe { S::load(pixels.as_ptr()) }
        }
    }
}
