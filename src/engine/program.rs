//! Units of work turned into offsets into an arena, for groups of a given number of images.
//!
//! With several images side by side a vector is one pixel of all of them, so strides, borders and
//! small maps cost nothing extra. With a single image a vector is a run of pixels that goes on over
//! the ends of rows; what falls between rows is masked, and where a convolution has a stride its
//! taps are gathered first.

use super::gemm::pack;
use super::maps::{Arena, Layout};
use super::places::{Places, Slice};
use super::run::vector;
use super::simd::Isa;
use super::units::{Unit, Window, Work};
use crate::nn::NodeId;

/// One loop over the arena.
pub(super) enum Step {
    /// A convolution or linear layer.
    Product(ProductStep),
    /// The taps of a convolution, one run a tap, in the scratch behind the maps.
    Gather {
        input: Slice,
        window: Window,
        /// Pixels a side of the output, and from one of its rows to the next.
        side: usize,
        row: usize,
        /// Floats from one tap to the next.
        tap: usize,
    },
    /// `scale x + shift`.
    Affine { input: Slice, output: Slice, scale: Vec<f32>, shift: Vec<f32>, relu: bool },
    /// `a + b`.
    Add { a: Slice, b: Slice, output: Slice, relu: bool },
    /// A part of a concatenation that could not be written in place.
    Copy { input: Slice, output: Slice },
    /// Maximum over windows.
    MaxPool { input: Slice, output: Slice, window: Window },
    /// Mean over windows.
    AvgPool { input: Slice, output: Slice, kernel: usize },
    /// Pixels left out, channels of zeros added.
    Shortcut { input: Slice, output: Slice, stride: usize },
}

/// See [`Product`](super::gemm::Product).
pub(super) struct ProductStep {
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub rows: Vec<u32>,
    pub taps: Vec<i32>,
    pub sources: Vec<u32>,
    pub targets: Vec<u32>,
    pub masks: Vec<f32>,
    pub relu: bool,
}

/// The steps of all stages for groups of [`Layout::lanes`] images.
pub(super) struct Program {
    pub isa: Isa,
    pub layout: Layout,
    pub stages: Vec<Vec<Step>>,
    /// Floats of an arena: the maps and the scratch.
    floats: usize,
}

impl Program {
    pub(super) fn new(units: &[Unit], places: &Places, isa: Isa, lanes: usize) -> Program {
        let layout = Layout::new(&places.pools, lanes);
        let mut lowering =
            Lowering { places, floats: layout.floats, layout: &layout, vector: vector(isa, lanes) };
        let count = units.last().map_or(0, |unit| unit.stage + 1);
        let mut stages: Vec<Vec<Step>> = Vec::new();
        stages.resize_with(count, Vec::new);
        for unit in units {
            lowering.unit(unit, &mut stages[unit.stage]);
        }
        let floats = lowering.floats;
        Program { isa, stages, floats, layout }
    }

    /// Whether every offset is one that the steps can hold; else they must not be carried out.
    pub(super) fn fits(&self) -> bool {
        i32::try_from(self.floats).is_ok()
    }

    pub(super) fn arena(&self) -> Arena {
        Arena::new(self.floats)
    }
}

struct Lowering<'a> {
    places: &'a Places,
    layout: &'a Layout,
    /// Floats of a vector.
    vector: usize,
    floats: usize,
}

