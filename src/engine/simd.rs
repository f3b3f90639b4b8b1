//! Vectors of 32-bit floats: AVX-512, AVX2 with FMA, and arrays for every other machine.
//!
//! The loops of the engine are written once over [`Simd`] and compiled for each kind inside a
//! function that has the instructions enabled; everything here is inlined into it.

/// Which instructions a machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// 512-bit vectors, 32 registers.
    Avx512,
    /// 256-bit vectors, 16 registers.
    Avx2,
    /// Whatever the compiler makes of arrays.
    Portable,
}

impl Isa {
    /// The best that this machine has.
    pub fn detect() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
            {
                return Isa::Avx512;
            }
            if avx2 {
                return Isa::Avx2;
            }
        }
        Isa::Portable
    }

    /// All that this machine can run, the best first.
    pub fn usable() -> Vec<Isa> {
        let all = [Isa::Avx512, Isa::Avx2, Isa::Portable];
        let best = Isa::detect();
        let first = all.iter().position(|&isa| isa == best).unwrap_or(0);
        all[first..].to_vec()
    }
}

/// A vector of floats.
///
/// # Safety
/// Every function may be called only where the instructions are there, with pointers to
/// [`Simd::LANES`] floats.
pub(super) unsafe trait Simd: Copy {
    /// The register.
    type V: Copy;
    /// Floats in a register.
    const LANES: usize;
    /// Columns of accumulators, each of up to [`ROWS`](super::gemm::ROWS) registers, that the
    /// register file holds.
    const COLUMNS: usize;
    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self::V;
    /// Reads.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Writes.
    unsafe fn store(to: *mut f32, v: Self::V);
    /// `a b + c`.
    unsafe fn multiply_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The greater of each lane and 0.
    unsafe fn relu(v: Self::V) -> Self::V;
    /// The bits that are set in both.
    unsafe fn and(v: Self::V, mask: Self::V) -> Self::V;
    /// Writes lane `index[i]` of `from` to lane `i` of `to`, where the sign bit of `mask[i]` is set.
    unsafe fn pick(from: *const f32, to: *mut f32, index: *const i32, mask: *const i32);
}

/// Arrays of 8, for any machine.
#[derive(Clone, Copy)]
pub(super) struct Portable;

unsafe impl Simd for Portable {
    type V = [f32; 8];
    const LANES: usize = 8;
    const COLUMNS: usize = 1;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        unsafe { to.cast::<[f32; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn multiply_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn relu(v: Self::V) -> Self::V {
        v.map(|x| if x < 0.0 { 0.0 } else { x })
    }
    #[inline(always)]
    unsafe fn and(v: Self::V, mask: Self::V) -> Self::V {
        std::array::from_fn(|i| f32::from_bits(v[i].to_bits() & mask[i].to_bits()))
    }
    #[inline(always)]
    unsafe fn pick(from: *const f32, to: *mut f32, index: *const i32, mask: *const i32) {
        unsafe {
            let v = Self::load(from);
            for i in 0..8 {
                if *mask.add(i) < 0 {
                    *to.add(i) = v[*index.add(i) as usize & 7];
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Wide, Ymm};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Simd;
    use std::arch::x86_64::{
        __m256, __m512, _mm256_and_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
        _mm256_maskstore_ps, _mm256_max_ps, _mm256_permutevar8x32_ps, _mm256_set1_ps,
        _mm256_setzero_ps, _mm256_storeu_ps, _mm512_and_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
        _mm512_loadu_si512, _mm512_mask_storeu_ps, _mm512_max_ps, _mm512_movepi32_mask,
        _mm512_permutexvar_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    /// 16 floats (AVX-512).
    #[derive(Clone, Copy)]
    pub(in super::super) struct Wide;

    unsafe impl Simd for Wide {
        type V = __m512;
        const LANES: usize = 16;
        const COLUMNS: usize = 3;
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            unsafe { _mm512_set1_ps(x) }
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
        unsafe fn relu(v: Self::V) -> Self::V {
            // The second operand is taken where the first is not a number, which must stay one.
            unsafe { _mm512_max_ps(_mm512_setzero_ps(), v) }
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

    /// 8 floats, in a register file that holds `COLUMNS` columns (AVX2: 2, AVX-512: 3).
    #[derive(Clone, Copy)]
    pub(in super::super) struct Ymm<const COLUMNS: usize>;

    unsafe impl<const COLUMNS: usize> Simd for Ymm<COLUMNS> {
        type V = __m256;
        const LANES: usize = 8;
        const COLUMNS: usize = COLUMNS;
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            unsafe { _mm256_set1_ps(x) }
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
        unsafe fn relu(v: Self::V) -> Self::V {
            unsafe { _mm256_max_ps(_mm256_setzero_ps(), v) }
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
}
