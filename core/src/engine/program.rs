//! Units of work turned into offsets into an arena, for groups of a given number of images.
//!
//! With several images side by side a vector is one pixel of all of them, so strides, borders and
//! small maps cost nothing extra. With a single image a vector is a run of pixels that goes on over
//! the ends of rows, where what falls between rows is masked; or it is the output channels of a
//! pixel, whichever is less work.

use std::ops::Range;

use super::channels::{block_vectors, pack_channels};
use super::depthwise::{self, Depthwise};
use super::gemm::pack;
use super::maps::{Arena, Layout};
use super::pairs;
use super::places::{Places, Slice};
use super::planes::{Plane, Planes};
use super::simd::Isa;
use super::tables::{Id, Tables};
use super::units::{Activation, Unit, Window, Work};
use crate::nn::NodeId;

/// One loop over the arena.
pub(super) enum Step {
    /// A convolution or linear layer.
    Product(ProductStep),
    /// `scale x + shift`, by plane.
    Affine {
        input: Slice,
        output: Slice,
        scale: Vec<[f32; 2]>,
        shift: Vec<[f32; 2]>,
        activation: Activation,
    },
    /// A convolution of each channel by itself.
    Depthwise(Depthwise),
    /// `a + b`.
    Add { a: Slice, b: Slice, output: Slice, activation: Activation },
    /// A part of a concatenation that could not be written in place.
    Copy { input: Slice, output: Slice },
    /// Maximum over windows.
    MaxPool { input: Slice, output: Slice, window: Window },
    /// Mean over windows; with `floats`, each channel to a plane of its own.
    AvgPool { input: Slice, output: Slice, kernel: usize, floats: Option<Vec<Plane>> },
    /// Pixels left out, planes of zeros added.
    Shortcut { input: Slice, output: Slice, stride: usize },
}

/// See [`Product`](super::gemm::Product).
pub(super) struct ProductStep {
    /// In [`Program::weights`].
    pub weights: Range<usize>,
    /// In [`Program::weights`].
    pub bias: Range<usize>,
    /// In [`Program::rows`].
    pub rows: Range<usize>,
    pub base: usize,
    pub taps: Id,
    pub tap_count: usize,
    pub places: Id,
    pub activation: Activation,
    pub floats: bool,
    /// Whether the input's words are floats.
    pub of_floats: bool,
    /// Whether the lanes are output channels.
    pub channels: bool,
    /// Most vectors of channels of a block.
    pub vectors: usize,
}

/// The steps of all segments for groups of [`Layout::lanes`] images.
pub(super) struct Program {
    pub isa: Isa,
    /// Whether words are pairs.
    pub paired: bool,
    pub layout: Layout,
    pub segments: Vec<Vec<Step>>,
    /// Weights and biases of all products in the order in which they are used.
    pub weights: Arena,
    pub rows: Vec<u32>,
    pub tables: Tables,
}

impl Program {
    pub(super) fn new(
        units: &[Unit],
        (planes, places): (&Planes, &Places),
        isa: Isa,
        lanes: usize,
    ) -> Program {
        let layout = Layout::new(&places.pools, lanes, isa.lanes());
        let mut lowering = Lowering {
            planes,
            places,
            layout: &layout,
            isa,
            weights: Vec::new(),
            rows: Vec::new(),
            tables: Tables::default(),
        };
        let count = units.last().map_or(0, |unit| unit.segment + 1);
        let mut segments: Vec<Vec<Step>> = Vec::new();
        segments.resize_with(count, Vec::new);
        for unit in units {
            lowering.unit(unit, &mut segments[unit.segment]);
        }
        let Lowering { weights: all, rows, tables, .. } = lowering;
        let mut weights = Arena::new(all.len());
        weights.words()[..all.len()].copy_from_slice(&all);
        Program { isa, paired: planes.paired, segments, weights, rows, tables, layout }
    }

    /// Whether every offset is one that the steps can hold; else they must not be carried out.
    pub(super) fn fits(&self) -> bool {
        i32::try_from(self.layout.words).is_ok()
    }

    pub(super) fn arena(&self) -> Arena {
        Arena::new(self.layout.words)
    }
}

struct Lowering<'a> {
    planes: &'a Planes,
    places: &'a Places,
    layout: &'a Layout,
    isa: Isa,
    weights: Vec<f32>,
    rows: Vec<u32>,
    tables: Tables,
}

