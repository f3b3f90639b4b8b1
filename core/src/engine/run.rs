//! Carrying out steps, with the instructions that the machine has.

use super::channels::multiply_channels;
use super::depthwise::depthwise;
use super::gemm::{Product, multiply};
use super::maps::Arena;
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
    // Engine::with has found the instructions; the program's offsets lie within its arenas.
    #[cfg(target_arch = "x86_64")]
    match (program.isa, program.paired) {
        (Isa::Avx512, false) => return unsafe { avx512(program, segment, words) },
        (Isa::Avx512, true) => return unsafe { avx512_bf16(program, segment, words) },
        (Isa::Avx2, _) => return unsafe { avx2(program, segment, words) },
        (Isa::Portable, _) => {}
    }
    if program.paired {
        unsafe { segment_with::<Pairs<Portable>>(program, segment, words) }
    } else {
        unsafe { segment_with::<Portable>(program, segment, words) }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq")]
unsafe fn avx512(program: &Program, segment: usize, arena: &mut [f32]) {
    unsafe { segment_with::<Wide>(program, segment, arena) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq,avx512bw,avx512bf16")]
unsafe fn avx512_bf16(program: &Program, segment: usize, arena: &mut [f32]) {
    unsafe { segment_with::<Pairs<Wide>>(program, segment, arena) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(program: &Program, segment: usize, arena: &mut [f32]) {
    unsafe { segment_with::<Ymm>(program, segment, arena) }
}

#[inline(always)]
unsafe fn segment_with<S: Simd>(program: &Program, segment: usize, arena: &mut [f32]) {
    let layout = &program.layout;
    for step in &program.segments[segment] {
        match step {
            Step::Product(step) => {
                let product = product(program, step);
                let arena = arena.as_mut_ptr();
                match (step.channels, S::PAIRED && step.of_floats) {
                    (true, false) => unsafe { multiply_channels::<S>(arena, &product) },
                    (false, false) => unsafe { multiply::<S>(arena, &product) },
                    (true, true) => unsafe { multiply_channels::<S::Floats>(arena, &product) },
                    (false, true) => unsafe { multiply::<S::Floats>(arena, &product) },
                }
            }
            Step::Depthwise(step) => unsafe { depthwise::<S>(layout, arena, step) },
            Step::Affine { input, output, scale, shift, activation } => {
                steps::affine::<S>(layout, arena, (*input, *output), (scale, shift, *activation));
            }
            Step::Add { a, b, output, activation } => {
                steps::add::<S>(layout, arena, (*a, *b, *output), *activation);
            }
            Step::Copy { input, output } => steps::copy(layout, arena, *input, *output),
            Step::MaxPool { input, output, window } => {
                let (input, output) = (*input, *output);
                match layout.lanes {
                    1 => steps::max_pool::<S, 1>(layout, arena, input, output, *window),
                    8 => steps::max_pool::<S, 8>(layout, arena, input, output, *window),
                    _ => steps::max_pool::<S, 16>(layout, arena, input, output, *window),
                }
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
}

#[inline(always)]
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
