//! Batch normalisation with the ReLU behind it: our own on CPU (`norm.cpp`), LibTorch's
//! elsewhere and in double precision. It is C++ because tch has no way to give autograd a function of
//! one's own.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};

use anyhow::{Result, bail};
use tch::{Device, Kind, Tensor};
use torch_sys::C_tensor;

use super::graph::Mode;
use super::weights::Statistics;

const MOMENTUM: f64 = 0.1;
/// Added to the variance by batch normalisation.
pub const EPSILON: f64 = 1e-5;

unsafe extern "C" {
    fn repro_batch_norm(
        x: *const C_tensor,
        gamma: *const C_tensor,
        beta: *const C_tensor,
        mean: *const C_tensor,
        variance: *const C_tensor,
        momentum: f64,
        epsilon: f64,
        training: bool,
        relu: bool,
        error: *mut c_char,
        room: usize,
    ) -> *mut C_tensor;
}

/// What one batch normalisation reads besides the map.
pub(super) struct Norm<'a> {
    /// Scale `[C]`.
    pub gamma: &'a Tensor,
    /// Shift `[C]`.
    pub beta: &'a Tensor,
    /// Running mean and variance `[C]`, moved in training.
    pub statistics: &'a Statistics,
    /// Whether negative results become 0.
    pub relu: bool,
}

impl Norm<'_> {
    /// The map `[N, C, H, W]`, normalised by the batch's statistics in training and by the running
    /// ones otherwise; gradients are for training alone.
    pub(super) fn of(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        if self.suits(x) {
            return self.by_tiles(x, mode);
        }
        let mut y = x.f_batch_norm(
            Some(self.gamma),
            Some(self.beta),
            Some(&self.statistics.mean),
            Some(&self.statistics.var),
            mode == Mode::Train,
            MOMENTUM,
            EPSILON,
            true,
        )?;
        // In place: batch normalisation needs its input for gradients, not its output.
        Ok(if self.relu { y.f_relu_()? } else { y })
    }

    /// Whether `norm.cpp` can take it and is the faster one.
    fn suits(&self, x: &Tensor) -> bool {
        x.device() == Device::Cpu
            && x.numel() > 0
            && matches!(x.kind(), Kind::Float | Kind::BFloat16)
            && self.gamma.kind() == Kind::Float
            && is_channels_last(x)
    }

    fn by_tiles(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut error: [c_char; 512] = [0; 512];
        // SAFETY: all tensors outlive the call, and the pointer that comes back is a new tensor of
        // our own or null. The running statistics are moved in place, as LibTorch's own function
        // does through shared references.
        unsafe {
            let made = repro_batch_norm(
                x.as_ptr(),
                self.gamma.as_ptr(),
                self.beta.as_ptr(),
                self.statistics.mean.as_ptr(),
                self.statistics.var.as_ptr(),
                MOMENTUM,
                EPSILON,
                mode == Mode::Train,
                self.relu,
                error.as_mut_ptr(),
                error.len(),
            );
            if made.is_null() {
                bail!("{}", CStr::from_ptr(error.as_ptr()).to_string_lossy());
            }
            Ok(Tensor::from_ptr(made))
        }
    }
}

