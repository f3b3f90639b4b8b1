//! Medians of repeated timings.

use std::time::Instant;

use anyhow::Result;

/// Timings of which the median is taken.
const ROUNDS: usize = 3;

/// Median over rounds of the seconds of one call. A round lasts at least `least` seconds; two calls
/// before the first one are not counted.
pub(super) fn seconds_each(least: f64, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    call()?;
    let start = Instant::now();
    call()?;
    let once = start.elapsed().as_secs_f64().max(1e-9);
    let calls = (least / once).ceil().max(1.0) as usize;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..calls {
            call()?;
        }
        rounds.push(start.elapsed().as_secs_f64() / calls as f64);
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[ROUNDS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_sleeps_takes_as_long_as_it_sleeps() {
        let nap = std::time::Duration::from_millis(5);
        let found = seconds_each(0.02, || {
            std::thread::sleep(nap);
            Ok(())
        });
        assert!(found.unwrap() >= nap.as_secs_f64());
    }
}
