//! The one loop that convolutions and linear layers are: sums over "taps" (an input channel at an
//! offset), for a block of output channels by a few vectors of pixels held in registers.

use super::simd::Simd;

/// Most output channels of a register block.
pub(super) const ROWS: usize = 6;

/// Sizes of the blocks of rows that `rows` output channels are cut into: few, and of like size.
pub(super) fn blocks(rows: usize) -> Vec<usize> {
    let count = rows.div_ceil(ROWS).max(1);
    (0..count).map(|block| rows / count + usize::from(block < rows % count)).collect()
}

/// Weights `[rows][taps]` as the loop reads them: block by block, in each tap by tap.
pub(super) fn pack(weights: &[f32], rows: usize) -> Vec<f32> {
    let taps = weights.len() / rows;
    let mut packed = Vec::with_capacity(weights.len());
    let mut first = 0;
    for block in blocks(rows) {
        for tap in 0..taps {
            packed.extend((first..first + block).map(|row| weights[row * taps + tap]));
        }
        first += block;
    }
    packed
}

/// A matrix product of packed weights with vectors gathered from an arena. All offsets count
/// floats.
pub(super) struct Product<'a> {
    /// See [`pack`].
    pub weights: &'a [f32],
    /// One a row.
    pub bias: &'a [f32],
    /// Where each row is written, without the vector's own place.
    pub rows: &'a [u32],
    /// Where each tap is read, relative to the vector's place.
    pub taps: &'a [i32],
    /// Where each vector is read.
    pub sources: &'a [u32],
    /// Where each vector is written.
    pub targets: &'a [u32],
    /// Bits to keep of each vector; empty = all.
    pub masks: &'a [f32],
    /// Whether negative results become 0.
    pub relu: bool,
}

/// Writes the product into the arena.
///
/// # Safety
/// Every source and target, with every tap and row added, has a whole vector in the arena; the
/// instructions of `S` are there.
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd>(arena: *mut f32, product: &Product) {
    let blocks = blocks(product.rows.len());
    let vectors = product.sources.len();
    // Many weights and few vectors: each weight is fetched once. Else each vector is.
    if vectors <= 16 {
        let mut first = 0;
        for &rows in &blocks {
            for at in (0..vectors).step_by(S::COLUMNS) {
                unsafe { block::<S>(arena, product, first, rows, at) };
            }
            first += rows;
        }
    } else {
        for at in (0..vectors).step_by(S::COLUMNS) {
            let mut first = 0;
            for &rows in &blocks {
                unsafe { block::<S>(arena, product, first, rows, at) };
                first += rows;
            }
        }
    }
}

#[inline(always)]
unsafe fn block<S: Simd>(arena: *mut f32, product: &Product, first: usize, rows: usize, at: usize) {
    let columns = (product.sources.len() - at).min(S::COLUMNS);
    macro_rules! choose {
        ($($rows:literal)*) => {
            match (rows, columns) {
                $(
                    ($rows, 3) => unsafe { registers::<S, $rows, 3>(arena, product, first, at) },
                    ($rows, 2) => unsafe { registers::<S, $rows, 2>(arena, product, first, at) },
                    ($rows, _) => unsafe { registers::<S, $rows, 1>(arena, product, first, at) },
                )*
                _ => unreachable!("a block has 1 to {ROWS} rows"),
            }
        };
    }
    choose!(1 2 3 4 5 6);
}

// Indices of fixed arrays, which become registers once the loops are unrolled.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
unsafe fn registers<S: Simd, const M: usize, const N: usize>(
    arena: *mut f32,
    product: &Product,
    first: usize,
    at: usize,
) {
    unsafe {
        let taps = product.taps;
        let mut weight = product.weights.as_ptr().add(first * taps.len());
        let source: [*const f32; N] =
            std::array::from_fn(|n| arena.add(product.sources[at + n] as usize).cast_const());
        let mut sums: [[S::V; N]; M] =
            std::array::from_fn(|m| [S::splat(product.bias[first + m]); N]);
        for &tap in taps {
            let x: [S::V; N] = std::array::from_fn(|n| S::load(source[n].offset(tap as isize)));
            for m in 0..M {
                let w = S::splat(*weight.add(m));
                for n in 0..N {
                    sums[m][n] = S::multiply_add(w, x[n], sums[m][n]);
                }
            }
            weight = weight.add(M);
        }
        for m in 0..M {
            let row = arena.add(product.rows[first + m] as usize);
            for n in 0..N {
                let mut y = sums[m][n];
                if product.relu {
                    y = S::relu(y);
                }
                if !product.masks.is_empty() {
                    let mask = product.masks.as_ptr().add((at + n) * S::LANES);
                    y = S::and(y, S::load(mask));
                }
                S::store(row.add(product.targets[at + n] as usize), y);
            }
        }
    }
}
