//! The loop of [`gemm`](super::gemm) for a single image's maps of few pixels: the lanes of a vector
//! are output channels, so no lane is empty where a map has fewer pixels than lanes, and a stride
//! costs nothing.

use std::mem::MaybeUninit;

use super::gemm::{Product, parts};
use super::simd::{Simd, activate};
use super::units::Activation;

/// Weights `[rows][taps]` as the loop reads them: block by block of up to `most` vectors of rows, in
/// each tap by tap; and the biases. Rows of zeros fill the last vector.
pub(super) fn pack_channels(
    weights: &[f32],
    bias: &[f32],
    lanes: usize,
    most: usize,
) -> (Vec<f32>, Vec<f32>) {
    let (rows, taps) = (bias.len(), weights.len() / bias.len());
    let filled = rows.next_multiple_of(lanes);
    let mut packed = Vec::with_capacity(filled * taps);
    for (first, count) in parts(filled / lanes, most) {
        for tap in 0..taps {
            let block = first * lanes..(first + count) * lanes;
            packed
                .extend(block.map(|row| if row < rows { weights[row * taps + tap] } else { 0.0 }));
        }
    }
    let mut biases = bias.to_vec();
    biases.resize(filled, 0.0);
    (packed, biases)
}

/// Writes the product into the arena, with output channels in the lanes.
///
/// # Safety
/// Every source and target, with every tap and row added, lies in the arena; the weights are packed
/// for the lanes and blocks of `S`, whose instructions are there.
#[inline(always)]
pub(super) unsafe fn multiply_channels<S: Simd>(arena: *mut f32, product: &Product) {
    let pixels = product.sources.len();
    for (first, vectors) in parts(product.bias.len() / S::LANES, S::PIXELS.len()) {
        let mut at = 0;
        while at < pixels {
            at += unsafe { tile::<S>(arena, product, (first, vectors), (at, pixels - at)) };
        }
    }
}

/// Computes some of the pixels that are left; returns how many.
#[inline(always)]
unsafe fn tile<S: Simd>(
    arena: *mut f32,
    product: &Product,
    (first, vectors): (usize, usize),
    (at, left): (usize, usize),
) -> usize {
    let most = S::PIXELS[vectors - 1];
    let pixels = [most, 4, 1].into_iter().find(|&pixels| pixels <= left.min(most)).unwrap_or(1);
    macro_rules! choose {
        ($($vectors:literal: $($pixels:literal)*),*) => {
            match (vectors, pixels) {
                $($(
                    ($vectors, $pixels) if S::PIXELS.get($vectors - 1) >= Some(&$pixels) => {
                        unsafe { registers::<S, $pixels, $vectors>(arena, product, first, at) }
                    }
                )*)*
                _ => unreachable!("no tile of {pixels} pixels"),
            }
        };
    }
    choose!(1: 8 6 4 1, 2: 6 4 2 1, 3: 6 4 1, 4: 4 1);
    pixels
}

// Indices of fixed arrays, which become registers once the loops are unrolled.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
unsafe fn registers<S: Simd, const P: usize, const V: usize>(
    arena: *mut f32,
    product: &Product,
    first: usize,
    at: usize,
) {
    unsafe {
        let taps = product.taps;
        let mut weight = product.weights.as_ptr().add(first * S::LANES * taps.len());
        let bias = product.bias.as_ptr().add(first * S::LANES);
        let input = arena.add(product.base).cast_const();
        let source: [*const f32; P] =
            std::array::from_fn(|p| input.add(product.sources[at + p] as usize));
        let mut sums: [[S::V; V]; P] =
            [std::array::from_fn(|v| S::load(bias.add(v * S::LANES))); P];
        for &tap in taps {
            let w: [S::V; V] = std::array::from_fn(|v| S::load(weight.add(v * S::LANES)));
            for p in 0..P {
                let x = S::splat(*source[p].offset(tap as isize));
                for v in 0..V {
                    sums[p][v] = S::multiply_add(w[v], x, sums[p][v]);
                }
            }
            weight = weight.add(V * S::LANES);
        }
        if product.activation != Activation::None {
            for p in 0..P {
                for v in 0..V {
                    sums[p][v] = activate::<S>(sums[p][v], product.activation);
                }
            }
        }
        for p in 0..P {
            write::<S, V>(arena, product, first, product.targets[at + p], sums[p]);
        }
    }
}

/// Writes the channels of a pixel, each to its plane.
#[inline(always)]
unsafe fn write<S: Simd, const V: usize>(
    arena: *mut f32,
    product: &Product,
    first: usize,
    target: u32,
    sums: [S::V; V],
) {
    let each = product.of_plane::<S>();
    let planes = S::LANES / each;
    let mut words = MaybeUninit::<[f32; 64]>::uninit();
    let words = words.as_mut_ptr().cast::<f32>();
    for (v, &sum) in sums.iter().enumerate() {
        unsafe {
            let to = words.add(v * planes);
            if each == 2 { S::narrow(to, sum) } else { S::store(to, sum) }
        }
    }
    let rows = &product.rows[first * planes..];
    for (i, &row) in rows.iter().take(V * planes).enumerate() {
        unsafe { *arena.add((row + target) as usize) = *words.add(i) };
    }
}
