//! What every step of an epoch leaves behind. It stays on the device until somebody looks, because reading a value
//! waits for everything that a GPU has still to do.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// The loss of each step and the sum of the momentum after it: a gradient that was not finite stays in the momentum.
#[derive(Debug)]
pub struct Record {
    /// float32 `[steps, 2]`.
    table: Tensor,
    read: usize,
}

/// A step of the record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// The step, from 0.
    pub step: usize,
    /// Its loss.
    pub loss: f64,
    /// Whether the sum of the momentum was a finite number.
    pub is_finite: bool,
}

impl Record {
    /// Of an epoch of `steps` steps; those before `first` are not recorded.
    ///
    /// # Errors
    /// No memory.
    pub fn new(steps: usize, first: usize, device: Device) -> Result<Record> {
        let table = Tensor::f_zeros([steps as i64, 2], (Kind::Float, device))?;
        Ok(Record { table, read: first })
    }

    /// Writes down a step; nothing is waited for.
    ///
    /// # Errors
    /// A step that the epoch has not.
    pub fn note(&self, step: usize, loss: &Tensor, momentum: &Tensor) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        let row = self.table.f_select(0, step as i64)?;
        row.f_select(0, 0)?.f_copy_(loss)?;
        let _ = momentum.f_sum_out(&row.f_select(0, 1)?, Kind::Float)?;
        Ok(())
    }

    /// The steps before `done` that were not read yet.
    ///
    /// # Errors
    /// When the device fails: what went wrong in an earlier step may come to light here.
    pub fn take(&mut self, done: usize) -> Result<Vec<Row>> {
        let new = done.saturating_sub(self.read);
        if new == 0 {
            return Ok(Vec::new());
        }
        let part = self.table.f_narrow(0, self.read as i64, new as i64)?;
        let values = Vec::<f32>::try_from(&part.f_to_device(Device::Cpu)?.f_view([-1])?)?;
        let rows = values.as_chunks::<2>().0.iter().zip(self.read..);
        let rows = rows.map(|(&[loss, sum], step)| Row {
            step,
            loss: f64::from(loss),
            is_finite: sum.is_finite(),
        });
        let rows = rows.collect();
        self.read = done;
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_read_once_and_in_order() {
        tch::set_num_threads(1);
        let mut record = Record::new(4, 1, Device::Cpu).unwrap();
        let value = |x: f64| Tensor::from(x as f32);
        let note = |record: &Record, step, loss, sum: f64| {
            record.note(step, &value(loss), &Tensor::from_slice(&[sum as f32, 1.0])).unwrap();
        };
        note(&record, 1, 2.5, 0.0);
        note(&record, 2, 1.5, f64::INFINITY);
        let steps = |rows: Vec<Row>| -> Vec<(usize, f64, bool)> {
            rows.iter().map(|row| (row.step, row.loss, row.is_finite)).collect()
        };
        assert_eq!(steps(record.take(3).unwrap()), [(1, 2.5, true), (2, 1.5, false)]);
        note(&record, 3, 0.5, 0.0);
        assert_eq!(steps(record.take(4).unwrap()), [(3, 0.5, true)]);
        assert!(record.take(4).unwrap().is_empty());
    }
}