impl Lowering<'_> {
    fn slice(&self, id: NodeId) -> Slice {
        self.places.slices[id].expect("a value that a unit touches has a place")
    }

    fn unit(&mut self, unit: &Unit, steps: &mut Vec<Step>) {
        let output = self.slice(unit.outputs[0]);
        let input = self.slice(unit.inputs[0]);
        match &unit.work {
            Work::Convolve { window, weights, bias, relu } => {
                let outputs: Vec<Slice> = unit.outputs.iter().map(|&id| self.slice(id)).collect();
                self.convolve(input, &outputs, *window, steps);
                if let Some(Step::Product(product)) = steps.last_mut() {
                    product.weights = pack(weights, bias.len());
                    product.bias.clone_from(bias);
                    product.relu = *relu;
                }
            }
            Work::Affine { scale, shift, relu } => steps.push(Step::Affine {
                input,
                output,
                scale: scale.clone(),
                shift: shift.clone(),
                relu: *relu,
            }),
            Work::Add { relu } => steps.push(Step::Add {
                a: input,
                b: self.slice(unit.inputs[1]),
                output,
                relu: *relu,
            }),
            Work::Concat => self.concat(&unit.inputs, output, steps),
            Work::MaxPool(window) => steps.push(Step::MaxPool { input, output, window: *window }),
            Work::AvgPool { kernel } => {
                steps.push(Step::AvgPool { input, output, kernel: *kernel })
            }
            Work::Shortcut { stride } => {
                steps.push(Step::Shortcut { input, output, stride: *stride })
            }
        }
    }

    fn concat(&self, inputs: &[NodeId], output: Slice, steps: &mut Vec<Step>) {
        let mut first = output.first;
        for &id in inputs {
            let input = self.slice(id);
            let part = Slice { first, channels: input.channels, ..output };
            if part != input {
                steps.push(Step::Copy { input, output: part });
            }
            first += input.channels;
        }
    }

    /// Pushes a product without weights, and the gathering before it where there must be one.
    fn convolve(&mut self, input: Slice, outputs: &[Slice], window: Window, steps: &mut Vec<Step>) {
        let mut product = ProductStep {
            weights: Vec::new(),
            bias: Vec::new(),
            rows: self.rows(outputs),
            taps: Vec::new(),
            sources: Vec::new(),
            targets: Vec::new(),
            masks: Vec::new(),
            relu: false,
        };
        let same_pixels = window.stride == 1 && input.pool == outputs[0].pool;
        if self.layout.lanes > 1 {
            product.taps = self.taps(input, window);
            (product.sources, product.targets) = self.pixels(input, outputs[0], window.stride);
        } else if same_pixels {
            product.taps = self.taps(input, window);
            (product.targets, product.masks) = self.runs(outputs[0]);
            let base = self.layout.channel(input, 0) as u32;
            product.sources = product.targets.iter().map(|at| base + at).collect();
        } else {
            (product.targets, product.masks) = self.runs(outputs[0]);
            let tap = product.targets.len() * self.vector;
            let map = self.layout.map(outputs[0]);
            let count = input.channels * window.kernel * window.kernel;
            product.taps = (0..count).map(|i| (i * tap) as i32).collect();
            let base = self.layout.floats;
            let places = (0..tap).step_by(self.vector);
            product.sources = places.map(|at| (base + at) as u32).collect();
            self.floats = self.floats.max(base + count * tap);
            steps.push(Step::Gather { input, window, side: map.side, row: map.row, tap });
        }
        steps.push(Step::Product(product));
    }

    /// Where each output channel is written.
    fn rows(&self, outputs: &[Slice]) -> Vec<u32> {
        let channels = outputs
            .iter()
            .flat_map(|&slice| (0..slice.channels).map(move |channel| (slice, channel)));
        channels.map(|(slice, channel)| self.layout.channel(slice, channel) as u32).collect()
    }

    /// Where each input channel at each place of the window lies, relative to the first channel's
    /// pixel.
    fn taps(&self, input: Slice, window: Window) -> Vec<i32> {
        let map = self.layout.map(input);
        let padding = window.padding as i32;
        let mut taps = Vec::with_capacity(input.channels * window.kernel * window.kernel);
        for channel in 0..input.channels {
            for y in 0..window.kernel as i32 {
                for x in 0..window.kernel as i32 {
                    let pixel = (y - padding) * map.row as i32 + x - padding;
                    let at = (channel * map.channel) as i32;
                    taps.push(at + pixel * self.layout.lanes as i32);
                }
            }
        }
        taps
    }

    /// For every output pixel where it is read and, within its channel, written.
    fn pixels(&self, input: Slice, output: Slice, stride: usize) -> (Vec<u32>, Vec<u32>) {
        let side = self.layout.map(output).side;
        let base = self.layout.channel(output, 0);
        let mut sources = Vec::with_capacity(side * side);
        let mut targets = Vec::with_capacity(side * side);
        for y in 0..side {
            for x in 0..side {
                let source = self.layout.pixel(input, 0, y * stride, x * stride);
                let target = self.layout.pixel(output, 0, y, x) - base;
                for part in (0..self.layout.lanes).step_by(self.vector) {
                    sources.push((source + part) as u32);
                    targets.push((target + part) as u32);
                }
            }
        }
        (sources, targets)
    }

    /// Vectors over all pixels of a single image, within a channel, and the bits that are kept.
    fn runs(&self, output: Slice) -> (Vec<u32>, Vec<f32>) {
        let map = self.layout.map(output);
        let pixels = (map.side - 1) * map.row + map.side;
        let end = pixels.next_multiple_of(self.vector);
        let targets = (0..end).step_by(self.vector);
        let targets = targets.map(|at| (map.origin + at) as u32).collect();
        let inside = |at: usize| at < pixels && at % map.row < map.side;
        let bits = |at: usize| if inside(at) { u32::MAX } else { 0 };
        let masks = (0..end).map(|at| f32::from_bits(bits(at))).collect();
        (targets, masks)
    }
}
