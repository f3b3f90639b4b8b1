//! Vectors of 32-bit words: AVX-512, AVX2 with FMA, and arrays for every other machine.
//!
//! The loops of the engine are written once over [`Simd`] and compiled for each kind inside a
//! function that has the instructions enabled; everything here is inlined into it. A word is a 32-bit
//! float, or a pair of channels in bfloat16 (see [`pairs`](super::pairs)).

use super::units::Activation;

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

    /// Whether this machine multiplies bfloat16 by an instruction (AVX512_BF16).
    pub fn has_bf16() -> bool {
        #[cfg(target_arch = "x86_64")]
        return Isa::detect() == Isa::Avx512
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Whether bfloat16 products are faster on this machine than those of 32-bit floats. Intel's are
    /// not: on the one that was measured (family 6, model 207) a batch of 64 ran at 583 images a second
    /// in bf16 and at 1,027 in fp32.
    pub fn gains_by_bf16() -> bool {
        #[cfg(target_arch = "x86_64")]
        return Isa::has_bf16() && vendor() == *b"AuthenticAMD";
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Words of a vector, and images of a group.
    pub(super) fn lanes(self) -> usize {
        match self {
            Isa::Avx512 => 16,
            Isa::Avx2 | Isa::Portable => 8,
        }
    }
}

/// The processor's maker, by its own name.
#[cfg(target_arch = "x86_64")]
fn vendor() -> [u8; 12] {
    // Every x86-64 has it; newer compilers know that.
    #[allow(unused_unsafe)]
    let words = unsafe { std::arch::x86_64::__cpuid(0) };
    let words = [words.ebx, words.edx, words.ecx].map(u32::to_le_bytes);
    words.concat().try_into().expect("three words have 12 bytes")
}

/// A vector of words.
///
/// # Safety
/// Every function may be called only where the instructions are there, with pointers to
/// [`Simd::LANES`] words; [`Simd::load_evens`] reads twice as many.
pub(super) unsafe trait Simd: Copy {
    /// The register.
    type V: Copy;
    /// Words in a register.
    const LANES: usize;
    /// Columns of accumulators, each of up to [`ROWS`](super::gemm::ROWS) registers, that the
    /// register file holds.
    const COLUMNS: usize;
    /// Pixels whose accumulators the register file holds, by the vectors of channels of each (from
    /// 1).
    const PIXELS: &'static [usize];
    /// Whether a word is a pair of channels in bfloat16.
    const PAIRED: bool = false;
    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self::V;
    /// Brings what will be read soon nearer; it may lie anywhere.
    #[inline(always)]
    unsafe fn prefetch(_from: *const f32) {}
    /// Reads.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Writes.
    unsafe fn store(to: *mut f32, v: Self::V);
    /// `a b + c`, where `c` is 32-bit floats; of pairs the sum of both products.
    unsafe fn multiply_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The greater of each lane and that of `least`; what is not a number stays.
    unsafe fn at_least(v: Self::V, least: Self::V) -> Self::V;
    /// The lesser of each lane and that of `most`; what is not a number stays.
    unsafe fn at_most(v: Self::V, most: Self::V) -> Self::V;
    /// The greater of each lane, or what is not a number; of pairs channel by channel.
    unsafe fn greater(a: Self::V, b: Self::V) -> Self::V;
    /// Reads twice as many words and keeps every second one, from the first on.
    unsafe fn load_evens(from: *const f32) -> Self::V;
    /// The bits that are set in both.
    unsafe fn and(v: Self::V, mask: Self::V) -> Self::V;
    /// Writes lane `index[i]` of `from` to lane `i` of `to`, where the sign bit of `mask[i]` is set.
    unsafe fn pick(from: *const f32, to: *mut f32, index: *const i32, mask: *const i32);
    /// Words of two channels, each given as a vector of floats; of floats the second is dropped.
    #[inline(always)]
    unsafe fn pair(low: Self::V, _high: Self::V) -> Self::V {
        low
    }
    /// Writes the words of neighbouring channels, given as floats; of pairs half a register's.
    #[inline(always)]
    unsafe fn narrow(to: *mut f32, v: Self::V) {
        unsafe { Self::store(to, v) }
    }
    /// The channels that a word holds; of a float the second is 0.
    #[inline(always)]
    fn split(word: f32) -> [f32; 2] {
        [word, 0.0]
    }
    /// The word of two channels; of a float the second is dropped.
    #[inline(always)]
    fn join(halves: [f32; 2]) -> f32 {
        halves[0]
    }
}

/// The least and the greatest number that comes out of an activation.
#[inline(always)]
pub(super) unsafe fn limits<S: Simd>(activation: Activation) -> [S::V; 2] {
    let (least, most) = activation.range();
    unsafe { [S::splat(least), S::splat(most)] }
}

/// A result as it is written; see [`limits`].
#[inline(always)]
pub(super) unsafe fn limit<S: Simd>(v: S::V, [least, most]: [S::V; 2]) -> S::V {
    unsafe { S::at_most(S::at_least(v, least), most) }
}

/// Writes the first `left` words of a row's last vector: what lies behind the row may be another map's.
#[inline(always)]
pub(super) unsafe fn store_first<S: Simd>(to: *mut f32, v: S::V, left: usize) {
    unsafe {
        if left >= S::LANES {
            return S::store(to, v);
        }
        let mut words = [0.0; 16];
        S::store(words.as_mut_ptr(), v);
        std::ptr::copy_nonoverlapping(words.as_ptr(), to, left);
    }
}

/// Arrays of 8, for any machine.
#[derive(Clone, Copy)]
pub(super) struct Portable;

unsafe impl Simd for Portable {
    type V = [f32; 8];
    const LANES: usize = 8;
    const COLUMNS: usize = 1;
    const PIXELS: &'static [usize] = &[4, 2];
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
        let mut sum = c;
        for i in 0..8 {
            sum[i] += a[i] * b[i];
        }
        sum
    }
    #[inline(always)]
    unsafe fn at_least(v: Self::V, least: Self::V) -> Self::V {
        let mut kept = v;
        for i in 0..8 {
            kept[i] = if v[i] < least[i] { least[i] } else { v[i] };
        }
        kept
    }
    #[inline(always)]
    unsafe fn at_most(v: Self::V, most: Self::V) -> Self::V {
        let mut kept = v;
        for i in 0..8 {
            kept[i] = if v[i] > most[i] { most[i] } else { v[i] };
        }
        kept
    }
    #[inline(always)]
    unsafe fn greater(a: Self::V, b: Self::V) -> Self::V {
        let mut most = a;
        for i in 0..8 {
            most[i] = if b[i] > a[i] || b[i].is_nan() { b[i] } else { a[i] };
        }
        most
    }
    #[inline(always)]
    unsafe fn load_evens(from: *const f32) -> Self::V {
        let mut evens = [0.0; 8];
        for (i, even) in evens.iter_mut().enumerate() {
            *even = unsafe { *from.add(2 * i) };
        }
        evens
    }
    #[inline(always)]
    unsafe fn and(v: Self::V, mask: Self::V) -> Self::V {
        let mut both = v;
        for i in 0..8 {
            both[i] = f32::from_bits(v[i].to_bits() & mask[i].to_bits());
        }
        both
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
