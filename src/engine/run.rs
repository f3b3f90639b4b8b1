//! Carrying out steps, with the instructions that the machine has.

use super::gemm::{Product, multiply};
use super::maps::{Arena, Layout};
use super::places::Slice;
use super::program::{Program, Step};
use super::simd::{Isa, Portable, Simd};
use super::units::Window;

/// Most images of a group.
pub(super) const MOST_LANES: usize = 16;

/// Images that a group holds with these instructions: as many as a register.
pub(super) fn lanes(isa: Isa) -> usize {
    match isa {
        Isa::Avx512 => 16,
        Isa::Avx2 | Isa::Portable => 8,
    }
}

/// Floats of a vector, as [`run`] chooses the instructions for groups of so many images.
pub(super) fn vector(isa: Isa, images: usize) -> usize {
    if images == 1 { 8 } else { lanes(isa) }
}

/// Computes one stage of `program` in `arena`, which is one of the program's.
pub(super) fn run(program: &Program, stage: usize, arena: &mut Arena) {
    let (steps, layout) = (&program.stages[stage], &program.layout);
    let floats = arena.floats();
    // Isa::detect has found the instructions; the program's offsets lie within its arenas.
    #[cfg(target_arch = "x86_64")]
    match (program.isa, layout.lanes) {
        (Isa::Avx512, 1) => return unsafe { avx512_single(steps, layout, floats) },
        (Isa::Avx512, _) => return unsafe { avx512_group(steps, layout, floats) },
        (Isa::Avx2, _) => return unsafe { avx2(steps, layout, floats) },
        (Isa::Portable, _) => {}
    }
    unsafe { steps_with::<Portable>(steps, layout, floats) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq")]
unsafe fn avx512_group(steps: &[Step], layout: &Layout, arena: &mut [f32]) {
    unsafe { steps_with::<super::simd::Wide>(steps, layout, arena) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq")]
unsafe fn avx512_single(steps: &[Step], layout: &Layout, arena: &mut [f32]) {
    unsafe { steps_with::<super::simd::Ymm<3>>(steps, layout, arena) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(steps: &[Step], layout: &Layout, arena: &mut [f32]) {
    unsafe { steps_with::<super::simd::Ymm<2>>(steps, layout, arena) }
}

#[inline(always)]
unsafe fn steps_with<S: Simd>(steps: &[Step], layout: &Layout, arena: &mut [f32]) {
    for step in steps {
        match step {
            Step::Product(step) => {
                let product = Product {
                    weights: &step.weights,
                    bias: &step.bias,
                    rows: &step.rows,
                    taps: &step.taps,
                    sources: &step.sources,
                    targets: &step.targets,
                    masks: &step.masks,
                    relu: step.relu,
                };
                unsafe { multiply::<S>(arena.as_mut_ptr(), &product) }
            }
            Step::Gather { input, window, side, row, tap } => {
                gather(layout, arena, *input, *window, (*side, *row, *tap))
            }
            Step::Affine { input, output, scale, shift, relu } => {
                affine(layout, arena, (*input, *output), (scale, shift, *relu))
            }
            Step::Add { a, b, output, relu } => add(layout, arena, (*a, *b, *output), *relu),
            Step::Copy { input, output } => copy(layout, arena, *input, *output),
            Step::MaxPool { input, output, window } => {
                max_pool(layout, arena, *input, *output, *window)
            }
            Step::AvgPool { input, output, kernel } => {
                avg_pool(layout, arena, *input, *output, *kernel)
            }
            Step::Shortcut { input, output, stride } => {
                shortcut(layout, arena, *input, *output, *stride)
            }
        }
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
    unsafe { carry_with::<super::simd::Wide>(from, to, pixels, moves) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_carry(from: *const f32, to: *mut f32, pixels: usize, moves: &Moves) {
    unsafe { carry_with::<super::simd::Ymm<2>>(from, to, pixels, moves) }
}

#[inline(always)]
unsafe fn carry_with<S: Simd>(from: *const f32, to: *mut f32, pixels: usize, moves: &Moves) {
    for at in (0..pixels * S::LANES).step_by(S::LANES) {
        unsafe {
            S::pick(from.add(at), to.add(at), moves.index.as_ptr(), moves.mask.as_ptr());
        }
    }
}

/// First floats of each row of a slice's channel; a row has `side * lanes` floats.
fn rows(layout: &Layout, slice: Slice, channel: usize) -> impl Iterator<Item = usize> + '_ {
    (0..layout.map(slice).side).map(move |y| layout.pixel(slice, channel, y, 0))
}

#[inline(always)]
fn gather(
    layout: &Layout,
    arena: &mut [f32],
    input: Slice,
    window: Window,
    (side, row, tap): (usize, usize, usize),
) {
    let map = layout.map(input);
    let mut target = layout.floats;
    for channel in 0..input.channels {
        for ky in 0..window.kernel {
            for kx in 0..window.kernel {
                for y in 0..side {
                    // The padding of the map is at least the window's, so this is not below it.
                    let first =
                        layout.pixel(input, channel, y * window.stride, 0) + ky * map.row + kx
                            - window.padding * (map.row + 1);
                    let place = target + y * row;
                    for x in 0..side {
                        arena[place + x] = arena[first + x * window.stride];
                    }
                }
                target += tap;
            }
        }
    }
}

#[inline(always)]
fn affine(
    layout: &Layout,
    arena: &mut [f32],
    (input, output): (Slice, Slice),
    (scale, shift, relu): (&[f32], &[f32], bool),
) {
    let length = layout.map(input).side * layout.lanes;
    let least = if relu { 0.0 } else { f32::NEG_INFINITY };
    for channel in 0..input.channels {
        let (scale, shift) = (scale[channel], shift[channel]);
        for (from, to) in rows(layout, input, channel).zip(rows(layout, output, channel)) {
            let (from, to) = two_rows(arena, from, to, length);
            for (to, &from) in to.iter_mut().zip(from) {
                let value = from * scale + shift;
                *to = if value < least { least } else { value };
            }
        }
    }
}

#[inline(always)]
fn add(layout: &Layout, arena: &mut [f32], (a, b, output): (Slice, Slice, Slice), relu: bool) {
    let length = layout.map(a).side * layout.lanes;
    let least = if relu { 0.0 } else { f32::NEG_INFINITY };
    copy(layout, arena, a, output);
    for channel in 0..a.channels {
        for (from, to) in rows(layout, b, channel).zip(rows(layout, output, channel)) {
            let (from, to) = two_rows(arena, from, to, length);
            for (to, &from) in to.iter_mut().zip(from) {
                let value = *to + from;
                *to = if value < least { least } else { value };
            }
        }
    }
}

#[inline(always)]
fn copy(layout: &Layout, arena: &mut [f32], input: Slice, output: Slice) {
    let length = layout.map(input).side * layout.lanes;
    for channel in 0..input.channels {
        for (from, to) in rows(layout, input, channel).zip(rows(layout, output, channel)) {
            arena.copy_within(from..from + length, to);
        }
    }
}

/// A row to read and another one to write.
#[inline(always)]
fn two_rows(arena: &mut [f32], from: usize, to: usize, length: usize) -> (&[f32], &mut [f32]) {
    if from < to {
        let (low, high) = arena.split_at_mut(to);
        (&low[from..from + length], &mut high[..length])
    } else {
        let (low, high) = arena.split_at_mut(from);
        (&high[..length], &mut low[to..to + length])
    }
}

#[inline(always)]
fn max_pool(layout: &Layout, arena: &mut [f32], input: Slice, output: Slice, window: Window) {
    let (side, from_side) = (layout.map(output).side, layout.map(input).side);
    // Rows or columns of the window at output `at` that lie inside.
    let inside = |at: usize| {
        let first = at * window.stride;
        let end = (first + window.kernel - window.padding).min(from_side);
        first.saturating_sub(window.padding)..end
    };
    for channel in 0..output.channels {
        for y in 0..side {
            for x in 0..side {
                let mut most = [f32::NEG_INFINITY; MOST_LANES];
                for iy in inside(y) {
                    for ix in inside(x) {
                        let at = layout.pixel(input, channel, iy, ix);
                        for (most, &value) in most.iter_mut().zip(&arena[at..at + layout.lanes]) {
                            *most = if value > *most || value.is_nan() { value } else { *most };
                        }
                    }
                }
                write(layout, arena, (output, channel, y, x), &most);
            }
        }
    }
}

#[inline(always)]
fn avg_pool(layout: &Layout, arena: &mut [f32], input: Slice, output: Slice, kernel: usize) {
    let side = layout.map(output).side;
    let pixels = (kernel * kernel) as f32;
    for channel in 0..output.channels {
        for y in 0..side {
            for x in 0..side {
                let mut sums = [0.0; MOST_LANES];
                for iy in y * kernel..(y + 1) * kernel {
                    for ix in x * kernel..(x + 1) * kernel {
                        let at = layout.pixel(input, channel, iy, ix);
                        for (sum, &value) in sums.iter_mut().zip(&arena[at..at + layout.lanes]) {
                            *sum += value;
                        }
                    }
                }
                sums.iter_mut().for_each(|sum| *sum /= pixels);
                write(layout, arena, (output, channel, y, x), &sums);
            }
        }
    }
}

#[inline(always)]
fn write(
    layout: &Layout,
    arena: &mut [f32],
    (output, channel, y, x): (Slice, usize, usize, usize),
    values: &[f32; MOST_LANES],
) {
    let at = layout.pixel(output, channel, y, x);
    arena[at..at + layout.lanes].copy_from_slice(&values[..layout.lanes]);
}

#[inline(always)]
fn shortcut(layout: &Layout, arena: &mut [f32], input: Slice, output: Slice, stride: usize) {
    let side = layout.map(output).side;
    for channel in 0..output.channels {
        for y in 0..side {
            for x in 0..side {
                let to = layout.pixel(output, channel, y, x);
                if channel < input.channels {
                    let from = layout.pixel(input, channel, y * stride, x * stride);
                    arena.copy_within(from..from + layout.lanes, to);
                } else {
                    arena[to..to + layout.lanes].fill(0.0);
                }
            }
        }
    }
}