impl Lowering<'_> {
    fn slice(&self, id: NodeId) -> Slice {
        self.places.slices[id].expect("a value that a unit touches has a place")
    }

    fn unit(&mut self, unit: &Unit, steps: &mut Vec<Step>) {
        let (from, to) = (unit.inputs[0], unit.outputs[0]);
        let (input, output) = (self.slice(from), self.slice(to));
        steps.push(match &unit.work {
            Work::Convolve { .. } => Step::Product(self.product(unit)),
            Work::Depthwise { window, weights, bias, activation } => {
                let planes = self.planes.of(from);
                Step::Depthwise(Depthwise {
                    input,
                    output,
                    window: *window,
                    weights: depthwise::words(planes, weights, bias.len(), self.planes.paired),
                    bias: planes.iter().map(|p| p.map(|c| c.map_or(0.0, |c| bias[c]))).collect(),
                    activation: *activation,
                })
            }
            Work::Affine { scale, shift, activation } => {
                let of = |values: &[f32]| -> Vec<[f32; 2]> {
                    let planes = self.planes.of(from).iter();
                    planes.map(|plane| plane.map(|c| c.map_or(0.0, |c| values[c]))).collect()
                };
                Step::Affine {
                    input,
                    output,
                    scale: of(scale),
                    shift: of(shift),
                    activation: *activation,
                }
            }
            Work::Add { activation } => Step::Add {
                a: input,
                b: self.slice(unit.inputs[1]),
                output,
                activation: *activation,
            },
            Work::Concat => return self.concat(&unit.inputs, output, steps),
            Work::MaxPool(window) => Step::MaxPool { input, output, window: *window },
            Work::AvgPool { kernel } => {
                let floats = self.planes.paired && self.planes.is_floats(to);
                let floats = floats.then(|| self.planes.of(from).to_vec());
                Step::AvgPool { input, output, kernel: *kernel, floats }
            }
            Work::Shortcut { stride } => Step::Shortcut { input, output, stride: *stride },
        });
    }

    fn concat(&self, inputs: &[NodeId], output: Slice, steps: &mut Vec<Step>) {
        let mut first = output.first;
        for &id in inputs {
            let input = self.slice(id);
            let part = Slice { first, planes: input.planes, ..output };
            if part != input {
                steps.push(Step::Copy { input, output: part });
            }
            first += input.planes;
        }
    }

    fn product(&mut self, unit: &Unit) -> ProductStep {
        let Work::Convolve { window, weights, bias, activation } = &unit.work else {
            unreachable!("only a convolution is a product");
        };
        let (from, to) = (unit.inputs[0], unit.outputs[0]);
        let (input, output) = (self.slice(from), self.slice(to));
        let floats = self.planes.is_floats(to);
        let (weights, bias) = self.words(unit, weights, bias, window.kernel * window.kernel);
        let tap_count = weights.len() / bias.len();
        let single = self.layout.lanes == 1;
        let channels = single && self.prefers_channels((input, output), *window, &bias, tap_count);
        let lanes = self.isa.lanes();
        let side = self.layout.map(output).side;
        let most = self.isa.most_channel_vectors();
        let vectors = block_vectors(side * side, tap_count * lanes, most);
        let (packed, bias) = if channels {
            pack_channels(&weights, &bias, lanes, vectors)
        } else {
            let each = if floats { 1 } else { 2 };
            (pack(&weights, bias.len(), each), bias)
        };
        let places = if single && !channels {
            self.tables.run(self.layout, output, lanes)
        } else {
            self.tables.pixels(self.layout, input, output, window.stride)
        };
        ProductStep {
            bias: append_aligned(&mut self.weights, &bias),
            weights: append_aligned(&mut self.weights, &packed),
            rows: self.output_planes(&unit.outputs),
            base: self.layout.plane(input, 0),
            taps: self.tables.taps(self.layout, input, *window),
            tap_count,
            places,
            activation: *activation,
            floats,
            of_floats: self.planes.is_floats(from),
            channels,
            vectors,
        }
    }

    /// Whether output channels fill the lanes of a single image's vectors with less work than pixels
    /// do; counted in multiply-adds of vectors, where each word that is written alone costs two.
    fn prefers_channels(
        &self,
        (input, output): (Slice, Slice),
        window: Window,
        bias: &[f32],
        taps: usize,
    ) -> bool {
        let (map, lanes) = (self.layout.map(output), self.isa.lanes());
        if window.stride > 1 || input.pool != output.pool || map.is_small(lanes) {
            return true;
        }
        let (pixels, rows) = (map.side * map.side, bias.len());
        let by_pixel = map.run().div_ceil(lanes) * rows * taps;
        let by_channel = pixels * rows.div_ceil(lanes) * taps + 2 * pixels * rows;
        by_channel < by_pixel
    }

    /// Weights as words `[rows][taps]` and a bias a row, for the planes of a unit's input and
    /// outputs.
    fn words(
        &self,
        unit: &Unit,
        weights: &[f32],
        bias: &[f32],
        window: usize,
    ) -> (Vec<f32>, Vec<f32>) {
        let inputs = self.planes.of(unit.inputs[0]);
        let floats = self.planes.is_floats(unit.inputs[0]);
        let channels = weights.len() / bias.len() / window;
        let (mut words, mut biases) = (Vec::new(), Vec::new());
        for row in self.rows_of(unit) {
            biases.push(row.map_or(0.0, |row| bias[row]));
            for plane in inputs {
                for place in 0..window {
                    let halves = plane.map(|channel| match (row, channel) {
                        (Some(row), Some(c)) => weights[(row * channels + c) * window + place],
                        _ => 0.0,
                    });
                    words.push(if floats { halves[0] } else { pairs::join(halves) });
                }
            }
        }
        (words, biases)
    }

    /// The rows of weights in the order of a unit's output planes; none for a missing half.
    fn rows_of(&self, unit: &Unit) -> Vec<Option<usize>> {
        let mut rows = Vec::new();
        let mut first = 0;
        for &id in &unit.outputs {
            let planes = self.planes.of(id);
            for plane in planes {
                let halves = if self.planes.is_floats(id) { 1 } else { 2 };
                rows.extend(plane[..halves].iter().map(|half| half.map(|c| c + first)));
            }
            first += planes.iter().flatten().flatten().count();
        }
        rows
    }

    /// Where each output plane is written.
    fn output_planes(&mut self, outputs: &[NodeId]) -> Range<usize> {
        let mut rows = Vec::new();
        for &id in outputs {
            let slice = self.slice(id);
            rows.extend((0..slice.planes).map(|plane| self.layout.plane(slice, plane) as u32));
        }
        append(&mut self.rows, &rows)
    }
}

fn append<T: Copy>(all: &mut Vec<T>, more: &[T]) -> Range<usize> {
    let first = all.len();
    all.extend_from_slice(more);
    first..all.len()
}

/// As [`append`], beginning at a cache line of an arena.
fn append_aligned(all: &mut Vec<f32>, more: &[f32]) -> Range<usize> {
    all.resize(all.len().next_multiple_of(16), 0.0);
    append(all, more)
}
