//! The loop of [`gemm`](super::gemm) for a single image's maps of few pixels: the lanes of a vector
//! are output channels, so no lane is empty where a map has fewer pixels than lanes, and a stride
//! costs nothing.

use std::mem::MaybeUninit;

use super::gemm::{Product, parts};
use super::simd::{Simd, limit, limits};

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

/// Words of weights that all pixels read while the next as many are fetched: 512 KiB, since the second
/// cache of a server's processor holds 1 MiB or more.
const BLOCK: usize = 128 * 1024;

/// Pixels that are one tile on a processor with vectors of its own.
const FEW: usize = 4;

/// Vectors of channels of a block, up to `most`, where a vector has so many words of weights.
pub(super) fn block_vectors(pixels: usize, vector: usize, most: usize) -> usize {
    // The weights for a single tile are read once, so they need no room.
    if pixels <= FEW { most } else { (BLOCK / vector).clamp(1, most) }
}

/// Weights that will be read soon. One image reads each weight few times, and most of them come from
/// main memory; so while the tiles of a block are computed, they fetch the next block bit by bit.
struct Ahead {
    first: *const f32,
    /// How far it is fetched, in parts of a byte: see [`PARTS`].
    at: usize,
    /// As much for each tap.
    step: usize,
}

/// Parts of a byte, since many tiles have less than a byte each to fetch.
const PARTS: usize = 256;

impl Ahead {
    /// For a block of `vectors` vectors of channels from the `first` on.
    #[inline(always)]
    fn new<S: Simd>(product: &Product, (first, vectors): (usize, usize), tiles: usize) -> Ahead {
        let vector = S::LANES * product.taps.len();
        let words = match tiles {
            // The block itself, two pages on.
            1 => first * vector + 2048,
            _ => (first + vectors) * vector,
        };
        let bytes = vectors * S::LANES * size_of::<f32>();
        let first = product.weights.as_ptr().wrapping_add(words);
        Ahead { first, at: 0, step: bytes * PARTS / tiles.max(1) }
    }

    /// Fetches a tap's share, at most `V` lines of the cache.
    #[inline(always)]
    unsafe fn fetch<S: Simd, const V: usize>(&mut self) {
        let from = self.first.wrapping_byte_add(self.at / PARTS);
        unsafe { S::prefetch(from) };
        for line in 1..V {
            if line * 64 * PARTS < self.step {
                unsafe { S::prefetch(from.wrapping_byte_add(line * 64)) };
            }
        }
        self.at += self.step;
    }
}

/// Writes the product into the arena, with output channels in the lanes.
///
/// # Safety
/// Every source and target, with every tap and row added, lies in the arena; the weights are packed
/// for the lanes of `S`, whose instructions are there, and for [`Product::vectors`].
#[inline(always)]
pub(super) unsafe fn multiply_channels<S: Simd>(arena: *mut f32, product: &Product) {
    let pixels = product.sources.len();
    for (first, vectors) in parts(product.bias.len() / S::LANES, product.vectors) {
        let (whole, rest) = (pixels / S::PIXELS[vectors - 1], pixels % S::PIXELS[vectors - 1]);
        let tiles = whole + rest / FEW + rest % FEW;
        let mut ahead = Ahead::new::<S>(product, (first, vectors), tiles);
        let mut at = 0;
        while at < pixels {
            let left = (at, pixels - at);
            at += unsafe { tile::<S>(arena, product, (first, vectors), left, &mut ahead) };
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
    ahead: &mut Ahead,
) -> usize {
    let most = S::PIXELS[vectors - 1];
    let pixels = [most, FEW, 1].into_iter().find(|&pixels| pixels <= left.min(most)).unwrap_or(1);
    macro_rules! choose {
        ($($vectors:literal: $($pixels:literal)*),*) => {
            match (vectors, pixels) {
                $($(
                    ($vectors, $pixels) if S::PIXELS.get($vectors - 1) >= Some(&$pixels) => {
                        unsafe { registers::<S, $pixels, $vectors>(arena, product, first, at, ahead) }
                    }
                )*)*
                _ => unreachable!("no tile of {pixels} pixels"),
            }
        };
    }
    choose!(1: 8 6 4 1, 2: 8 6 4 2 1, 3: 6 4 1, 4: 4 1);
    pixels
}

// As in `gemm`: indices of fixed arrays, no closures.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
unsafe fn registers<S: Simd, const P: usize, const V: usize>(
    arena: *mut f32,
    product: &Product,
    first: usize,
    at: usize,
    ahead: &mut Ahead,
) {
    const { assert!(P * V * S::LANES <= MOST_WORDS) };
    unsafe {
        let taps = product.taps;
        let mut weight = product.weights.as_ptr().add(first * S::LANES * taps.len());
        let bias = product.bias.as_ptr().add(first * S::LANES);
        let input = arena.add(product.base).cast_const();
        let mut source = [input; P];
        for p in 0..P {
            source[p] = input.add(product.sources[at + p] as usize);
        }
        let mut sums = [[S::splat(0.0); V]; P];
        for p in 0..P {
            for v in 0..V {
                sums[p][v] = S::load(bias.add(v * S::LANES));
            }
        }
        let mut w = [S::splat(0.0); V];
        for &tap in taps {
            ahead.fetch::<S, V>();
            for v in 0..V {
                w[v] = S::load(weight.add(v * S::LANES));
            }
            for p in 0..P {
                let x = S::splat(*source[p].offset(tap as isize));
                for v in 0..V {
                    sums[p][v] = S::multiply_add(w[v], x, sums[p][v]);
                }
            }
            weight = weight.add(V * S::LANES);
        }
        let limits = limits::<S>(product.activation);
        for p in 0..P {
            for v in 0..V {
                sums[p][v] = limit::<S>(sums[p][v], limits);
            }
        }
        // Through memory at one go: with a long loop that indexes them, sums would live there all along.
        let each = product.of_plane::<S>();
        let planes = S::LANES / each;
        let mut words = MaybeUninit::<[f32; MOST_WORDS]>::uninit();
        let words = words.as_mut_ptr().cast::<f32>();
        for p in 0..P {
            for v in 0..V {
                let to = words.add((p * V + v) * planes);
                if each == 2 { S::narrow(to, sums[p][v]) } else { S::store(to, sums[p][v]) }
            }
        }
        for p in 0..P {
            write(arena, product, first * planes, at + p, words.add(p * V * planes), V * planes);
        }
    }
}

/// Words of the largest tile: 6 pixels of 3 vectors of 16 channels.
const MOST_WORDS: usize = 3 * 16 * 6;

/// Writes up to `count` channels of a pixel, each to its plane.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
unsafe fn write(
    arena: *mut f32,
    product: &Product,
    first: usize,
    at: usize,
    words: *const f32,
    count: usize,
) {
    let rows = &product.rows[first..];
    let target = product.targets[at];
    for i in 0..rows.len().min(count) {
        unsafe { *arena.add((rows[i] + target) as usize) = *words.add(i) };
    }
}
