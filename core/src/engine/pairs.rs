//! Pairs of channels in bfloat16: the lower half of a word is the even channel, the upper half the
//! odd one. Products are of pairs, sums are 32-bit floats.

use super::simd::{Portable, Simd};

/// The two channels of a word.
#[inline(always)]
pub(super) fn split(word: f32) -> [f32; 2] {
    let bits = word.to_bits();
    [f32::from_bits(bits << 16), f32::from_bits(bits & 0xffff_0000)]
}

/// The word of two channels, each rounded to the nearest bfloat16, ties to even.
#[inline(always)]
pub(super) fn join([low, high]: [f32; 2]) -> f32 {
    f32::from_bits(round(low) | round(high) << 16)
}

#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    if x.is_nan() {
        // Rounding could make an infinity of it.
        return bits >> 16 | 0x40;
    }
    (bits + 0x7fff + (bits >> 16 & 1)) >> 16
}

/// What `vdpbf16ps` does to one lane: the product of the odd channels is added to `sum` first, and
/// the result is rounded after each addition. (A product of two bfloat16 is exact.)
#[inline(always)]
pub(super) fn dot(a: f32, b: f32, sum: f32) -> f32 {
    let ([a_low, a_high], [b_low, b_high]) = (split(a), split(b));
    a_low * b_low + (a_high * b_high + sum)
}

/// Vectors that multiply pairs.
///
/// # Safety
/// As [`Simd`].
pub(super) unsafe trait Bf16: Simd {
    /// See [`dot`].
    unsafe fn dot(a: Self::V, b: Self::V, sum: Self::V) -> Self::V;
    /// See [`join`].
    unsafe fn join(low: Self::V, high: Self::V) -> Self::V;
    /// See [`split`].
    unsafe fn halves(v: Self::V) -> [Self::V; 2];
    /// Words of two channels whose numbers need no rounding.
    unsafe fn whole(halves: [Self::V; 2]) -> Self::V;
    /// Writes each two neighbouring floats as a pair.
    unsafe fn join_neighbours(to: *mut f32, v: Self::V);
}

/// On any machine.
unsafe impl Bf16 for Portable {
    #[inline(always)]
    unsafe fn dot(a: Self::V, b: Self::V, sum: Self::V) -> Self::V {
        let mut sums = sum;
        for i in 0..8 {
            sums[i] = dot(a[i], b[i], sum[i]);
        }
        sums
    }
    #[inline(always)]
    unsafe fn join(low: Self::V, high: Self::V) -> Self::V {
        let mut words = low;
        for i in 0..8 {
            words[i] = join([low[i], high[i]]);
        }
        words
    }
    #[inline(always)]
    unsafe fn halves(v: Self::V) -> [Self::V; 2] {
        let mut halves = [v; 2];
        for i in 0..8 {
            [halves[0][i], halves[1][i]] = split(v[i]);
        }
        halves
    }
    #[inline(always)]
    unsafe fn whole([low, high]: [Self::V; 2]) -> Self::V {
        let mut words = high;
        for i in 0..8 {
            words[i] = f32::from_bits(low[i].to_bits() >> 16 | high[i].to_bits());
        }
        words
    }
    #[inline(always)]
    unsafe fn join_neighbours(to: *mut f32, v: Self::V) {
        for i in 0..4 {
            unsafe { *to.add(i) = join([v[2 * i], v[2 * i + 1]]) };
        }
    }
}

/// The vectors of `S`, with pairs as words.
#[derive(Clone, Copy)]
pub(super) struct Pairs<S>(S);

