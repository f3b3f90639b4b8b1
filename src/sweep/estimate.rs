//! How long a run will take: its multiply-adds, by the speed of runs that are finished here, else
//! by a stated speed.

use std::path::PathBuf;

use super::manifest::Line;
use crate::results::RunFolder;
use crate::results::runfiles::{timing_seconds, timings};
use crate::runs::Settings;

/// Multiply-adds a second of one present-day processor core in training, counted as those of the
/// forward pass alone: small convolutions in 32-bit floats gave 3e9 to 1e10.
const STATED: f64 = 5e9;

/// Multiply-adds of the forward pass a second, in training.
pub struct Speed(f64);

impl Speed {
    /// The median over all measured epochs of these runs; the stated speed where there is none.
    pub fn measured(lines: &[Line], settings: &Settings) -> Speed {
        let mut speeds = Vec::new();
        for line in lines {
            let clock = timings(&clock_of(line, settings));
            // Of an epoch that was stopped before its evaluation the clock has that alone: no images.
            let steps = clock.iter().filter(|time| time.images_per_second > 0.0);
            speeds.extend(steps.map(|time| time.images_per_second * line.multiply_adds as f64));
        }
        speeds.sort_by(f64::total_cmp);
        Speed(speeds.get(speeds.len() / 2).copied().unwrap_or(STATED))
    }

    /// Seconds of a run on a data set with `images` training images, hold-out included; of a finished
    /// run what it took.
    pub fn seconds(&self, line: &Line, images: usize, settings: &Settings) -> f64 {
        let run = &line.run;
        let left = images.saturating_sub(run.validation);
        let images = run.training_images.map_or(left, |n| n.min(left)) as f64;
        let epochs = run.training.as_ref().map_or(0.0, |t| f64::from(t.epochs));
        let clock = clock_of(line, settings);
        let seconds = match timings(&clock).last() {
            Some(last) if f64::from(last.epoch) >= epochs => timing_seconds(&clock),
            _ => line.multiply_adds as f64 * images * epochs / self.0,
        };
        (seconds * 1000.0).round() / 1000.0
    }
}

fn clock_of(line: &Line, settings: &Settings) -> PathBuf {
    RunFolder::standing_for(&settings.places.runs, &line.run).timing_csv()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_divides_the_multiply_adds_of_all_images_and_epochs() {
        let line: Line = serde_json::from_str(
            r#"{"index":0,"id":"x","name":"x","experiments":[],"multiply_adds":1000000,"parameters":1,"seconds":0,
                "run":{"network":{"resnet":{"blocks_per_stage":1,"channels":4}},"dataset":"synthetic",
                       "validation":200,"training":{"epochs":10},"seed":0}}"#,
        )
        .unwrap();
        let settings = Settings::on_one_core(crate::runs::Places {
            out: "none".into(),
            runs: "none".into(),
            data: "none".into(),
        });
        // 1,800 images x 10 epochs x 1e6 multiply-adds at 1e9 a second.
        assert_eq!(Speed(1e9).seconds(&line, 2_000, &settings), 18.0);
    }
}
