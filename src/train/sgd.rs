//! Stochastic gradient descent with momentum, no dampening, as PyTorch defines it; its buffers
//! have names and can be saved. All parameters are one vector, so a step is a few operations.

use anyhow::{Result, bail, ensure};
use tch::{Device, Tensor};

use crate::nn::{Weights, aligned};

/// Before a parameter's name, the name of its momentum.
pub const PREFIX: &str = "momentum.";

/// The tensors of a checkpoint that are a network's state: all but the optimiser's.
pub fn without_momentum(tensors: Vec<(String, Tensor)>) -> Vec<(String, Tensor)> {
    tensors.into_iter().filter(|(name, _)| !name.starts_with(PREFIX)).collect()
}

/// A step's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hyper {
    /// Learning rate.
    pub rate: f64,
    /// Momentum.
    pub momentum: f64,
    /// Nesterov's form.
    pub nesterov: bool,
    /// L2 penalty.
    pub weight_decay: f64,
}

/// The optimiser's state: one momentum for each parameter that some exit depends on. The others
/// get no gradient and, as in PyTorch, no weight decay.
#[derive(Debug)]
pub struct Sgd {
    momentum: Tensor,
    /// Zeros, as many as lie between two parameters at most.
    gap: Tensor,
}

impl Sgd {
    /// At rest.
    ///
    /// # Errors
    /// When LibTorch cannot allocate it.
    pub fn new(weights: &Weights) -> Result<Sgd> {
        let flat = weights.flat_used();
        let gap = Tensor::f_zeros([aligned(1)], (flat.kind(), flat.device()))?;
        Ok(Sgd { momentum: flat.f_zeros_like()?, gap })
    }

    /// `g += decay w; v = momentum v + g; w -= rate (g + momentum v)`, the last bracket being `v`
    /// without Nesterov. `gradients` are in the order of [`Weights::used_views`].
    ///
    /// # Errors
    /// When the gradients do not fit or LibTorch fails.
    pub fn step(&mut self, weights: &Weights, gradients: &[Tensor], hyper: Hyper) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        let mut gradient = self.joined(gradients)?;
        let mut w = weights.flat_used();
        ensure!(
            gradient.size() == w.size(),
            "{} gradients for {} parameters",
            gradient.numel(),
            w.numel()
        );
        // Filled on the device: a number that is copied there would be waited for.
        let scalar = |n: f64| Tensor::f_full([1], n, (w.kind(), w.device()));
        let (momentum, rate) = (scalar(hyper.momentum)?, scalar(-hyper.rate)?);
        if hyper.weight_decay != 0.0 {
            let _ = gradient.f_addcmul_(&w, &scalar(hyper.weight_decay)?)?;
        }
        let _ = self.momentum.f_mul_(&momentum)?.f_add_(&gradient)?;
        if hyper.nesterov {
            let _ = gradient.f_addcmul_(&self.momentum, &momentum)?;
            let _ = w.f_addcmul_(&gradient, &rate)?;
        } else {
            let _ = w.f_addcmul_(&self.momentum, &rate)?;
        }
        Ok(())
    }

    /// The gradients as one vector that is laid out as the parameters are.
    fn joined(&self, gradients: &[Tensor]) -> Result<Tensor> {
        let mut parts = Vec::with_capacity(2 * gradients.len());
        for gradient in gradients {
            let length = gradient.numel() as i64;
            parts.push(gradient.f_reshape([-1])?);
            if aligned(length) > length {
                parts.push(self.gap.f_narrow(0, 0, aligned(length) - length)?);
            }
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }

    /// The momentum of all parameters as one vector.
    pub(super) fn momentum(&self) -> &Tensor {
        &self.momentum
    }

    /// The first parameter with a gradient so far that was no finite number, if there is one: such a
    /// gradient stays in the momentum.
    ///
    /// # Errors
    /// When LibTorch fails.
    pub fn not_finite(&self, weights: &Weights) -> Result<Option<String>> {
        // A sum is finite only if all its terms are.
        let is_finite = |tensor: &Tensor| -> Result<bool> {
            Ok(f64::try_from(&tensor.f_sum(tensor.kind())?)?.is_finite())
        };
        if !is_finite(&self.momentum)? {
            for (name, momentum) in self.named(weights)? {
                if !is_finite(&momentum)? {
                    return Ok(Some(name.trim_start_matches(PREFIX).to_string()));
                }
            }
        }
        Ok(None)
    }

    /// The momentum of each parameter, by name, in the memory of the host.
    ///
    /// # Errors
    /// When LibTorch fails.
    pub fn named(&self, weights: &Weights) -> Result<Vec<(String, Tensor)>> {
        // All at once: of a GPU every copy is waited for.
        named(&self.momentum.f_to_device(Device::Cpu)?, weights)
    }

    /// Takes the state that [`Sgd::named`] gave.
    ///
    /// # Errors
    /// When a buffer is missing, left over or of another shape.
    pub fn load(&mut self, weights: &Weights, saved: &[&(String, Tensor)]) -> Result<()> {
        let flat = self.momentum.f_to_device(Device::Cpu)?;
        let targets = named(&flat, weights)?;
        ensure!(
            targets.len() == saved.len(),
            "{} momenta, expected {}",
            saved.len(),
            targets.len()
        );
        for (name, mut target) in targets {
            match saved.iter().find(|(n, _)| *n == name) {
                Some((_, source)) if source.size() == target.size() => target.f_copy_(source)?,
                _ => bail!("{name} is missing or of another shape"),
            }
        }
        self.momentum = flat.f_to_device(weights.device())?;
        Ok(())
    }
}

/// The parts of a vector that is laid out as the parameters are.
fn named(flat: &Tensor, weights: &Weights) -> Result<Vec<(String, Tensor)>> {
    let mut start = 0;
    let mut named = Vec::new();
    for (name, view) in weights.used_names().into_iter().zip(weights.used_views()) {
        let length = view.numel() as i64;
        let part = flat.f_narrow(0, start, length)?.f_view(view.size().as_slice())?;
        named.push((format!("{PREFIX}{name}"), part));
        start += aligned(length);
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Builder, Conv, initialise};

    #[test]
    fn a_gradient_that_is_not_finite_is_named_by_its_parameter() {
        tch::set_num_threads(1);
        let (mut net, x) = Builder::new(1, 8);
        let x = net.conv(x, Conv::three(2, 1));
        let x = net.batch_norm(x);
        let x = net.global_avg_pool(x);
        let logits = net.linear(x, 2, "linear");
        net.exit(logits, 1);
        let network = net.finish();
        let weights = initialise(&network, 0, tch::Device::Cpu).unwrap();
        let mut sgd = Sgd::new(&weights).unwrap();
        let hyper = Hyper { rate: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.0 };
        let zeros = |view: &Tensor| view.f_zeros_like().unwrap();
        let mut gradients: Vec<Tensor> = weights.used_views().into_iter().map(zeros).collect();
        sgd.step(&weights, &gradients, hyper).unwrap();
        assert_eq!(sgd.not_finite(&weights).unwrap(), None);
        gradients[2] = gradients[2].f_add_scalar(f64::INFINITY).unwrap();
        sgd.step(&weights, &gradients, hyper).unwrap();
        assert_eq!(sgd.not_finite(&weights).unwrap().as_deref(), Some(weights.used_names()[2]));
    }
}
