//! The registers of x86-64.

use std::arch::x86_64::{
    __m256, __m256bh, __m256i, __m512, __m512bh, __m512i, _CMP_GT_OQ, _CMP_UNORD_Q, _MM_HINT_T1,
    _mm_prefetch, _mm256_and_ps, _mm256_blendv_ps, _mm256_castpd_ps, _mm256_castps_pd,
    _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_maskstore_ps,
    _mm256_max_ps, _mm256_min_ps, _mm256_or_ps, _mm256_permute4x64_pd, _mm256_permutevar8x32_ps,
    _mm256_set1_ps, _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_storeu_si256, _mm512_and_ps,
    _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask,
    _mm512_cvtne2ps_pbh, _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_mask_mov_ps, _mm512_mask_storeu_ps, _mm512_max_ps, _mm512_min_ps,
    _mm512_movepi32_mask, _mm512_or_si512, _mm512_permutex2var_ps, _mm512_permutexvar_epi16,
    _mm512_permutexvar_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_slli_epi32, _mm512_srli_epi32,
    _mm512_storeu_ps,
};
use std::mem::transmute;

use super::pairs::Bf16;
use super::simd::Simd;

/// Every second word of two registers.
const EVENS: [i32; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];

/// 16 floats (AVX-512).
#[derive(Clone, Copy)]
pub(super) struct Wide;

unsafe impl Simd for Wide {
    type V = __m512;
    const LANES: usize = 16;
    const COLUMNS: usize = 3;
    const PIXELS: &'static [usize] = &[8, 8, 6, 4];
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        unsafe { _mm512_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn multiply_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn at_least(v: Self::V, least: Self::V) -> Self::V {
        // Where one operand is not a number the second is taken, so what is not a number stays.
        unsafe { _mm512_max_ps(least, v) }
    }
    #[inline(always)]
    unsafe fn at_most(v: Self::V, most: Self::V) -> Self::V {
        unsafe { _mm512_min_ps(most, v) }
    }
    #[inline(always)]
    unsafe fn greater(a: Self::V, b: Self::V) -> Self::V {
        unsafe {
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(b, a);
            let no_number = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(b, b);
            _mm512_mask_mov_ps(a, above | no_number, b)
        }
    }
    #[inline(always)]
    unsafe fn load_evens(from: *const f32) -> Self::V {
        unsafe {
            let index = _mm512_loadu_si512(EVENS.as_ptr().cast());
            _mm512_permutex2var_ps(Self::load(from), index, Self::load(from.add(16)))
        }
    }
    #[inline(always)]
    unsafe fn and(v: Self::V, mask: Self::V) -> Self::V {
        unsafe { _mm512_and_ps(v, mask) }
    }
    #[inline(always)]
    unsafe fn pick(from: *const f32, to: *mut f32, index: *const i32, mask: *const i32) {
        unsafe {
            let index = _mm512_loadu_si512(index.cast());
            let mask = _mm512_movepi32_mask(_mm512_loadu_si512(mask.cast()));
            let v = _mm512_permutexvar_ps(index, Self::load(from));
            _mm512_mask_storeu_ps(to, mask, v);
        }
    }
}

unsafe impl Bf16 for Wide {
    #[inline(always)]
    unsafe fn dot(a: Self::V, b: Self::V, sum: Self::V) -> Self::V {
        unsafe {
            _mm512_dpbf16_ps(
                sum,
                transmute::<__m512, __m512bh>(a),
                transmute::<__m512, __m512bh>(b),
            )
        }
    }
    #[inline(always)]
    unsafe fn join(low: Self::V, high: Self::V) -> Self::V {
        unsafe {
            let halves = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
            let index = _mm512_loadu_si512(INTERLEAVE.as_ptr().cast());
            _mm512_castsi512_ps(_mm512_permutexvar_epi16(index, halves))
        }
    }
    #[inline(always)]
    unsafe fn halves(v: Self::V) -> [Self::V; 2] {
        unsafe {
            let words = _mm512_castps_si512(v);
            let high = _mm512_and_si512(words, _mm512_set1_epi32(!0xffff));
            let low = _mm512_slli_epi32::<16>(words);
            [_mm512_castsi512_ps(low), _mm512_castsi512_ps(high)]
        }
    }
    #[inline(always)]
    unsafe fn whole([low, high]: [Self::V; 2]) -> Self::V {
        unsafe {
            let low = _mm512_srli_epi32::<16>(_mm512_castps_si512(low));
            _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_castps_si512(high)))
        }
    }
    #[inline(always)]
    unsafe fn join_neighbours(to: *mut f32, v: Self::V) {
        unsafe {
            let words = transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v));
            _mm256_storeu_si256(to.cast(), words);
        }
    }
}

/// From the lower and the upper half of a register in turn.
static INTERLEAVE: [u16; 32] = {
    let mut index = [0; 32];
    let mut i = 0;
    while i < 32 {
        index[i] = (i / 2 + i % 2 * 16) as u16;
        i += 1;
    }
    index
};

/// 8 floats (AVX2).
#[derive(Clone, Copy)]
pub(super) struct Ymm;

