//! Which batch a GPU's memory holds, found by trying.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::Trainer;
use crate::cuda::{Trouble, trouble};

impl Trainer<'_> {
    /// The largest of a half, a quarter, ... of the batch size whose step the memory holds; none where not even one
    /// of two images. The training cannot go on afterwards: zeros in place of images have moved the statistics.
    ///
    /// # Errors
    /// When something else than memory is wrong: nothing is then known of the batch.
    pub fn fitting_batch(&mut self) -> Result<Option<usize>> {
        let mut size = self.job.training.batch_size / 2;
        while size > 1 {
            match self.pass(size) {
                Ok(()) => return Ok(Some(size)),
                Err(error) if trouble(&format!("{error:#}")) == Some(Trouble::Memory) => size /= 2,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn pass(&mut self, size: usize) -> Result<()> {
        let (network, device) = (self.job.network, self.job.device);
        let input = &network.nodes()[0];
        let shape = [size, input.channels, input.side, input.side].map(|n| n as i64);
        let images = Tensor::f_zeros(shape, (Kind::Float, device))?;
        let labels = Tensor::f_zeros([size as i64], (Kind::Int64, device))?;
        let (_, gradients) = self.loss_and_gradients(&images, &labels)?;
        // The device reports what went wrong no later than here; the vector of gradients is there twice in a step.
        let flat: Vec<Tensor> =
            gradients.iter().map(|g| g.f_reshape([-1])).collect::<Result<_, _>>()?;
        let _ = Tensor::f_cat(&flat, 0)?.f_sum(Kind::Float)?.f_to_device(Device::Cpu)?;
        Ok(())
    }
}