/// Whether the channels of each pixel lie side by side in memory. Of maps of one pixel strides cannot
/// tell; those are left to LibTorch.
fn is_channels_last(x: &Tensor) -> bool {
    let (size, stride) = (x.size(), x.stride());
    size[1] == 1 || (stride[1] == 1 && size[2] * size[3] > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N, C, H, W: fewer pixels than a tile, odd channels, one channel, a last tile that is short.
    const SIZES: [[i64; 4]; 7] = [
        [2, 3, 5, 7],
        [3, 6, 8, 8],
        [1, 17, 3, 3],
        [9, 1, 4, 4],
        [5, 24, 1, 2],
        [2, 150, 4, 4],
        [40, 6, 32, 32],
    ];

    /// Output, gradients of map, gamma and beta, running mean and variance.
    type Found = [Tensor; 6];

    struct Case {
        x: Tensor,
        gradient: Tensor,
        gamma: Tensor,
        beta: Tensor,
    }

    /// Channels before and behind a slice of a wider map.
    const BESIDE: [i64; 2] = [3, 2];

    /// Channels last; with `slice` the map is a slice of a wider one, and so is its gradient, as
    /// concatenation leaves them.
    fn case(size: [i64; 4], kind: Kind, slice: bool) -> Case {
        let [n, c, h, w] = size;
        let map = |channels: i64, shift: f64| {
            let map = Tensor::randn([n, h, w, channels], (Kind::Float, Device::Cpu)) * 2.0 + shift;
            map.to_kind(kind).permute([0, 3, 1, 2])
        };
        let vector = || Tensor::randn([c], (Kind::Float, Device::Cpu));
        let wide = if slice { c + BESIDE[0] + BESIDE[1] } else { c };
        Case {
            x: map(wide, 3.0).narrow(1, if slice { BESIDE[0] } else { 0 }, c),
            gradient: map(wide, 0.5),
            gamma: vector(),
            beta: vector(),
        }
    }

    fn run(case: &Case, mode: Mode, relu: bool, kind: Kind) -> Found {
        let leaf = |t: &Tensor, kind: Kind| t.to_kind(kind).detach().set_requires_grad(true);
        let slice = case.gradient.size()[1] > case.x.size()[1];
        let other = if kind == Kind::Double { kind } else { Kind::Float };
        let x = leaf(&case.x, kind);
        let (gamma, beta) = (leaf(&case.gamma, other), leaf(&case.beta, other));
        let statistics = Statistics {
            mean: Tensor::full_like(&beta.detach(), 0.25),
            var: Tensor::full_like(&beta.detach(), 2.0),
            batches: 0,
        };
        let norm = Norm { gamma: &gamma, beta: &beta, statistics: &statistics, relu };
        assert_eq!(norm.suits(&x), kind != Kind::Double);
        let y = norm.of(&x, mode).unwrap();
        let zeros = || Tensor::zeros([1], (other, Device::Cpu));
        let gradients = match mode {
            Mode::Evaluate => vec![zeros(), zeros(), zeros()],
            Mode::Train => {
                let mut size = y.size();
                let beside = BESIDE.map(|channels| {
                    size[1] = channels;
                    Tensor::zeros(&size, (kind, Device::Cpu)).set_requires_grad(false)
                });
                let joined = if slice {
                    Tensor::cat(&[&beside[0], &y, &beside[1]], 1)
                } else {
                    y.shallow_clone()
                };
                let sum = (joined * case.gradient.to_kind(kind)).sum(other);
                Tensor::run_backward(&[sum], &[&x, &gamma, &beta], false, false)
            }
        };
        let [dx, dgamma, dbeta] = gradients.try_into().unwrap();
        let Statistics { mean, var, .. } = statistics;
        [y.detach(), dx, dgamma, dbeta, mean, var]
    }

    /// Largest difference, relative to the largest element.
    fn apart(a: &Tensor, b: &Tensor) -> f64 {
        let (a, b) = (a.to_kind(Kind::Double), b.to_kind(Kind::Double));
        ((&a - &b).abs().max() / (b.abs().max() + 1e-12)).double_value(&[])
    }

    #[test]
    fn tiles_give_what_libtorch_gives_in_double_precision() {
        tch::manual_seed(0);
        for (kind, least) in [(Kind::Float, 1e-5), (Kind::BFloat16, 0.01)] {
            for size in SIZES {
                for slice in [false, true] {
                    let case = case(size, kind, slice);
                    for mode in [Mode::Train, Mode::Evaluate] {
                        for relu in [false, true] {
                            let found = run(&case, mode, relu, kind);
                            let expected = run(&case, mode, relu, Kind::Double);
                            for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
                                let apart = apart(a, b);
                                assert!(
                                    apart < least,
                                    "{kind:?} {size:?} {slice} {mode:?} {relu}: {i}: {apart}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    /// Of a sum every pixel has the same element for its gradient, and all strides are 0.
    #[test]
    fn gradients_that_are_expanded_are_read_as_what_they_stand_for() {
        tch::manual_seed(2);
        for size in [[9, 1, 4, 4], [1, 6, 4, 4]] {
            let case = case(size, Kind::Float, false);
            let found = [Kind::Float, Kind::Double].map(|kind| {
                let x = case.x.to_kind(kind).detach().set_requires_grad(true);
                let leaf = |t: &Tensor| t.to_kind(kind);
                let (gamma, beta) = (leaf(&case.gamma), leaf(&case.beta));
                let statistics =
                    Statistics { mean: beta.zeros_like(), var: beta.ones_like(), batches: 0 };
                let norm = Norm { gamma: &gamma, beta: &beta, statistics: &statistics, relu: true };
                assert_eq!(norm.suits(&x), kind == Kind::Float);
                let sum = norm.of(&x, Mode::Train).unwrap().sum(kind);
                Tensor::run_backward(&[sum], &[&x], false, false).remove(0)
            });
            let largest = (&found[0].to_kind(Kind::Double) - &found[1]).abs().max();
            assert!(largest.double_value(&[]) < 1e-5, "{size:?}");
        }
    }

    #[test]
    fn an_empty_batch_stays_one() {
        let x = Tensor::zeros([0, 1, 4, 4], (Kind::Float, Device::Cpu));
        let ones = || Tensor::ones([1], (Kind::Float, Device::Cpu));
        let statistics = Statistics { mean: ones(), var: ones(), batches: 0 };
        let norm = Norm { gamma: &ones(), beta: &ones(), statistics: &statistics, relu: true };
        assert_eq!(norm.of(&x, Mode::Evaluate).unwrap().size(), [0, 1, 4, 4]);
    }

    #[test]
    fn threads_change_no_bit() {
        tch::manual_seed(1);
        let case = case([40, 6, 32, 32], Kind::Float, true);
        let before = tch::get_num_threads();
        let found = [1, 2].map(|threads| {
            tch::set_num_threads(threads);
            run(&case, Mode::Train, true, Kind::Float)
        });
        tch::set_num_threads(before);
        for (one, two) in found[0].iter().zip(&found[1]) {
            assert_eq!(one, two);
        }
    }

    #[test]
    fn a_pixel_that_is_not_a_number_spoils_itself_alone() {
        for kind in [Kind::Float, Kind::BFloat16] {
            let case = case([2, 3, 4, 4], kind, false);
            let _ = case.x.get(0).get(1).get(2).get(3).fill_(f64::NAN);
            let y = &run(&case, Mode::Evaluate, true, kind)[0];
            assert_eq!(y.isnan().sum(Kind::Int64).int64_value(&[]), 1);
        }
    }
}