unsafe impl Simd for Ymm {
    type V = __m256;
    const LANES: usize = 8;
    const COLUMNS: usize = 2;
    const PIXELS: &'static [usize] = &[6, 6];
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        unsafe { _mm256_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn multiply_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn at_least(v: Self::V, least: Self::V) -> Self::V {
        unsafe { _mm256_max_ps(least, v) }
    }
    #[inline(always)]
    unsafe fn at_most(v: Self::V, most: Self::V) -> Self::V {
        unsafe { _mm256_min_ps(most, v) }
    }
    #[inline(always)]
    unsafe fn greater(a: Self::V, b: Self::V) -> Self::V {
        unsafe {
            let above = _mm256_cmp_ps::<_CMP_GT_OQ>(b, a);
            let no_number = _mm256_cmp_ps::<_CMP_UNORD_Q>(b, b);
            _mm256_blendv_ps(a, b, _mm256_or_ps(above, no_number))
        }
    }
    #[inline(always)]
    unsafe fn load_evens(from: *const f32) -> Self::V {
        unsafe {
            // Even words of both by halves of a register, then the halves in order.
            let mixed = _mm256_shuffle_ps::<0x88>(Self::load(from), Self::load(from.add(8)));
            _mm256_castpd_ps(_mm256_permute4x64_pd::<0xd8>(_mm256_castps_pd(mixed)))
        }
    }
    #[inline(always)]
    unsafe fn and(v: Self::V, mask: Self::V) -> Self::V {
        unsafe { _mm256_and_ps(v, mask) }
    }
    #[inline(always)]
    unsafe fn pick(from: *const f32, to: *mut f32, index: *const i32, mask: *const i32) {
        unsafe {
            let index = _mm256_loadu_si256(index.cast());
            let mask = _mm256_loadu_si256(mask.cast());
            let v = _mm256_permutevar8x32_ps(Self::load(from), index);
            _mm256_maskstore_ps(to, mask, v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::{Isa, Portable};
    use super::*;

    const NUMBERS: [f32; 8] =
        [f32::NAN, f32::INFINITY, 2.5, 0.0, -0.0, -2.5, f32::NEG_INFINITY, f32::MIN_POSITIVE];

    /// Bits of the greater of `a` and `b`, and of `a` with `b` as its least and its greatest number.
    #[inline(always)]
    unsafe fn bits<S: Simd>(a: &[f32; 16], b: &[f32; 16]) -> [[u32; 16]; 3] {
        let mut out = [[0.0; 16]; 3];
        unsafe {
            for at in (0..16).step_by(S::LANES) {
                let (a, b) = (S::load(a.as_ptr().add(at)), S::load(b.as_ptr().add(at)));
                S::store(out[0].as_mut_ptr().add(at), S::greater(a, b));
                S::store(out[1].as_mut_ptr().add(at), S::at_least(a, b));
                S::store(out[2].as_mut_ptr().add(at), S::at_most(a, b));
            }
        }
        out.map(|numbers| numbers.map(f32::to_bits))
    }

    #[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq")]
    unsafe fn wide(a: &[f32; 16], b: &[f32; 16]) -> [[u32; 16]; 3] {
        unsafe { bits::<Wide>(a, b) }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn ymm(a: &[f32; 16], b: &[f32; 16]) -> [[u32; 16]; 3] {
        unsafe { bits::<Ymm>(a, b) }
    }

    #[test]
    fn comparisons_keep_what_is_not_a_number_and_the_first_of_two_zeros() {
        let mut a = [0.0; 16];
        (0..16).for_each(|i| a[i] = NUMBERS[i % 8]);
        for by in 0..8 {
            let mut b = [0.0; 16];
            (0..16).for_each(|i| b[i] = NUMBERS[(i + by) % 8]);
            let expected = unsafe { bits::<Portable>(&a, &b) };
            let greatest = expected[0].map(f32::from_bits);
            for i in 0..16 {
                let has_nan = a[i].is_nan() || b[i].is_nan();
                assert_eq!(greatest[i].is_nan(), has_nan, "{} {}", a[i], b[i]);
                assert!(has_nan || greatest[i] == a[i].max(b[i]), "{} {}", a[i], b[i]);
            }
            let ways = [(Isa::Avx512, wide as unsafe fn(_, _) -> _), (Isa::Avx2, ymm)];
            for (isa, way) in ways.into_iter().filter(|(isa, _)| Isa::usable().contains(isa)) {
                let found: [[u32; 16]; 3] = unsafe { way(&a, &b) };
                for i in 0..16 {
                    assert_eq!(found[0][i], expected[0][i], "{isa:?} {} {}", a[i], b[i]);
                    // A limit is a number.
                    let is_limit = !b[i].is_nan();
                    assert!(
                        !is_limit || found[1][i] == expected[1][i],
                        "{isa:?} {} {}",
                        a[i],
                        b[i]
                    );
                    assert!(
                        !is_limit || found[2][i] == expected[2][i],
                        "{isa:?} {} {}",
                        a[i],
                        b[i]
                    );
                }
            }
        }
    }
}
