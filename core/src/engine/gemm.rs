//! The one loop that convolutions and linear layers are: sums over "taps" (an input plane at an
//! offset). Here a block of output channels by a few vectors of pixels is held in registers; see
//! [`channels`](super::channels) for maps of few pixels.

use super::simd::{Simd, limit, limits};
use super::units::Activation;

/// Most output channels of a register block.
pub(super) const ROWS: usize = 6;

/// Cuts `0..count` into as few parts of at most `most` as possible, of like size: first and length
/// of each.
#[inline(always)]
pub(super) fn parts(count: usize, most: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    let number = count.div_ceil(most).max(1);
    let (size, rest) = (count / number, count % number);
    (0..number).map(move |part| (part * size + part.min(rest), size + usize::from(part < rest)))
}

/// Weights `[rows][taps]` as the loop reads them: block by block, in each tap by tap. An output plane
/// holds `each` rows.
pub(super) fn pack(weights: &[f32], rows: usize, each: usize) -> Vec<f32> {
    let taps = weights.len() / rows;
    let mut packed = Vec::with_capacity(weights.len());
    for (plane, planes) in parts(rows / each, ROWS / each) {
        for tap in 0..taps {
            let block = plane * each..(plane + planes) * each;
            packed.extend(block.map(|row| weights[row * taps + tap]));
        }
    }
    packed
}

/// A matrix product of packed weights with words gathered from an arena. All offsets count words.
pub(super) struct Product<'a> {
    /// See [`pack`] and [`pack_channels`](super::channels::pack_channels).
    pub weights: &'a [f32],
    /// One for each output channel.
    pub bias: &'a [f32],
    /// Where each output plane is written, without the pixel's own place.
    pub rows: &'a [u32],
    /// First word of the first input plane.
    pub base: usize,
    /// Where each tap is read, relative to the pixel's place.
    pub taps: &'a [i32],
    /// Where each vector, or pixel, is read, relative to `base`.
    pub sources: &'a [u32],
    /// Where each vector, or pixel, is written within a plane.
    pub targets: &'a [u32],
    /// Bits to keep of each vector; empty = all.
    pub masks: &'a [f32],
    /// Most vectors of channels of a block, where channels are in the lanes.
    pub vectors: usize,
    /// What is done to each result.
    pub activation: Activation,
    /// Whether every output channel is a plane of floats, also where words are pairs.
    pub floats: bool,
}

impl Product<'_> {
    /// Output channels of a plane.
    #[inline(always)]
    pub(super) fn of_plane<S: Simd>(&self) -> usize {
        if S::PAIRED && !self.floats { 2 } else { 1 }
    }
}

/// Writes the product into the arena, with pixels in the lanes.
///
/// # Safety
/// Every source and target, with every tap and row added, has a whole vector in the arena; the
/// instructions of `S` are there.
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd>(arena: *mut f32, product: &Product) {
    let each = product.of_plane::<S>();
    let blocks = parts(product.rows.len(), ROWS / each);
    let vectors = product.sources.len();
    // Many weights and few vectors: each weight is fetched once. Else each vector is.
    if vectors <= 16 {
        for (plane, planes) in blocks {
            for at in (0..vectors).step_by(S::COLUMNS) {
                unsafe { block::<S>(arena, product, plane, planes * each, at) };
            }
        }
    } else {
        for at in (0..vectors).step_by(S::COLUMNS) {
            for (plane, planes) in blocks.clone() {
                unsafe { block::<S>(arena, product, plane, planes * each, at) };
            }
        }
    }
}

#[inline(always)]
unsafe fn block<S: Simd>(arena: *mut f32, product: &Product, plane: usize, rows: usize, at: usize) {
    let columns = (product.sources.len() - at).min(S::COLUMNS);
    macro_rules! choose {
        ($($rows:literal)*) => {
            match (rows, columns) {
                $(
                    ($rows, 3) => unsafe { registers::<S, $rows, 3>(arena, product, plane, at) },
                    ($rows, 2) => unsafe { registers::<S, $rows, 2>(arena, product, plane, at) },
                    ($rows, _) => unsafe { registers::<S, $rows, 1>(arena, product, plane, at) },
                )*
                _ => unreachable!("a block has 1 to {ROWS} rows"),
            }
        };
    }
    choose!(1 2 3 4 5 6);
}

// Indices of fixed arrays, which become registers once the loops are unrolled. No closures:
// what the compiler does not inline it compiles without the instructions of `S`.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
unsafe fn registers<S: Simd, const M: usize, const N: usize>(
    arena: *mut f32,
    product: &Product,
    plane: usize,
    at: usize,
) {
    unsafe {
        let taps = product.taps;
        let each = product.of_plane::<S>();
        let first = plane * each;
        let mut weight = product.weights.as_ptr().add(first * taps.len());
        let input = arena.add(product.base).cast_const();
        let mut source = [input; N];
        for n in 0..N {
            source[n] = input.add(product.sources[at + n] as usize);
        }
        let mut sums = [[S::splat(0.0); N]; M];
        for m in 0..M {
            sums[m] = [S::splat(product.bias[first + m]); N];
        }
        let mut x = [S::splat(0.0); N];
        for &tap in taps {
            for n in 0..N {
                x[n] = S::load(source[n].offset(tap as isize));
            }
            for m in 0..M {
                let w = S::splat(*weight.add(m));
                for n in 0..N {
                    sums[m][n] = S::multiply_add(w, x[n], sums[m][n]);
                }
            }
            weight = weight.add(M);
        }
        let limits = limits::<S>(product.activation);
        for m in 0..M {
            for n in 0..N {
                sums[m][n] = limit::<S>(sums[m][n], limits);
            }
        }
        if !product.masks.is_empty() {
            for n in 0..N {
                let mask = S::load(product.masks.as_ptr().add((at + n) * S::LANES));
                for m in 0..M {
                    sums[m][n] = S::and(sums[m][n], mask);
                }
            }
        }
        for m in 0..M {
            if m % each == 1 {
                continue;
            }
            let row = arena.add(product.rows[plane + m / each] as usize);
            for n in 0..N {
                let mut y = sums[m][n];
                if each == 2 {
                    y = S::pair(y, sums[(m + 1) % M][n]);
                }
                S::store(row.add(product.targets[at + n] as usize), y);
            }
        }
    }
}
