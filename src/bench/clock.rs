//! Medians of repeated timings.

use std::time::Instant;

use anyhow::Result;
use tch::{Cuda, Device};

/// How long and how often to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    /// Least length of a timing.
    pub seconds: f64,
    /// Number of timings; the result is their median.
    pub rounds: usize,
}

/// Median over rounds of the seconds of one call. Two calls before the first round are not counted.
pub(super) fn seconds_each(clock: Clock, call: impl FnMut() -> Result<()>) -> Result<f64> {
    seconds_each_on(Device::Cpu, clock, call)
}

/// [`seconds_each`] of calls that compute on `device`: a round ends when the device has done all of it.
pub(super) fn seconds_each_on(
    device: Device,
    clock: Clock,
    mut call: impl FnMut() -> Result<()>,
) -> Result<f64> {
    let finish = || {
        if let Device::Cuda(index) = device {
            Cuda::synchronize(index as i64);
        }
    };
    call()?;
    finish();
    let start = Instant::now();
    call()?;
    finish();
    let once = start.elapsed().as_secs_f64().max(1e-9);
    let calls = (clock.seconds / once).ceil().max(1.0) as usize;
    let mut rounds = Vec::with_capacity(clock.rounds);
    for _ in 0..clock.rounds.max(1) {
        let start = Instant::now();
        for _ in 0..calls {
            call()?;
        }
        finish();
        rounds.push(start.elapsed().as_secs_f64() / calls as f64);
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[rounds.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_sleeps_takes_as_long_as_it_sleeps() {
        let nap = std::time::Duration::from_millis(5);
        let clock = Clock { seconds: 0.02, rounds: 3 };
        let found = seconds_each(clock, || {
            std::thread::sleep(nap);
            Ok(())
        });
        assert!(found.unwrap() >= nap.as_secs_f64());
    }
}
