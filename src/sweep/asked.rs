//! What a person asks of Slurm, checked.

use anyhow::{Context, Result, ensure};

/// Seconds before the time limit at which a task is asked to save.
pub(super) const NOTICE: u32 = 120;

/// What is asked of Slurm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slurm {
    /// Partition; none = the cluster's default.
    pub partition: Option<String>,
    /// Generic resources of a task, such as `gpu:1`.
    pub gres: Option<String>,
    /// Time limit of a task; it is requeued until it is done.
    pub time: Option<String>,
    /// Processors of a task, which is also its threads.
    pub cpus: usize,
    /// Tasks at a time; none = as many as the cluster gives.
    pub parallel: Option<usize>,
    /// Device of a task.
    pub device: String,
}

impl Slurm {
    /// Refuses counts of 0, empty values, and values that would add lines to the script.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.cpus > 0, "--cpus: a task needs at least 1 processor");
        ensure!(self.parallel != Some(0), "--parallel: at least 1 task at a time");
        let Slurm { partition, gres, time, .. } = self;
        for (name, value) in [("partition", partition), ("gres", gres), ("time", time)] {
            let is_fine =
                |text: &String| !text.trim().is_empty() && !text.contains(char::is_control);
            ensure!(
                value.as_ref().is_none_or(is_fine),
                "--{name} is empty or has a line break or another control character"
            );
        }
        if let Some(time) = time {
            let minutes = minutes(time).with_context(|| {
                format!(
                    "--time: {time} is no time as Slurm writes it: minutes, hours:minutes:seconds or days-hours, such as \
                     90, 1:30:00 or 2-12"
                )
            })?;
            ensure!(
                minutes >= SHORTEST,
                "--time: {time} is shorter than {SHORTEST} minutes, and a task is asked to save 2 to 3 minutes before its \
                 limit"
            );
        }
        Ok(())
    }
}

/// Minutes of a task, at least.
const SHORTEST: f64 = 5.0;

/// A time as Slurm reads it, in minutes: days before a dash, then up to three numbers with colons between
/// them, which are hours first after days and where there are three, else minutes first.
fn minutes(text: &str) -> Option<f64> {
    if ["0", "infinite", "unlimited"].iter().any(|none| text.eq_ignore_ascii_case(none)) {
        return Some(f64::INFINITY);
    }
    let number = |part: &str| -> Option<f64> {
        let is_number = !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    };
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(number(days)?), clock),
        None => (None, text),
    };
    let parts: Vec<f64> = clock.split(':').map(number).collect::<Option<_>>()?;
    let first = if days.is_some() || parts.len() == 3 { 60.0 } else { 1.0 };
    let weights = [first, first / 60.0, first / 3600.0];
    let sum: f64 = parts.iter().zip(weights).map(|(part, weight)| part * weight).sum();
    (parts.len() <= 3).then_some(days.unwrap_or(0.0) * 1440.0 + sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_none_are_refused() {
        let fine = Slurm { cpus: 1, ..Slurm::default() };
        assert!(fine.check().is_ok());
        let text = |text: &str| Some(text.to_string());
        for time in ["90", "1:30:00", "2-12", "2-12:30:00", "UNLIMITED"] {
            assert!(Slurm { time: text(time), ..fine.clone() }.check().is_ok(), "{time}");
        }
        for wrong in [
            Slurm { cpus: 0, ..fine.clone() },
            Slurm { parallel: Some(0), ..fine.clone() },
            Slurm { time: text(""), ..fine.clone() },
            Slurm { time: text("soon"), ..fine.clone() },
            Slurm { time: text("1:2:3:4"), ..fine.clone() },
            Slurm { time: text("2"), ..fine.clone() },
            Slurm { partition: text("a\n#SBATCH --uid=0"), ..fine.clone() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_time_is_read_as_slurm_reads_it() {
        for (text, expected) in [
            ("0", f64::INFINITY),
            ("90", 90.0),
            ("90:30", 90.5),
            ("1:30:00", 90.0),
            ("2-12", 3600.0),
            ("1-0:30", 1470.0),
            ("0-1:2:30", 62.5),
        ] {
            assert_eq!(minutes(text), Some(expected), "{text}");
        }
        assert_eq!(["", "1:", "-1", "1h", "1:2:3:4"].map(minutes), [None; 5]);
    }
}
