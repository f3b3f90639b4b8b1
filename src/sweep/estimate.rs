//! How long a run will take: its multiply-adds, by the speed of runs that are finished here, else
//! by a stated speed.

use std::path::PathBuf;

use super::manifest::Line;
use crate::results::RunFolder;
use crate::results::runfiles::{timing_seconds, timings};
use crate::runs::Settings;

/// Multiply-adds a second of one present-day processor core in training, counted as those of the
/// forward pass alone: small convolutions in 32-bit floats gave 3 to 10 thousand million.
const STATED: f64 = 5e9;

/// What a run has to do.
pub struct Job {
    /// Training images an epoch.
    images: f64,
    epochs: f64,
}

impl Job {
    /// Of a run on a data set with so many training images, hold-out included.
    pub fn of(line: &Line, images: usize) -> Job {
        let run = &line.run;
        let left = images.saturating_sub(run.validation);
        Job {
            images: run.training_images.map_or(left, |n| n.min(left)) as f64,
            epochs: run.training.as_ref().map_or(0.0, |t| f64::from(t.epochs)),
        }
    }
}

/// Multiply-adds of the forward pass a second, in training.
pub struct Speed(f64);

impl Speed {
    /// The median over all epochs of these runs that a clock was held to; the stated speed before
    /// there is one.
    pub fn measured(lines: &[Line], settings: &Settings) -> Speed {
        let mut speeds = Vec::new();
        for line in lines {
            let clock = timings(&clock_of(line, settings));
            let speed = |t: &crate::results::runfiles::Timing| t.images_per_second;
            speeds.extend(clock.iter().map(|t| speed(t) * line.multiply_adds as f64));
        }
        speeds.sort_by(f64::total_cmp);
        let median = speeds.get(speeds.len() / 2).copied();
        Speed(median.filter(|s| *s > 0.0).unwrap_or(STATED))
    }

    /// Seconds of a run; of a finished one what it took.
    pub fn seconds(&self, line: &Line, job: &Job, settings: &Settings) -> f64 {
        let clock = clock_of(line, settings);
        let seconds = match timings(&clock).last() {
            Some(last) if f64::from(last.epoch) >= job.epochs => timing_seconds(&clock),
            _ => line.multiply_adds as f64 * job.images * job.epochs / self.0,
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
        let job = Job::of(&line, 2_000);
        let settings = Settings::on_one_core(crate::runs::Places {
            out: "none".into(),
            runs: "none".into(),
            data: "none".into(),
        });
        // 1,800 images x 10 epochs x 1e6 multiply-adds at 1e9 a second.
        assert_eq!(Speed(1e9).seconds(&line, &job, &settings), 18.0);
    }
}