unsafe impl<S: Bf16> Simd for Pairs<S> {
    type V = S::V;
    const LANES: usize = S::LANES;
    const COLUMNS: usize = S::COLUMNS;
    const PIXELS: &'static [usize] = S::PIXELS;
    const PAIRED: bool = true;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        unsafe { S::splat(x) }
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const f32) {
        unsafe { S::prefetch(from) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { S::load(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        unsafe { S::store(to, v) }
    }
    #[inline(always)]
    unsafe fn multiply_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { S::dot(a, b, c) }
    }
    #[inline(always)]
    unsafe fn at_least(v: Self::V, least: Self::V) -> Self::V {
        unsafe { S::at_least(v, least) }
    }
    #[inline(always)]
    unsafe fn at_most(v: Self::V, most: Self::V) -> Self::V {
        unsafe { S::at_most(v, most) }
    }
    #[inline(always)]
    unsafe fn greater(a: Self::V, b: Self::V) -> Self::V {
        unsafe {
            let ([a_low, a_high], [b_low, b_high]) = (S::halves(a), S::halves(b));
            S::whole([S::greater(a_low, b_low), S::greater(a_high, b_high)])
        }
    }
    #[inline(always)]
    unsafe fn load_evens(from: *const f32) -> Self::V {
        unsafe { S::load_evens(from) }
    }
    #[inline(always)]
    unsafe fn and(v: Self::V, mask: Self::V) -> Self::V {
        unsafe { S::and(v, mask) }
    }
    #[inline(always)]
    unsafe fn pick(from: *const f32, to: *mut f32, index: *const i32, mask: *const i32) {
        unsafe { S::pick(from, to, index, mask) }
    }
    #[inline(always)]
    unsafe fn pair(low: Self::V, high: Self::V) -> Self::V {
        unsafe { <S as Bf16>::join(low, high) }
    }
    #[inline(always)]
    unsafe fn narrow(to: *mut f32, v: Self::V) {
        unsafe { S::join_neighbours(to, v) }
    }
    #[inline(always)]
    fn split(word: f32) -> [f32; 2] {
        split(word)
    }
    #[inline(always)]
    fn join(halves: [f32; 2]) -> f32 {
        join(halves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_goes_to_the_nearest_and_from_the_middle_to_even() {
        let rounded = |x: f32| split(join([x, 0.0]))[0];
        assert_eq!(rounded(1.0), 1.0);
        // Neighbours of 1 are 1 + 2^-7 and 1 + 2^-6.
        assert_eq!(rounded(1.0 + 0.0039), 1.0);
        assert_eq!(rounded(1.0 + 0.00390625), 1.0);
        assert_eq!(rounded(1.0 + 0.0040), 1.0078125);
        assert_eq!(rounded(1.0078125 + 0.00390625), 1.015625);
        assert_eq!(rounded(-3.0), -3.0);
        assert_eq!(rounded(f32::INFINITY), f32::INFINITY);
        assert!(rounded(f32::from_bits(0x7f80_0001)).is_nan());
    }

    #[test]
    fn a_word_gives_back_both_channels_and_their_products_are_summed() {
        assert_eq!(split(join([0.5, -2.0])), [0.5, -2.0]);
        assert_eq!(dot(join([0.5, -2.0]), join([3.0, 4.0]), 1.0), -5.5);
    }

    /// Random words, floats and sums, for a comparison of instructions with the arithmetic above.
    #[cfg(target_arch = "x86_64")]
    fn random(count: usize) -> Vec<f32> {
        let mut state = 1u64;
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..count).map(|_| draw()).collect()
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq,avx512bw,avx512bf16")]
    unsafe fn by_instruction(low: &[f32], high: &[f32], sum: &[f32]) -> [[f32; 16]; 3] {
        use super::super::x86::Wide;
        let mut out = [[0.0; 16]; 3];
        unsafe {
            let load = |of: &[f32]| Wide::load(of.as_ptr());
            let words = <Wide as Bf16>::join(load(low), load(high));
            Wide::store(out[0].as_mut_ptr(), words);
            Wide::join_neighbours(out[1].as_mut_ptr(), load(low));
            let other = <Wide as Bf16>::join(load(high), load(low));
            Wide::store(out[2].as_mut_ptr(), Wide::dot(words, other, load(sum)));
        }
        out
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_instructions_for_bfloat16_do_this_arithmetic() {
        if !super::super::Isa::has_bf16() {
            eprintln!("skipped: this processor has no AVX512_BF16");
            return;
        }
        let numbers = random(48 * 1000);
        for numbers in numbers.chunks(48) {
            let (low, high, sum) = (&numbers[..16], &numbers[16..32], &numbers[32..]);
            let [words, narrow, dots] = unsafe { by_instruction(low, high, sum) };
            for i in 0..16 {
                let (word, other) = (join([low[i], high[i]]), join([high[i], low[i]]));
                assert_eq!(words[i].to_bits(), word.to_bits());
                if i < 8 {
                    let pair = join([low[2 * i], low[2 * i + 1]]);
                    assert_eq!(narrow[i].to_bits(), pair.to_bits());
                }
                // Processors differ in how they round between the two additions.
                let expected = dot(word, other, sum[i]);
                assert!((dots[i] - expected).abs() <= 4.0 * f32::EPSILON, "{} {expected}", dots[i]);
            }
        }
    }
}
