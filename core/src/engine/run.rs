//! Carrying out steps, with the instructions that the machine has.

use super::channels::multiply_channels;
use super::depthwise::depthwise;
use super::gemm::{Product, multiply};
use super::maps::{Arena, Layout};
use super::max_pool::max_pool;
use super::pairs::Pairs;
use super::program::{ProductStep, Program, Step};
use super::simd::{Isa, Portable, Simd};
use super::steps;
#[cfg(target_arch = "x86_64")]
use super::x86::{Wide, Ymm};

/// Most images of a group.
pub(super) const MOST_LANES: usize = 16;

impl Isa {
    /// Most vectors of output channels of a tile of pixels.
    pub(super) fn most_channel_vectors(self) -> usize {
        #[cfg(target_arch = "x86_64")]
        match self {
            Isa::Avx512 => return Wide::PIXELS.len(),
            Isa::Avx2 => return Ymm::PIXELS.len(),
            Isa::Portable => {}
        }
        Portable::PIXELS.len()
    }
}

/// Computes one segment of `program` in `arena`, which is one of the program's.
pub(super) fn run(program: &Program, segment: usize, arena: &mut Arena) {
    let words = arena.words();
    let compiled = match (program.isa, program.paired) {
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, false) => avx512::segment,
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, true) => avx512_bf16::segment,
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, _) => avx2::segment,
        (_, false) => portable::segment,
        (_, true) => portable_bf16::segment,
    };
    // SAFETY: Engine::with has found the instructions; the program's offsets lie within its arenas.
    unsafe { compiled(program, segment, words) }
}

/// The steps with one set of instructions. Each set is a module and each kernel a function, since the compiler
/// works on modules side by side, and takes far longer on one function of all kernels. `$floats` are the
/// kernels for the steps of a network in bfloat16 that read floats.
macro_rules! compiled {
    ($name:ident: $simd:ty, $floats:ident $(, $features:literal)?) => {
        mod $name {
            use super::*;

            pub(super) unsafe fn segment(program: &Program, segment: usize, arena: &mut [f32]) {
                for step in &program.segments[segment] {
                    let Step::Product(step) = step else {
                        unsafe { other(&program.layout, arena, step) };
                        continue;
                    };
                    let product = product(program, step);
                    let arena = arena.as_mut_ptr();
                    let of_floats = <$simd>::PAIRED && step.of_floats;
                    match (step.channels, of_floats) {
                        (true, false) => unsafe { channels(arena, &product) },
                        (false, false) => unsafe { pixels(arena, &product) },
                        (true, true) => unsafe { super::$floats::channels(arena, &product) },
                        (false, true) => unsafe { super::$floats::pixels(arena, &product) },
                    }
                }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn channels(arena: *mut f32, product: &Product) {
                unsafe { multiply_channels::<$simd>(arena, product) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn pixels(arena: *mut f32, product: &Product) {
                unsafe { multiply::<$simd>(arena, product) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn other(layout: &Layout, arena: &mut [f32], step: &Step) {
                unsafe { step_with::<$simd>(layout, arena, step) }
            }
        }
    };
}

compiled!(portable: Portable, portable);
compiled!(portable_bf16: Pairs<Portable>, portable);
#[cfg(target_arch = "x86_64")]
compiled!(avx2: Ymm, avx2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
compiled!(avx512: Wide, avx512, "avx2,fma,avx512f,avx512vl,avx512dq");
#[cfg(target_arch = "x86_64")]
compiled!(avx512_bf16: Pairs<Wide>, avx512, "avx2,fma,avx512f,avx512vl,avx512dq,avx512bw,avx512bf16");

/// A step that is not a product.
#[inline(always)]
unsafe fn step_with<S: Simd>(layout: &Layout, arena: &mut [f32], step: &Step) {
    match step {
        Step::Product(_) => unreachable!("products have kernels of their own"),
        Step::Depthwise(step) => unsafe { depthwise::<S>(layout, arena, step) },
        Step::Affine { input, output, scale, shift, activation } => {
            steps::affine::<S>(layout, arena, (*input, *output), (scale, shift, *activation));
        }
        Step::Add { a, b, output, activation } => {
            steps::add::<S>(layout, arena, (*a, *b, *output), *activation);
        }
        Step::Copy { input, output } => steps::copy(layout, arena, *input, *output),
        Step::MaxPool { input, output, window } => {
            unsafe { max_pool::<S>(layout, arena, (*input, *output), *window) };
        }
        Step::AvgPool { input, output, kernel, floats } => {
            let (slices, floats) = ((*input, *output), floats.as_deref());
            match layout.lanes {
                1 => steps::avg_pool::<S, 1>(layout, arena, slices, *kernel, floats),
                8 => steps::avg_pool::<S, 8>(layout, arena, slices, *kernel, floats),
                _ => steps::avg_pool::<S, 16>(layout, arena, slices, *kernel, floats),
            }
        }
        Step::Shortcut { input, output, stride } => {
            steps::shortcut(layout, arena, *input, *output, *stride);
        }
    }
}

fn product<'a>(program: &'a Program, step: &'a ProductStep) -> Product<'a> {
    let weights = program.weights.read();
    let places = &program.tables.places[step.places];
    Product {
        weights: &weights[step.weights.clone()],
        bias: &weights[step.bias.clone()],
        rows: &program.rows[step.rows.clone()],
        base: step.base,
        taps: &program.tables.taps[step.taps][..step.tap_count],
        sources: &places.sources,
        targets: &places.targets,
        masks: &places.masks,
        vectors: step.vectors,
        activation: step.activation,
        floats: step.floats,
    }
}

/// Which lanes go where in a group.
pub(super) struct Moves {
    index: [i32; MOST_LANES],
    /// -1 for lanes that are written.
    mask: [i32; MOST_LANES],
}

impl Moves {
    /// Of each pair the first lane to the second.
    pub(super) fn new(pairs: &[(usize, usize)]) -> Moves {
        let (mut index, mut mask) = ([0; MOST_LANES], [0; MOST_LANES]);
        for &(from, to) in pairs {
            index[to] = from as i32;
            mask[to] = -1;
        }
        Moves { index, mask }
    }
}

/// Carries lanes of `pixels` pixels from one group's arena to another's.
///
/// # Safety
/// `from` and `to` point to as many pixels of a group with these instructions.
pub(super) unsafe fn carry(isa: Isa, from: *const f32, to: *mut f32, pixels: usize, moves: &Moves) {
    #[cfg(target_arch = "x86_64")]
    match isa {
        Isa::Avx512 => return unsafe { avx512_carry(from, to, pixels, moves) },
        Isa::Avx2 => return unsafe { avx2_carry(from, to, pixels, moves) },
        Isa::Portable => {}
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = isa;
    unsafe { carry_with::<Portable>(from, to, pixels, moves) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq")]
unsafe fn avx512_carry(from: *const f32, to: *mut f32, pixels: usize, moves: &Moves) {
    unsafe { carry_with::<Wide>(from, to, pixels, moves) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_carry(from: *const f32, to: *mut f32, pixels: usize, moves: &Moves) {
    unsafe { carry_with::<Ymm>(from, to, pixels, moves) }
}

#[inline(always)]
unsafe fn carry_with<S: Simd>(from: *const f32, to: *mut f32, pixels: usize, moves: &Moves) {
    for at in (0..pixels * S::LANES).step_by(S::LANES) {
        unsafe {
            S::pick(from.add(at), to.add(at), moves.index.as_ptr(), moves.mask.as_ptr());
        }
    }
}
